use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::consistent_hash::{Membership, State};

use super::shares::shares;
use super::table::{NOBODY, Table};

/// How far the owners are from their shares.
pub(super) struct Owners {
    /// Whether each node may own slots.
    pub(super) fit: Box<[bool]>,
    target: Vec<u64>,
    have: Vec<u64>,
}

impl Owners {
    pub(super) fn new(membership: &Membership, table: &Table) -> Self {
        let members = membership.members();
        let fit: Box<[bool]> = members.iter().map(|m| membership.is_eligible(m)).collect();
        let weights = weights(membership);
        let mut have = vec![0; members.len()];
        for owner in table.owners.iter().filter(|owner| **owner != NOBODY) {
            have[*owner as usize] += 1;
        }
        Owners {
            fit,
            target: shares(table.owners.len() as u64, &weights),
            have,
        }
    }

    fn lacks(&self, node: u32) -> u64 {
        let node = node as usize;
        self.target[node].saturating_sub(self.have[node])
    }

    fn exceeds(&self, node: u32) -> u64 {
        let node = node as usize;
        self.have[node].saturating_sub(self.target[node])
    }

    /// How many slots have to move at the least.
    pub(super) fn missing(&self) -> u64 {
        (0..self.have.len() as u32)
            .map(|node| self.lacks(node))
            .sum()
    }

    fn pass(&mut self, from: u32, to: u32) {
        if from != NOBODY {
            self.have[from as usize] -= 1;
        }
        self.have[to as usize] += 1;
    }

    /// Makes owners of those that have copies, where the owner has too many
    /// slots and they have too few. It copies nothing, so it is for nothing.
    pub(super) fn promote(&mut self, table: &mut Table) {
        for slot in 0..table.owners.len() {
            let owner = table.owners[slot];
            if owner == NOBODY || self.exceeds(owner) == 0 {
                continue;
            }
            let copies = table.copies(slot).iter().enumerate();
            let best = copies
                .filter(|(_, copy)| **copy != NOBODY && self.lacks(**copy) > 0)
                .map(|(at, copy)| (self.lacks(*copy), Reverse(*copy), at))
                .max();
            if let Some((_, Reverse(copy), at)) = best {
                table.owners[slot] = copy;
                table.copies_mut(slot)[at] = owner;
                self.pass(owner, copy);
            }
        }
    }

    /// Moves slots to those that have too few, the most urgent first, until
    /// the budget is spent.
    pub(super) fn level(&mut self, membership: &Membership, table: &mut Table, budget: &mut u64) {
        let mut leaving = self.leaving(membership, table, *budget);
        leaving.sort_unstable();
        let arriving = self.arriving(leaving.len());
        *budget -= leaving.len() as u64;
        // From the lowest slot up and node by node, so that each has ranges
        // that are as long as can be.
        for (slot, to) in leaving.iter().zip(arriving) {
            self.pass(table.owners[*slot], to);
            table.owners[*slot] = to;
        }
    }

    /// Which slots move, no more than so many: those that nobody who is alive
    /// owns, those of nodes that are to own none, and then of whoever has the
    /// most too many, the highest ones of each.
    fn leaving(&self, membership: &Membership, table: &Table, most: u64) -> Vec<usize> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let is_down = |owner: u32| {
            owner == NOBODY
                || membership.state(&membership.members()[owner as usize]) == State::Down
        };
        let is_fit = |owner: u32| owner != NOBODY && self.fit[owner as usize];
        let unfit = |down: bool| {
            let owners = table.owners.iter().enumerate();
            owners
                .filter(move |(_, owner)| !is_fit(**owner) && is_down(**owner) == down)
                .map(|(slot, _)| slot)
        };
        let mut leaving: Vec<usize> = unfit(true).chain(unfit(false)).take(most).collect();

        let mut heap: BinaryHeap<(u64, Reverse<u32>)> = (0u32..)
            .zip(&self.fit)
            .filter(|(_, fit)| **fit)
            .map(|(node, _)| (self.exceeds(node), Reverse(node)))
            .filter(|(exceeds, _)| *exceeds > 0)
            .collect();
        let mut gives = vec![0u64; self.have.len()];
        for _ in leaving.len()..most {
            let Some((exceeds, Reverse(node))) = heap.pop() else {
                break;
            };
            gives[node as usize] += 1;
            if exceeds > 1 {
                heap.push((exceeds - 1, Reverse(node)));
            }
        }
        for (slot, owner) in table.owners.iter().enumerate().rev() {
            if let Some(gives) = gives.get_mut(*owner as usize).filter(|gives| **gives > 0) {
                *gives -= 1;
                leaving.push(slot);
            }
        }
        leaving
    }

    /// To whom so many slots go, node by node: each in its turn to whoever has
    /// the most too few.
    fn arriving(&self, count: usize) -> impl Iterator<Item = u32> + use<> {
        let mut heap: BinaryHeap<(u64, Reverse<u32>)> = (0..self.have.len() as u32)
            .map(|node| (self.lacks(node), Reverse(node)))
            .filter(|(lacks, _)| *lacks > 0)
            .collect();
        let mut takes = vec![0usize; self.have.len()];
        for _ in 0..count {
            // As many are missing as there are too many.
            let Some((lacks, Reverse(node))) = heap.pop() else {
                break;
            };
            takes[node as usize] += 1;
            heap.push((lacks - 1, Reverse(node)));
        }
        (0u32..)
            .zip(takes)
            .flat_map(|(node, takes)| std::iter::repeat_n(node, takes))
    }
}

/// What each node weighs that may own slots, and nothing of the others.
pub(super) fn weights(membership: &Membership) -> Vec<u64> {
    let members = membership.members().iter();
    members
        .map(|m| u64::from(m.weight()) * u64::from(membership.is_eligible(m)))
        .collect()
}
