//! Shards that are known by their numbers.

use axiomatic_placement::consistent_hash::{Jump, JumpBack, ShardSet};

mod balance;
mod candidates;
mod golden;
mod movement;
mod published;
mod stored;

/// Hashes without an end: xorshift64* (Vigna, "An experimental exploration of
/// Marsaglia's xorshift generators, scrambled", 2016), which has nothing in
/// common with the mixer that placement uses.
fn hashes(seed: u64) -> impl Iterator<Item = u64> {
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

fn jump(shards: u32) -> Jump {
    Jump::new(shards).unwrap()
}

fn jump_back(shards: u32) -> JumpBack {
    JumpBack::new(shards).unwrap()
}

/// As many working shards of a capacity, drawn by lot.
fn by_lot(working: u32, capacity: u32, seed: u64) -> ShardSet {
    let mut numbers: Vec<u32> = (0..capacity).collect();
    let mut lots = hashes(seed);
    for taken in 0..working as usize {
        let left = (numbers.len() - taken) as u64;
        let lot = (lots.next().unwrap() >> 32) % left;
        numbers.swap(taken, taken + lot as usize);
    }
    ShardSet::of(capacity, numbers[..working as usize].iter().copied()).unwrap()
}
