//! How large a sketch is, and by how much its estimates are too high.
//!
//! Let `N` be the total that was added, and `a` an error. What another key was
//! counted counts against us in a row if it has our line, which has a chance
//! of `1/L`, and our column in that row, `1/4`; the columns of the four rows
//! are independent. An estimate is too high by more than `a` only if that is so
//! in every row. A key with more than `a` does no more harm than one with
//! `a`, so let `u = min(count / a, 1)` be the harm of a key, of which all
//! together have no more than `N/a`. Then, by Markov's inequality on the
//! product of what stands against us in the four rows,
//!
//! ```text
//! P(error > a) <= E[T^4] / 4^4,   T = the harm of the keys in our line
//! E[T^4] <= x + 7 x^2 + 6 x^3 + x^4,   x = N / (a L)
//! ```
//!
//! which is the fourth moment of Poisson's distribution: four indices fall
//! into one, two, three or four different keys in 1, 7, 6 and 1 ways, each
//! different key has to be in the line, and powers of `u` are no more than `u`.
//! It holds for every stream, as long as its keys do not depend on the hash.

use std::fmt;
use std::num::NonZeroU32;

use super::error::ShapeError;
use super::line_cell::Line;
use crate::load;

/// Lines that there may be: 128 GiB of them.
const MOST_LINES: u64 = 1 << 31;
/// Bytes of a line.
const BYTES: u64 = 64;

/// How large a sketch is, and how exact.
///
/// ```
/// use axiomatic_sketch::count_min::Shape;
///
/// // Too high by more than a thousandth of the total in one of a hundred cases.
/// let shape = Shape::within(0.001).with_confidence(0.99)?;
/// assert_eq!(shape.lines(), 2_178);
/// assert_eq!(
///     shape.to_string(),
///     "2178 lines (136.1 KiB): within 0.100 % of the total in 99.000 % of cases"
/// );
/// # Ok::<(), axiomatic_sketch::count_min::ShapeError>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Shape {
    lines: NonZeroU32,
    confidence: f64,
    error: f64,
}

/// An error or a size, and the question how certain it has to be.
#[derive(Copy, Clone, Debug)]
#[must_use = "it is not yet a shape"]
pub struct Sizing(Wanted);

#[derive(Copy, Clone, Debug)]
enum Wanted {
    Error(f64),
    Lines(u64),
}

impl Shape {
    /// Estimates that are too high by no more than this share of the total;
    /// say next [how certainly](Sizing::with_confidence).
    pub fn within(error: f64) -> Sizing {
        Sizing(Wanted::Error(error))
    }

    /// In so many bytes, rounded down to whole lines of 64.
    pub fn in_bytes(bytes: u64) -> Sizing {
        Sizing(Wanted::Lines(bytes / BYTES))
    }

    /// In so many lines of 64 bytes.
    pub fn in_lines(lines: u32) -> Sizing {
        Sizing(Wanted::Lines(u64::from(lines)))
    }

    /// The number of lines of 64 bytes, with 16 counters each.
    pub fn lines(&self) -> u32 {
        self.lines.get()
    }

    /// How many bytes of memory the counters take.
    pub fn bytes(&self) -> u64 {
        u64::from(self.lines.get()) * BYTES
    }

    /// By which share of the total an estimate is too high at most, in as many
    /// cases as the [confidence](Self::confidence) says.
    pub fn error(&self) -> f64 {
        self.error
    }

    /// In which share of cases an estimate keeps to the [error](Self::error).
    pub fn confidence(&self) -> f64 {
        self.confidence
    }

    /// The chance, at most, that an estimate is too high by more than this
    /// share of the total.
    pub fn chance_of_error_above(&self, error: f64) -> f64 {
        if error <= 0.0 || error.is_nan() {
            return 1.0;
        }
        chance(1.0 / (error * f64::from(self.lines.get())))
    }
}

