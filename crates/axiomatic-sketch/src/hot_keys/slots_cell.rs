//! What records read of the list without its lock: which keys are in it, how
//! often they were recorded since, and what it takes to get in.

use axiomatic_core::sync::{AtomicU64, Ordering};

/// The keys of the list, for those who do not have the lock.
#[derive(Debug)]
pub(super) struct Slots {
    places: Places,
    slots: Box<[Slot]>,
    floor: Floor,
}

/// Where a key was in the list when it was looked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    slot: usize,
    generation: u64,
}

/// Where in the list a key is: a table of hashes with open addressing, four
/// places a key or more, so that the first one that is looked at decides as a
/// rule.
///
/// Layout    of each place | 63..32 lower half of the hash | 31..16 the slot's
///           generation | 15..0 the slot, counted from one |, or 0 if it is
///           empty. A key is in the first place that is free from where the
///           upper bits of its hash point.
/// Invariant while nobody has the lock: every key of the list is in it once, and
///           no place between where it is and where its hash points is empty.
/// Writers   `insert`, `remove`, under the list's lock.
/// Readers   `load`: without the lock it may miss a key while others are moved,
///           and may find one that has just left.
/// Orderings all Relaxed: what a place says is checked against the slot, and a
///           key that is missed goes to the lock. Whoever has the lock sees
///           what others wrote under it.
#[derive(Debug)]
struct Places(Box<[AtomicU64]>);

/// A key of the list, by its hash, and how often it was recorded since it came
/// in.
///
/// Layout    the hash; and | 63..48 generation | 47..0 records |.
/// Invariant a generation belongs to one key: records are counted by an exchange
///           that fails if there is another one by then. They are never counted
///           for another key, unless that thread slept while 65,536 keys came
///           and went in this slot. Records never wrap.
/// Writers   `count`, without the lock; `fill`, `halve`, under it.
/// Readers   `hash`, `records`.
/// Orderings all Relaxed: steps on one word have one order, and a hash that is
///           not yet the new one only sends its key to the lock.
#[derive(Debug)]
struct Slot {
    hash: AtomicU64,
    word: AtomicU64,
}

/// What a key has to be above to get into the list.
///
/// Layout    a count.
/// Invariant no more than the least count of the list, but while it is aged.
/// Writers   `store`, under the list's lock. Readers `load`.
/// Orderings all Relaxed: a hint; who comes too early is told under the lock.
#[derive(Debug)]
struct Floor(AtomicU64);

/// The most records that a slot holds.
const MOST: u64 = (1 << 48) - 1;

impl Slots {
    /// Room for so many keys, up to 65,535; or nothing if there is no memory.
    pub(super) fn new(keys: u16) -> Option<Self> {
        let places = (4 * usize::from(keys)).next_power_of_two();
        Some(Slots {
            places: Places(filled(places, || AtomicU64::new(0))?),
            slots: filled(usize::from(keys), Slot::new)?,
            floor: Floor(AtomicU64::new(0)),
        })
    }

    /// Where the key with this hash is, if it is in the list.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64) -> Option<Found> {
        let mut at = self.places.home(hash);
        for _ in 0..self.places.0.len() {
            let (half, found) = parts(self.places.load(at))?;
            // Half of a hash is not a key.
            if half == hash & HALF && self.slots[found.slot].hash() == hash {
                return Some(found);
            }
            at = self.places.after(at);
        }
        None
    }

    /// Counts so many for the key that was found there, if it still is.
    #[inline(always)]
    pub(super) fn count(&self, found: Found, records: u32) -> bool {
        self.slots[found.slot].count(found.generation, records)
    }

    /// How often the key in this slot was recorded since it came in.
    pub(super) fn records(&self, slot: usize) -> u64 {
        self.slots[slot].records()
    }

    /// Puts a key, recorded so often, into a slot; `left` is the hash of the one
    /// that was there. Under the lock.
    pub(super) fn fill(&self, slot: usize, left: Option<u64>, hash: u64, records: u32) {
        if let Some(left) = left {
            let places = &self.places;
            places.remove(left, slot, |slot| self.slots[slot].hash());
        }
        let generation = self.slots[slot].fill(hash, records);
        self.places.insert(hash, generation, slot);
    }

    /// Halves the records of a slot, and says what they were and are. Under the
    /// lock.
    pub(super) fn halve(&self, slot: usize) -> (u64, u64) {
        self.slots[slot].halve()
    }

    /// What a key has to be above to get in.
    #[inline(always)]
    pub(super) fn floor(&self) -> u64 {
        self.floor.load()
    }

    /// Under the lock.
    pub(super) fn set_floor(&self, floor: u64) {
        self.floor.store(floor);
    }
}

