//! What cannot be built.

use std::fmt;

use axiomatic_core::hash::{Algorithm, Hasher};

use crate::width;

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

/// Why a sketch was not made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no memory for so many bytes.
    OutOfMemory {
        /// How many.
        bytes: u64,
    },
    /// The algorithm's hashes have fewer than 64 bits, and would put all keys
    /// into the first few lines.
    NarrowHash(Algorithm),
}

impl BuildError {
    pub(super) fn check(hasher: Hasher) -> Result<(), Self> {
        width::check(hasher).map_err(BuildError::NarrowHash)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::OutOfMemory { bytes } => {
                write!(f, "there is no memory for a sketch of {bytes} bytes")
            }
            BuildError::NarrowHash(algorithm) => {
                let (name, bits) = (algorithm.name(), algorithm.bits());
                write!(f, "a sketch needs hashes of 64 bits, {name} has {bits}")
            }
        }
    }
}

impl std::error::Error for BuildError {}
