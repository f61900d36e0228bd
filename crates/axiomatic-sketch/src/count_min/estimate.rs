//! What a sketch answers.

use std::fmt;

use super::line_cell::MOST;
use super::shape::Shape;

/// How often a key was counted, and how far that may be off.
///
/// ```
/// # use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// # use axiomatic_sketch::count_min::{CountMinSketch, Shape};
/// # let shape = Shape::within(0.01).with_confidence(0.99)?;
/// # let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// # let sketch = CountMinSketch::new(shape, hasher)?;
/// for _ in 0..70_000 {
///     sketch.add(b"user:17", 1);
/// }
/// let estimate = sketch.estimate(b"user:17");
/// assert!(estimate.at_most() >= 70_000);
/// // One hundredth of the total, in 99 of a hundred cases.
/// assert!(estimate.at_least() <= 70_000 && estimate.at_least() > 69_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Estimate {
    pub(super) count: u32,
    pub(super) total: u64,
    pub(super) shape: Shape,
}

impl Estimate {
    /// The key was counted no more often than this. That is certain, unless the
    /// estimate is [saturated](Self::is_saturated).
    #[inline]
    pub fn at_most(&self) -> u64 {
        u64::from(self.count)
    }

    /// The key was counted no less often than this, in as many cases as the
    /// shape's [confidence](Shape::confidence) says.
    pub fn at_least(&self) -> u64 {
        self.at_most().saturating_sub(self.over_by())
    }

    /// By how much the estimate is too high at most, in as many cases as the
    /// shape's [confidence](Shape::confidence) says: the shape's
    /// [error](Shape::error) of the total, and one for what ageing rounds.
    pub fn over_by(&self) -> u64 {
        let over = self.shape.error() * self.total as f64;
        (over as u64).saturating_add(1)
    }

    /// Whether the key may have been counted more often: its counters are at
    /// 2^31, and go no further. An ageing halves them with the rest, and what
    /// was not counted stays missing.
    pub fn is_saturated(&self) -> bool {
        self.count >= MOST
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.shape.confidence();
        let more = if self.is_saturated() { " or more" } else { "" };
        write!(
            f,
            "{} to {}{more} ({percent:.3} %)",
            self.at_least(),
            self.at_most()
        )
    }
}
