//! What decoding a set must be like, for any bytes: it does not panic, and
//! whatever is decoded encodes to the same bytes. Shared with the fuzz target.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_placement::consistent_hash::{DecodeShardsError, NumberedShards, ShardSet};

/// Bytes as they are, and with a checksum that fits, which no fuzzer would
/// find.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    check_with(bytes, ShardSet::decode)?;
    let before_checksum = bytes.len().saturating_sub(8);
    check_with(&sealed(&bytes[..before_checksum]), ShardSet::decode)
}

pub(crate) fn check_with(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<ShardSet, DecodeShardsError>,
) -> Result<(), String> {
    let Ok(set) = decode(bytes) else {
        return Ok(());
    };
    let again = set.encode();
    if again != bytes {
        return Err(format!("{set:?} encodes to {again:02x?}"));
    }
    // Whatever can be read can be used.
    let first = set.candidates(bytes.len() as u64).next();
    if first != Some(set.owner(bytes.len() as u64)) {
        return Err(format!("the owner by {set:?} is not its first candidate"));
    }
    Ok(())
}

/// These bytes, and their checksum.
pub(crate) fn sealed(content: &[u8]) -> Vec<u8> {
    let sum = Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(content);
    [content, &sum.to_le_bytes()].concat()
}
