use siphasher::{sip, sip128};

/// SipHash-1-3 under a key's two halves.
pub(super) fn sip13(key: [u64; 2], bytes: &[u8]) -> u64 {
    sip::SipHasher13::new_with_keys(key[0], key[1]).hash(bytes)
}

/// SipHash-2-4.
pub(super) fn sip24(key: [u64; 2], bytes: &[u8]) -> u64 {
    sip::SipHasher24::new_with_keys(key[0], key[1]).hash(bytes)
}

/// SipHash-1-3 with 128 bits, which are another function than its 64.
pub(super) fn sip13_128(key: [u64; 2], bytes: &[u8]) -> u128 {
    let hash = sip128::SipHasher13::new_with_keys(key[0], key[1]).hash(bytes);
    u128::from_le_bytes(hash.as_bytes())
}

/// SipHash-2-4 with 128 bits.
pub(super) fn sip24_128(key: [u64; 2], bytes: &[u8]) -> u128 {
    let hash = sip128::SipHasher24::new_with_keys(key[0], key[1]).hash(bytes);
    u128::from_le_bytes(hash.as_bytes())
}
