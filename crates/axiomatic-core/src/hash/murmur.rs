//! Austin Appleby's MurmurHash, the three that others agreed on.
//!
//! Own code: no crate has all three, and those that have one were last
//! released years ago. Words are read as little-endian on every platform, as
//! on the machines whose values became the reference.

/// The seed of Kafka's partitioner.
pub(super) const KAFKA: u32 = 0x9747_b28c;

/// MurmurHash2, 32 bits.
pub(super) fn murmur2(seed: u32, bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    // The reference takes the length as an `int`.
    let mut h = seed ^ bytes.len() as u32;
    let mut tail = bytes;
    while let Some((word, rest)) = tail.split_first_chunk() {
        let k = u32::from_le_bytes(*word).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ (k ^ (k >> 24)).wrapping_mul(M);
        tail = rest;
    }
    if !tail.is_empty() {
        h = (h ^ little(tail) as u32).wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

/// MurmurHash64A: MurmurHash2 in 64 bits.
pub(super) fn murmur64a(seed: u64, bytes: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut h = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let mut tail = bytes;
    while let Some((word, rest)) = tail.split_first_chunk() {
        let k = u64::from_le_bytes(*word).wrapping_mul(M);
        h = (h ^ (k ^ (k >> 47)).wrapping_mul(M)).wrapping_mul(M);
        tail = rest;
    }
    if !tail.is_empty() {
        h = (h ^ little(tail)).wrapping_mul(M);
    }
    h = (h ^ (h >> 47)).wrapping_mul(M);
    h ^ (h >> 47)
}

/// MurmurHash3 x64-128, its first half lowest.
pub(super) fn murmur3_x64_128(seed: u64, bytes: &[u8]) -> u128 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let first = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let second = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);

    let (mut h1, mut h2) = (seed, seed);
    let mut tail = bytes;
    while let Some((block, rest)) = tail.split_first_chunk() {
        let block = u128::from_le_bytes(*block);
        h1 = (h1 ^ first(block as u64)).rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ second((block >> 64) as u64))
            .rotate_left(31)
            .wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
        tail = rest;
    }
    // Bytes that are not there are zeros, and of zero both are zero.
    let (low, high) = tail.split_at(tail.len().min(8));
    h1 ^= first(little(low));
    h2 ^= second(little(high));

    let length = bytes.len() as u64;
    (h1, h2) = (h1 ^ length, h2 ^ length);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2) = (last_mix(h1), last_mix(h2));
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    u128::from(h2) << 64 | u128::from(h1)
}

const fn last_mix(mut k: u64) -> u64 {
    k = (k ^ (k >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    k = (k ^ (k >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

/// At most eight bytes as a number, the first lowest.
fn little(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |k, byte| k << 8 | u64::from(*byte))
}
