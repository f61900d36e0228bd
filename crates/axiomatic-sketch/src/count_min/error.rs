//! What cannot be built.

use std::fmt;

pub use crate::build::BuildError;

/// Why there is no sketch of that size.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// An error is a share of the total, more than 0 and less than 1.
    Error,
    /// A confidence is more than 0 and less than 1.
    Confidence,
    /// There is not a single line.
    TooSmall,
    /// It would have more than 2^31 lines: several sketches, by the upper bits
    /// of the hash, hold more.
    TooLarge,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShapeError::Error => "an error is a share of the total, above 0 and below 1",
            ShapeError::Confidence => "a confidence is above 0 and below 1",
            ShapeError::TooSmall => "a sketch has at least one line",
            ShapeError::TooLarge => "a sketch has at most 2147483648 lines",
        })
    }
}

impl std::error::Error for ShapeError {}
