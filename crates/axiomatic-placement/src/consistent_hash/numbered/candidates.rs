use std::iter::FusedIterator;

use axiomatic_core::hash::mix;

use super::NumberedShards;

/// How many owners are asked for before the rest comes in a rotation. Who
/// has found this many shards unavailable has other troubles than an uneven
/// load; and they fit into an iterator without memory of its own.
const DRAWS: usize = 32;

/// The owner, the owners of rehashed keys, and then the rest in a rotation.
#[derive(Clone, Debug)]
pub(super) struct Rehashed<S> {
    shards: S,
    hash: u64,
    /// How many owners were asked for.
    drawn: usize,
    /// Whom they were, each once: the first `found`.
    owners: [u32; DRAWS],
    found: usize,
    /// How far the rotation went from the first owner.
    turned: u32,
}

impl<S: NumberedShards> Rehashed<S> {
    pub(super) fn new(shards: S, hash: u64) -> Self {
        Rehashed {
            shards,
            hash,
            drawn: 0,
            owners: [0; DRAWS],
            found: 0,
            turned: 0,
        }
    }

    fn draw(&mut self) -> u32 {
        let hash = match self.drawn {
            0 => self.hash,
            again => mix(self.hash.wrapping_add(again as u64)),
        };
        self.drawn += 1;
        self.shards.owner(hash)
    }

    fn is_known(&self, shard: u32) -> bool {
        self.owners[..self.found].contains(&shard)
    }
}

impl<S: NumberedShards> Iterator for Rehashed<S> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let count = self.shards.count();
        while self.drawn < DRAWS && self.found < count as usize {
            let shard = self.draw();
            if !self.is_known(shard) {
                self.owners[self.found] = shard;
                self.found += 1;
                return Some(shard);
            }
        }
        while self.turned + 1 < count {
            self.turned += 1;
            // Both are below 2^31.
            let shard = (self.owners[0] + self.turned) % count;
            if !self.is_known(shard) {
                return Some(shard);
            }
        }
        None
    }
}

impl<S: NumberedShards> FusedIterator for Rehashed<S> {}
