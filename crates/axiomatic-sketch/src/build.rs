//! Why nothing was made: the same for all that is in this crate.

use std::fmt;

use axiomatic_core::hash::{Algorithm, Hasher};

/// Why a filter or a sketch was not made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no memory for so many bytes.
    OutOfMemory {
        /// How many.
        bytes: u64,
    },
    /// The algorithm's hashes have fewer than 64 bits: places are chosen by the
    /// upper half, and all keys would be put into the first few.
    NarrowHash(Algorithm),
}

impl BuildError {
    /// Refuses hashes that do not fill 64 bits.
    pub(crate) fn check(hasher: Hasher) -> Result<(), Self> {
        let algorithm = hasher.algorithm();
        if algorithm.bits() < 64 {
            return Err(BuildError::NarrowHash(algorithm));
        }
        Ok(())
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::OutOfMemory { bytes } => write!(f, "there is no memory for {bytes} bytes"),
            BuildError::NarrowHash(algorithm) => {
                let (name, bits) = (algorithm.name(), algorithm.bits());
                write!(f, "hashes of 64 bits are needed, {name} has {bits}")
            }
        }
    }
}

impl std::error::Error for BuildError {}
