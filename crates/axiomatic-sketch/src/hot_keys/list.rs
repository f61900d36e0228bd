//! The list itself: what is done to it under its lock.

use std::sync::Arc;

use super::slots_cell::Slots;

/// The keys of the list, slot by slot.
#[derive(Debug)]
pub(super) struct List {
    entries: Vec<Entry>,
    /// How many there may be, for which the memory is there.
    room: usize,
}

/// A key of the list.
#[derive(Debug)]
pub(super) struct Entry {
    /// What is kept of the key.
    pub(super) key: Arc<[u8]>,
    pub(super) hash: u64,
    /// How often it may have been recorded before it came in. What it was
    /// recorded since stands in its slot.
    before: u64,
}

/// A key that wants to get in, made before the lock is taken.
pub(super) struct Candidate {
    pub(super) key: Arc<[u8]>,
    pub(super) hash: u64,
    /// How often it was recorded just now.
    pub(super) records: u32,
    /// How often it was recorded in all, at most.
    pub(super) at_most: u64,
}

/// What became of a candidate.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    CameIn,
    /// Another thread was faster.
    WasThere,
    Refused,
}

impl List {
    /// Room for so many, or nothing if there is no memory.
    pub(super) fn new(keys: u16) -> Option<Self> {
        let (mut entries, room) = (Vec::new(), usize::from(keys));
        entries.try_reserve_exact(room).ok()?;
        Some(List { entries, room })
    }

    /// A key that is above the least one takes its place, and counts for no
    /// more than that one and what was recorded of it just now: the step of
    /// Space-Saving. The bytes that are no longer needed are the caller's, to
    /// be dropped once it has given the lock back.
    pub(super) fn admit(
        &mut self,
        candidate: Candidate,
        slots: &Slots,
    ) -> (Admission, Option<Arc<[u8]>>) {
        let Candidate {
            key,
            hash,
            records,
            at_most,
        } = candidate;
        // Nobody else moves keys now: who is there stays.
        if slots
            .find(hash)
            .is_some_and(|found| slots.count(found, records))
        {
            return (Admission::WasThere, Some(key));
        }
        let slot = self.entries.len();
        if slot < self.room {
            slots.fill(slot, None, hash, records);
            let before = 0;
            self.entries.push(Entry { key, hash, before });
            self.set_floor(slots);
            return (Admission::CameIn, None);
        }
        let [(least, slot), (next, _)] = self.least(slots);
        if at_most <= least {
            slots.set_floor(least);
            return (Admission::Refused, Some(key));
        }
        let before = least.min(at_most.saturating_sub(u64::from(records)));
        let entry = &mut self.entries[slot];
        slots.fill(slot, Some(entry.hash), hash, records);
        let left = std::mem::replace(entry, Entry { key, hash, before });
        slots.set_floor(next.min(before.saturating_add(u64::from(records))));
        (Admission::CameIn, Some(left.key))
    }

    /// Halves all counts, rounding down.
    pub(super) fn halve(&mut self, slots: &Slots) {
        for (slot, entry) in self.entries.iter_mut().enumerate() {
            let (was, is) = slots.halve(slot);
            // Of the sum and not one by one: or two halves would be lost.
            entry.before = (entry.before + was) / 2 - is;
        }
    }

    /// Tells what a key has to be above to get in.
    pub(super) fn set_floor(&self, slots: &Slots) {
        let is_full = self.entries.len() == self.room;
        slots.set_floor(if is_full { self.least(slots)[0].0 } else { 0 });
    }

    /// Each key, how often it was recorded while it was in the list, and how
    /// often in all, as far as the list knows.
    pub(super) fn each(&self, slots: &Slots) -> impl Iterator<Item = (&Entry, u64, u64)> {
        self.entries.iter().enumerate().map(|(slot, entry)| {
            let records = slots.records(slot);
            (entry, records, entry.before.saturating_add(records))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The least count and the one after it, each with its slot: one look at
    /// all of them, since others may want the lock.
    fn least(&self, slots: &Slots) -> [(u64, usize); 2] {
        let mut least = [(u64::MAX, 0); 2];
        for (slot, (_, _, count)) in self.each(slots).enumerate() {
            if count < least[0].0 {
                least = [(count, slot), least[0]];
            } else if count < least[1].0 {
                least[1] = (count, slot);
            }
        }
        least
    }
}