/// The lower half of a hash.
const HALF: u64 = 0xffff_ffff;

/// Half of the hash that a place has, and where it points.
#[inline(always)]
fn parts(place: u64) -> Option<(u64, Found)> {
    let slot = (place & 0xffff).checked_sub(1)? as usize;
    let generation = (place >> 16) & 0xffff;
    Some((place >> 32, Found { slot, generation }))
}

impl Places {
    /// Where the search for a hash begins.
    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        // There are four at least.
        (hash >> (64 - self.0.len().trailing_zeros())) as usize
    }

    #[inline(always)]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.0.len() - 1)
    }

    #[inline(always)]
    fn load(&self, at: usize) -> u64 {
        // ORDERING: Relaxed: checked against the slot by those without the
        // lock; the lock's holder sees what was written under it.
        self.0[at].load(Ordering::Relaxed)
    }

    fn store(&self, at: usize, place: u64) {
        // ORDERING: Relaxed: as `load`.
        self.0[at].store(place, Ordering::Relaxed);
    }

    fn insert(&self, hash: u64, generation: u64, slot: usize) {
        let mut at = self.home(hash);
        // Three of four are empty.
        while self.load(at) != 0 {
            at = self.after(at);
        }
        let place = (hash << 32) | (generation << 16) | (slot as u64 + 1);
        self.store(at, place);
    }

    /// Takes out the place of this slot, and moves up those behind it that
    /// would not be found beyond an empty one.
    fn remove(&self, hash: u64, slot: usize, hash_of: impl Fn(usize) -> u64) {
        let mut hole = self.home(hash);
        while parts(self.load(hole)).is_some_and(|(_, found)| found.slot != slot) {
            hole = self.after(hole);
        }
        let distance = |from: usize, to: usize| to.wrapping_sub(from) & (self.0.len() - 1);
        let mut at = self.after(hole);
        while let Some((_, found)) = parts(self.load(at)) {
            let home = self.home(hash_of(found.slot));
            if distance(home, at) >= distance(hole, at) {
                self.store(hole, self.load(at));
                hole = at;
            }
            at = self.after(at);
        }
        self.store(hole, 0);
    }
}

impl Slot {
    fn new() -> Self {
        Slot {
            hash: AtomicU64::new(0),
            word: AtomicU64::new(0),
        }
    }

    #[inline(always)]
    fn hash(&self) -> u64 {
        // ORDERING: Relaxed: an old one only sends its key to the lock.
        self.hash.load(Ordering::Relaxed)
    }

    fn records(&self) -> u64 {
        // ORDERING: Relaxed: a count; no other memory is read on its strength.
        self.word.load(Ordering::Relaxed) & MOST
    }

