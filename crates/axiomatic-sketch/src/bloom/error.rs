//! What cannot be built, joined or read.

use std::fmt;

use axiomatic_core::hash::{Algorithm, Hasher};

/// Why there is no filter of that size.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A rate is more than 0 and less than 1.
    Rate,
    /// For no items there is no size.
    NoItems,
    /// There is not a single block.
    TooSmall,
    /// It would have more than 2^31 blocks, or words: several filters, by the
    /// upper bits of the hash, hold more.
    TooLarge,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShapeError::Rate => "a rate of false positives is above 0 and below 1",
            ShapeError::NoItems => "there are no items to size a filter for",
            ShapeError::TooSmall => "a filter has at least one block",
            ShapeError::TooLarge => "a filter has at most 2147483648 blocks",
        })
    }
}

impl std::error::Error for ShapeError {}

/// Why a filter was not made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no memory for so many bytes.
    OutOfMemory {
        /// How many.
        bytes: u64,
    },
    /// The algorithm's hashes have fewer than 64 bits, and would put all keys
    /// into the first few blocks.
    NarrowHash(Algorithm),
}

impl BuildError {
    /// Refuses hashes that do not fill 64 bits.
    pub(super) fn check(hasher: Hasher) -> Result<(), Self> {
        crate::width::check(hasher).map_err(BuildError::NarrowHash)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::OutOfMemory { bytes } => {
                write!(f, "there is no memory for a filter of {bytes} bytes")
            }
            BuildError::NarrowHash(algorithm) => {
                let (name, bits) = (algorithm.name(), algorithm.bits());
                write!(f, "a filter needs hashes of 64 bits, {name} has {bits}")
            }
        }
    }
}

impl std::error::Error for BuildError {}

/// Why two filters cannot become one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// They differ in size.
    Shape,
    /// They hash differently: by another algorithm or another seed.
    Hasher,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mismatch::Shape => "the filters differ in size",
            Mismatch::Hasher => "the filters hash by different algorithms or seeds",
        })
    }
}

impl std::error::Error for Mismatch {}
