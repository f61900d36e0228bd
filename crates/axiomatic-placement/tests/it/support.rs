//! What several tests use.

use axiomatic_placement::consistent_hash::{Membership, Node};

/// Hashes without an end: xorshift64* (Vigna, "An experimental exploration of
/// Marsaglia's xorshift generators, scrambled", 2016), which has nothing in
/// common with the mixer that placement uses.
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

/// By how many standard deviations Pearson's chi-square of these counts is
/// above what it is by chance. A bias has it grow with the counts.
pub(crate) fn deviation(counts: &[u64], expected: impl Fn(usize) -> f64) -> f64 {
    let squares = counts.iter().enumerate().map(|(at, count)| {
        let off = *count as f64 - expected(at);
        off * off / expected(at)
    });
    let freedom = counts.len() as f64 - 1.0;
    (squares.sum::<f64>() - freedom) / (2.0 * freedom).sqrt()
}

/// As many nodes of weight one.
pub(crate) fn nodes(count: usize) -> Membership {
    Membership::new(1, (0..count).map(node)).unwrap()
}

pub(crate) fn node(number: usize) -> Node {
    Node::new(format!("node-{number}"))
}
