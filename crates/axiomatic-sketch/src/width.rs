//! How many bits of a hash are needed, for all that is in this crate.

use axiomatic_core::hash::{Algorithm, Hasher};

/// Refuses hashes that do not fill 64 bits, by the name of their algorithm:
/// places are chosen by the upper half, which they leave empty.
pub(crate) fn check(hasher: Hasher) -> Result<(), Algorithm> {
    let algorithm = hasher.algorithm();
    if algorithm.bits() < 64 {
        return Err(algorithm);
    }
    Ok(())
}
