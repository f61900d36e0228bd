//! Shards that are known by their numbers.

use axiomatic_placement::consistent_hash::{Jump, JumpBack, ShardSet};

mod balance;
mod candidates;
mod golden;
mod movement;
mod oracle;
mod published;
mod stored;

use crate::support::hashes;

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
