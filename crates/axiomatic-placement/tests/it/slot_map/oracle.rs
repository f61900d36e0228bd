//! What decoding must be like, for any bytes: it does not panic, and whatever
//! is decoded encodes to the same bytes. Shared with the fuzz target.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_placement::slot_map::{DecodeError, SlotMap};

/// Bytes as they are, and with another length and checksum, which agree: no
/// fuzzer would find such.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    check_with(bytes, SlotMap::decode)?;
    let before_checksum = bytes.len().saturating_sub(8);
    check_with(&sealed(&bytes[..before_checksum]), SlotMap::decode)
}

pub(crate) fn check_with(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<SlotMap, DecodeError>,
) -> Result<(), String> {
    let Ok(map) = decode(bytes) else {
        return Ok(());
    };
    let again = map.encode().map_err(|error| error.to_string())?;
    if again != bytes {
        return Err(format!("{map:?} encodes to {again:02x?}"));
    }
    // Whatever can be read can be used.
    if map.owner(map.slot_of(bytes)) != Some(map.owner_of(bytes)) {
        return Err(format!("{map:?} has two owners of a slot"));
    }
    let plan = map.rebalanced(map.membership(), 100);
    match plan.map(|plan| plan.diff().transfers()) {
        Ok(101..) => Err(format!("{map:?} moves more than it should")),
        _ => Ok(()),
    }
}

/// With the magic, the version, the length and the checksum of a slot map, of
/// which the inside is these bytes from the eleventh on.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    let inside = bytes.get(10..).unwrap_or_default();
    let length = (10 + inside.len() + 8) as u32;
    let mut sealed = b"AXSM\x01\x00".to_vec();
    sealed.extend(length.to_le_bytes());
    sealed.extend(inside);
    let checksum = Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(&sealed);
    sealed.extend(checksum.to_le_bytes());
    sealed
}
