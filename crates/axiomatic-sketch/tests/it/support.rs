//! What several tests use.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sketch::bloom::{BloomFilter, Shape};

/// Hashes without an end: xorshift64* (Vigna, "An experimental exploration of
/// Marsaglia's xorshift generators, scrambled", 2016), which has nothing in
/// common with the multiplications that choose bits.
pub(crate) fn hashes(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(2) + 1;
    std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
    // The first few of small seeds resemble one another.
    .skip(16)
}

/// The hasher of the tests that do not care.
pub(crate) fn hasher() -> Hasher {
    Hasher::new(Algorithm::Xxh3, Seed::fixed(0))
}

/// An empty filter for so many items.
pub(crate) fn filter(items: u64, rate: f64) -> BloomFilter {
    let shape = Shape::for_items(items).false_positives(rate).unwrap();
    BloomFilter::new(shape, hasher()).unwrap()
}

/// Whether so many hits in so many trials are within so many standard
/// deviations of this rate.
pub(crate) fn is_within(deviations: f64, hits: u64, trials: u64, rate: f64) -> bool {
    let expected = trials as f64 * rate;
    let deviation = (expected * (1.0 - rate)).sqrt();
    (hits as f64 - expected).abs() <= deviations * deviation
}

/// How often each of so many keys is seen of a total, the first one most: in
/// proportion to one over its rank to the power of the skew, rounded up.
pub(crate) fn zipf(keys: u32, skew: f64, total: u64) -> impl Iterator<Item = u64> {
    let share = move |rank: u32| f64::from(rank).powf(-skew);
    let sum: f64 = (1..=keys).map(share).sum();
    (1..=keys).map(move |rank| (share(rank) / sum * total as f64).ceil() as u64)
}