    /// Counts, if the slot is still of this generation.
    ///
    /// Linearises at the exchange. A lost race is another's record, which is
    /// then counted first, or another key, and then this says no. Lock-free:
    /// one that loses lets another get on.
    #[inline(always)]
    fn count(&self, generation: u64, count: u32) -> bool {
        // ORDERING: Relaxed: the exchange tells if it was not the newest.
        let mut seen = self.word.load(Ordering::Relaxed);
        while seen >> 48 == generation {
            let records = ((seen & MOST) + u64::from(count)).min(MOST);
            let exchange = self.word.compare_exchange_weak(
                seen,
                (generation << 48) | records,
                // ORDERING: Relaxed: a count; no other memory is read on its
                // strength.
                Ordering::Relaxed,
                // ORDERING: Relaxed: only to try again.
                Ordering::Relaxed,
            );
            match exchange {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Becomes another key's, and says of which generation.
    ///
    /// Linearises at the exchange of the word. A lost race is a record of the
    /// key that leaves, and leaves with it. Lock-free: one that loses lets
    /// another get on.
    fn fill(&self, hash: u64, records: u32) -> u64 {
        // ORDERING: Relaxed: an old one only sends its key to the lock.
        self.hash.store(hash, Ordering::Relaxed);
        let filled = self.change(|word| {
            let generation = (word >> 48).wrapping_add(1) & 0xffff;
            (generation << 48) | u64::from(records)
        });
        filled.1 >> 48
    }

    /// Halves the records, rounding down, and says what they were and are.
    ///
    /// Linearises at the exchange. A lost race is a record, which is halved with
    /// the rest. Lock-free: one that loses lets another get on.
    fn halve(&self) -> (u64, u64) {
        let (was, is) = self.change(|word| (word & !MOST) | ((word & MOST) / 2));
        (was & MOST, is & MOST)
    }

    /// Replaces the word by what `f` makes of it: what it was, and is.
    fn change(&self, f: impl Fn(u64) -> u64) -> (u64, u64) {
        // ORDERING: Relaxed: the exchange tells if it was not the newest.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let changed = f(seen);
            let exchange = self.word.compare_exchange_weak(
                seen,
                changed,
                // ORDERING: Relaxed: a generation and a count, in one word.
                Ordering::Relaxed,
                // ORDERING: Relaxed: only to try again.
                Ordering::Relaxed,
            );
            match exchange {
                Ok(_) => return (seen, changed),
                Err(now) => seen = now,
            }
        }
    }
}

impl Floor {
    #[inline(always)]
    fn load(&self) -> u64 {
        // ORDERING: Relaxed: a hint; who comes too early is told under the
        // lock.
        self.0.load(Ordering::Relaxed)
    }

    fn store(&self, floor: u64) {
        // ORDERING: Relaxed: a hint; only the lock's holder writes it.
        self.0.store(floor, Ordering::Relaxed);
    }
}

/// So many new ones, or nothing if there is no memory for them.
fn filled<T>(count: usize, new: impl FnMut() -> T) -> Option<Box<[T]>> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).ok()?;
    all.resize_with(count, new);
    Some(all.into_boxed_slice())
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Hashes that meet: eight homes, and what wraps around the end.
        #[test]
        fn whatever_comes_and_goes_who_is_in_the_list_is_found(
            steps in proptest::collection::vec((0_usize..6, 0_u64..8, 0_u64..4), 0..60)
        ) {
            let slots = Slots::new(6).unwrap();
            let mut list: [Option<u64>; 6] = [None; 6];
            for (slot, home, low) in steps {
                let hash = (home << 61) | (0x1f << 56) | low;
                if list.contains(&Some(hash)) {
                    prop_assert!(slots.count(slots.find(hash).unwrap(), 1));
                    continue;
                }
                slots.fill(slot, list[slot], hash, 1);
                let left = list[slot].replace(hash);
                prop_assert!(left.is_none_or(|left| slots.find(left).is_none()));
                for (slot, hash) in list.iter().enumerate() {
                    if let Some(hash) = hash {
                        prop_assert_eq!(slots.find(*hash).map(|found| found.slot), Some(slot));
                    }
                }
            }
            let empty = slots.places.0.iter().filter(|place| place.load(Ordering::Relaxed) == 0);
            let listed = list.iter().flatten().count();
            prop_assert_eq!(empty.count(), slots.places.0.len() - listed);
        }
    }

    #[test]
    fn a_record_is_not_counted_for_the_key_that_came_after() {
        let slots = Slots::new(1).unwrap();
        slots.fill(0, None, 7, 1);
        let found = slots.find(7).unwrap();
        slots.fill(0, Some(7), 8, 1);
        assert!(!slots.count(found, 1));
        assert_eq!(slots.records(0), 1);
        assert!(slots.count(slots.find(8).unwrap(), 1));
        assert_eq!(slots.records(0), 2);
    }

    #[test]
    fn records_stop_at_their_end_and_generations_begin_again() {
        let slots = Slots::new(1).unwrap();
        slots.fill(0, None, 0, 1);
        for hash in 1..70_000 {
            slots.fill(0, Some(hash - 1), hash, 1);
            assert!(slots.find(hash).is_some() && slots.find(hash - 1).is_none());
        }
        let word = &slots.slots[0].word;
        word.store(word.load(Ordering::Relaxed) | (MOST - 1), Ordering::Relaxed);
        let found = slots.find(69_999).unwrap();
        assert!(slots.count(found, 5) && slots.count(found, 5));
        assert_eq!(slots.records(0), MOST);
        assert_eq!(slots.halve(0), (MOST, MOST / 2));
        assert!(slots.count(found, 1));
    }
}