impl Sizing {
    /// In at least this share of cases: 0.99 is a good beginning. 0.999 takes
    /// 3.6 times the memory for the same error, or in the same memory comes with
    /// 3.6 times the error.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the error or the confidence is not between 0 and 1,
    /// both excluded, if there is no line, or if there are more than 2^31.
    pub fn with_confidence(self, confidence: f64) -> Result<Shape, ShapeError> {
        if !is_share(confidence) {
            return Err(ShapeError::Confidence);
        }
        let load = load::greatest(1.0 - confidence, chance);
        let lines = match self.0 {
            Wanted::Lines(lines) => lines,
            Wanted::Error(error) if !is_share(error) => return Err(ShapeError::Error),
            // Casts of f64 saturate: at infinity there are too many.
            Wanted::Error(error) => (1.0 / (error * load)).ceil() as u64,
        };
        if lines > MOST_LINES {
            return Err(ShapeError::TooLarge);
        }
        let lines = u32::try_from(lines).ok().and_then(NonZeroU32::new);
        let lines = lines.ok_or(ShapeError::TooSmall)?;
        Ok(Shape {
            lines,
            confidence,
            error: (1.0 / (load * f64::from(lines.get()))).min(1.0),
        })
    }
}

/// Whether it is a share between nothing and all.
fn is_share(share: f64) -> bool {
    share > 0.0 && share < 1.0
}

/// The chance of an error above `a`, at most, where `N / (a L)` is the load.
fn chance(load: f64) -> f64 {
    let moment = load * (1.0 + load * (7.0 + load * (6.0 + load)));
    let columns = Line::COLUMNS as f64;
    (moment / columns.powi(Line::ROWS as i32)).min(1.0)
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kibibytes = self.bytes() as f64 / 1024.0;
        let (error, confidence) = (100.0 * self.error, 100.0 * self.confidence);
        write!(
            f,
            "{} lines ({kibibytes:.1} KiB): within {error:.3} % of the total in {confidence:.3} % of cases",
            self.lines
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_as_exact_as_was_asked_and_a_line_less_is_not() {
        for error in [0.1, 0.01, 1e-4] {
            for confidence in [0.5, 0.9, 0.99, 0.9999] {
                let shape = Shape::within(error).with_confidence(confidence).unwrap();
                assert!(shape.error() <= error, "{shape}");
                let chance = shape.chance_of_error_above(error);
                assert!(chance <= 1.0 - confidence, "{shape}: {chance}");
                let less = Shape::in_lines(shape.lines() - 1).with_confidence(confidence);
                assert!(less.map_or(1.0, |less| less.error()) > error, "{shape}");
            }
        }
    }

    #[test]
    fn no_number_of_a_user_panics_and_each_that_makes_no_sense_is_told() {
        for wrong in [0.0, 1.0, -0.5, 2.0, f64::NAN, f64::INFINITY] {
            let error = Shape::within(wrong).with_confidence(0.99);
            assert_eq!(error, Err(ShapeError::Error));
            let confidence = Shape::within(0.01).with_confidence(wrong);
            assert_eq!(confidence, Err(ShapeError::Confidence));
            let chance = Shape::in_lines(1).with_confidence(0.5).unwrap();
            assert!((0.0..=1.0).contains(&chance.chance_of_error_above(wrong)));
        }
        let none = Shape::in_bytes(63).with_confidence(0.99);
        assert_eq!(none, Err(ShapeError::TooSmall));
        let large = [
            Shape::in_bytes(u64::MAX).with_confidence(0.99),
            Shape::in_lines(u32::MAX).with_confidence(0.99),
            Shape::within(f64::MIN_POSITIVE).with_confidence(0.99),
            Shape::within(0.5).with_confidence(1.0 - f64::EPSILON / 2.0),
        ];
        assert_eq!(large, [Err(ShapeError::TooLarge); 4]);
        assert!(Shape::in_lines(1 << 31).with_confidence(0.99).is_ok());
        let vague = Shape::within(0.999).with_confidence(f64::MIN_POSITIVE);
        assert_eq!(vague.map(|shape| shape.lines()), Ok(1));
    }
}
