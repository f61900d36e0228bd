use std::collections::BinaryHeap;
use std::iter::FusedIterator;

use axiomatic_core::hash::rendezvous;

use super::draws::Draws;
use super::{NumberedShards, ShardSet};

/// The working shards in the order that a hash gives them: by its first draw
/// of each, then by score.
pub(super) struct Candidates<'a> {
    shards: &'a ShardSet,
    hash: u64,
    draws: Draws,
    drawn: usize,
    /// How many came already.
    found: u32,
    /// The rest, once the draws are over and more than the first is wanted.
    rest: Option<BinaryHeap<(u64, u64)>>,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(shards: &'a ShardSet, hash: u64) -> Self {
        Candidates {
            shards,
            hash,
            draws: Draws::new(hash, shards.capacity()),
            drawn: 0,
            found: 0,
            rest: None,
        }
    }

    /// The first draws, again: cheaper than to remember them.
    fn first(&self, draws: usize) -> impl Iterator<Item = u32> + use<> {
        Draws::new(self.hash, self.shards.capacity()).take(draws)
    }

    /// The scores of the working shards that were never drawn.
    fn scores(&self) -> BinaryHeap<(u64, u64)> {
        let mut drawn: Vec<u32> = self.first(Draws::COUNT).collect();
        drawn.sort_unstable();
        let never = |shard: &u32| drawn.binary_search(shard).is_err();
        let shards = self.shards.shards().filter(never);
        shards
            .map(|shard| rendezvous(self.hash, shard.into()))
            .collect()
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.found == self.shards.count() {
            return None;
        }
        while self.drawn < Draws::COUNT {
            let shard = self.draws.next()?;
            let before = self.drawn;
            self.drawn += 1;
            if self.shards.contains(shard) && !self.first(before).any(|known| known == shard) {
                self.found += 1;
                return Some(shard);
            }
        }
        self.found += 1;
        if self.found == 1 {
            // The owner costs no memory, however few shards work.
            return Some(self.shards.best(self.hash));
        }
        if self.rest.is_none() {
            let mut scores = self.scores();
            if self.found == 2
                && self
                    .first(Draws::COUNT)
                    .all(|shard| !self.shards.contains(shard))
            {
                scores.pop(); // the owner, which came
            }
            self.rest = Some(scores);
        }
        let (_, shard) = self.rest.as_mut()?.pop()?;
        Some(shard as u32)
    }
}

impl FusedIterator for Candidates<'_> {}
