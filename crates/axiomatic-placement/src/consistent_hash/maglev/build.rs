use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use crate::consistent_hash::membership::Member;

/// A node's list of slots, from the one it would like best: every `skip`-th.
/// The list itself is never written down; it would be as long as the table.
struct List {
    member: u32,
    next: u32,
    /// From each slot to the next one, to the one behind that, and so on.
    skips: [u32; 4],
    weight: u32,
}

/// Fills the table: the members in turn take the best slot of their list that
/// is free, those of less weight by leaving out turns.
pub(super) fn owners(members: &[Member], slots: u32, seed: Seed) -> Box<[u32]> {
    let mut lists = lists(members, slots, seed);
    let mut taken = Taken::new(slots);
    let mut owners = vec![0; slots as usize];
    for turn in turns(&lists).take(slots as usize) {
        let list = &mut lists[turn];
        owners[list.take(&mut taken, slots) as usize] = list.member;
    }
    owners.into()
}

/// Whose turn it is, without end. In each round everybody is asked, and takes
/// a slot if as many rounds times its own weight are no less than its slots so
/// far times the greatest weight.
fn turns(lists: &[List]) -> Box<dyn Iterator<Item = usize>> {
    let count = lists.len();
    let weights: Vec<u64> = lists.iter().map(|list| u64::from(list.weight)).collect();
    let most = weights.iter().copied().max().unwrap_or(1);
    if weights.iter().all(|weight| *weight == most) {
        return Box::new((0..count).cycle());
    }
    // By the round of the next turn. Asking everybody in each round instead
    // would be the slower, the more unequal the weights are.
    let mut due: BinaryHeap<_> = (0..count).map(|list| Reverse((1, list))).collect();
    let mut slots = vec![0; count];
    Box::new(iter::from_fn(move || {
        let mut first = due.peek_mut()?;
        let Reverse((round, list)) = *first;
        slots[list] += 1;
        let next = (slots[list] * most).div_ceil(weights[list]);
        *first = Reverse((next.max(round + 1), list));
        Some(list)
    }))
}

fn lists(members: &[Member], slots: u32, seed: Seed) -> Vec<List> {
    // Two hashes of the identity, by neighbouring seeds.
    let [first, second] = [seed, seed.next()].map(|seed| Hasher::new(Algorithm::Xxh64, seed));
    let weighty = members.iter().filter(|member| member.weight() > 0);
    weighty
        .map(|member| List {
            member: member.index() as u32,
            next: (first.hash(member.id()) % u64::from(slots)) as u32,
            skips: {
                let skip = second.hash(member.id()) % u64::from(slots - 1) + 1;
                [1, 2, 3, 4].map(|times| (skip * times % u64::from(slots)) as u32)
            },
            weight: member.weight(),
        })
        .collect()
}

impl List {
    /// Looks at four slots at once, none of which waits for the one before it
    /// to be known: when the table is nearly full, most are taken.
    #[inline]
    fn take(&mut self, taken: &mut Taken, slots: u32) -> u32 {
        // Slots are fewer than 2^31, and skips fewer than slots.
        let after = |slot: u32, skip: u32| {
            let next = slot + skip;
            next.min(next.wrapping_sub(slots))
        };
        let [one, two, three, four] = self.skips;
        loop {
            let next = self.next;
            let some = [next, after(next, one), after(next, two), after(next, three)];
            let free = (0..).zip(some).map(|(at, slot)| taken.is_free(slot) << at);
            let free: u32 = free.sum();
            if free != 0 {
                let slot = some[free.trailing_zeros() as usize];
                taken.take(slot);
                self.next = after(slot, one);
                return slot;
            }
            self.next = after(next, four);
        }
    }
}

/// Which slots are taken, a bit each: an eighth of a byte is looked at where
/// the table itself would be four, and most looks find nothing free.
struct Taken(Vec<u64>);

impl Taken {
    fn new(slots: u32) -> Self {
        Taken(vec![0; slots.div_ceil(64) as usize])
    }

    /// 1, or 0 if it is taken.
    #[inline]
    fn is_free(&self, slot: u32) -> u32 {
        (!self.0[slot as usize / 64] >> (slot % 64)) as u32 & 1
    }

    #[inline]
    fn take(&mut self, slot: u32) {
        self.0[slot as usize / 64] |= 1 << (slot % 64);
    }
}
