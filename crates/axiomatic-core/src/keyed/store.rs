use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use papaya::{Guard, HashMap, LocalGuard};
use seize::Collector;

use super::entry::{AsIs, ByKey, BySlot, Key, Place, Stored, Ticket};
use super::grace_cell::Graces;
use super::hand::{Hand, LOOKS, MOST_TICKETS, NO_ROUND, Walk};
use super::phase_cell::{Look, Phase};
use super::slots_cell::{LIVE, Slots};
use super::{Found, Full, Idle, Owner, Snapshot, WhenFull};
use crate::number_cell::Tally;
use crate::sync::spread;
use crate::time::Instant;

/// Values by key, in bounded memory. See [the module](super).
pub struct Keyed<K, V> {
    map: HashMap<Key<K>, Stored<V>, AsIs>,
    secret: RandomState,
    make: Box<Make<K, V>>,
    overflow: Overflow<V>,
    slots: Arc<Slots>,
    /// How few free places make an insertion look for more.
    scarce: u32,
    hand: Mutex<Hand>,
    /// One ticket, which the next replaces and so retires.
    tickets: HashMap<u8, Ticket, AsIs>,
    graces: Arc<Graces>,
    evictions: Tally,
    shared: Tally,
    refused: Tally,
    admitted: Tally,
}

type Make<K, V> = dyn Fn(Owner<'_, K>) -> V + Send + Sync;

enum Overflow<V> {
    Shared(V),
    Refuse,
    Admit,
}

impl<K, V> Keyed<K, V>
where
    K: Hash + Eq + Send + 'static,
    V: Idle + Send + 'static,
{
    /// A store with places for `cap` keys, which makes values with `make`.
    ///
    /// `make` runs when a key is new, and once for [`Owner::Shared`], here, if
    /// there is to be a shared value. Two threads that insert a key at the
    /// same time may both make a value; both get the one that came first, and
    /// the other is dropped unused.
    pub fn new(
        cap: NonZeroU32,
        when_full: WhenFull,
        make: impl Fn(Owner<'_, K>) -> V + Send + Sync + 'static,
    ) -> Self {
        let collector = Arc::new(Collector::new());
        let overflow = match when_full {
            WhenFull::Shared => Overflow::Shared(make(Owner::Shared)),
            WhenFull::Refuse => Overflow::Refuse,
            WhenFull::Admit => Overflow::Admit,
        };
        Keyed {
            map: HashMap::builder()
                .hasher(AsIs::default())
                .shared_collector(Arc::clone(&collector))
                .build(),
            secret: RandomState::new(),
            make: Box::new(make),
            overflow,
            slots: Arc::new(Slots::new(cap.get())),
            scarce: (cap.get() / 16).min(64),
            hand: Mutex::new(Hand::over(cap.get())),
            tickets: HashMap::builder()
                .hasher(AsIs::default())
                .shared_collector(collector)
                .build(),
            graces: Arc::new(Graces::new()),
            evictions: Tally::new(),
            shared: Tally::new(),
            refused: Tally::new(),
            admitted: Tally::new(),
        }
    }

    /// Looks a key up, inserts it if it is new and there is a place, and hands
    /// what it found to `found`.
    ///
    /// While `found` runs, nothing that is evicted anywhere in the store
    /// gives its place back. So it should ask and tell, and not wait.
    #[inline]
    pub fn with<Q, R>(&self, key: &Q, now: Instant, found: impl FnOnce(Found<&V>) -> R) -> R
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        let key = self.keyed(key);
        let guard = self.map.guard();
        if let Some(stored) = self.map.get(&key, &guard) {
            if stored.phase.hold() {
                return found(Found::Own(&stored.value));
            }
        }
        drop(guard);
        self.insert(&key, now, found)
    }

    /// Looks a key up as [`with`](Keyed::with) does, and returns a clone of
    /// what it found. Cloning a handle writes its reference count, which is a
    /// line shared by all who use the key.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is not general over the borrow, the closure is"
    )]
    pub fn find<Q>(&self, key: &Q, now: Instant) -> Found<V>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
        V: Clone,
    {
        self.with(key, now, |found| found.cloned())
    }

    /// Forgets a key, whatever its value says; false if it was not there.
    /// Who was handed the value before may still use it, and what it then
    /// records is lost.
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        let key = self.keyed(key);
        let guard = self.map.guard();
        let removed = self.map.remove(&key, &guard).is_some();
        if removed {
            self.reclaim(NO_ROUND, &guard);
        }
        removed
    }

    /// Evicts all values that are idle, and returns how many. It leaves out
    /// those that somebody may be using right now, and all of them if another
    /// thread is evicting.
    pub fn evict_idle(&self, now: Instant) -> usize {
        self.try_hand().map_or(0, |mut hand| {
            let walk = hand.walk;
            self.sweep(&mut hand, walk, self.slots.cap(), now)
        })
    }

    /// Shows every key with its value, in no order. Keys that come or go
    /// meanwhile may be left out.
    pub fn for_each(&self, mut each: impl FnMut(&K, &V)) {
        let guard = self.map.guard();
        for (key, stored) in self.map.iter(&guard) {
            if stored.phase.hold() {
                each(&key.key, &stored.value);
            }
        }
    }

    /// What it is like now.
    pub fn snapshot(&self) -> Snapshot {
        let live = self.map.len() as u32;
        Snapshot {
            live,
            leaving: self.slots.taken().saturating_sub(live),
            cap: self.slots.cap(),
            evictions: self.evictions.load(),
            shared: self.shared.load(),
            refused: self.refused.load(),
            admitted: self.admitted.load(),
        }
    }

    #[inline]
    fn keyed<'a, Q: ?Sized + Hash>(&self, key: &'a Q) -> ByKey<'a, Q> {
        ByKey {
            hash: self.secret.hash_one(key) | LIVE,
            key,
        }
    }

    /// The way of a key that was not found.
    #[cold]
    fn insert<Q, R>(
        &self,
        key: &ByKey<'_, Q>,
        now: Instant,
        found: impl FnOnce(Found<&V>) -> R,
    ) -> R
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        if self.slots.cap() - self.slots.taken() <= self.scarce {
            if let Some(mut hand) = self.try_hand() {
                let walk = hand.walk;
                hand.walk = walk.skip(LOOKS);
                self.sweep(&mut hand, walk, LOOKS.min(self.slots.cap()), now);
            }
        }
        let Some(place) = Place::reserve(&self.slots) else {
            return self.full(key, found);
        };
        let slot = place.slot;
        let mut owned = K::from(key.key.to_owned());
        let mut stored = Stored {
            value: (self.make)(Owner::Key(&owned)),
            phase: Phase::new(),
            place,
        };
        // Before the map has it, so that the hand never misses it.
        self.slots.occupy(slot, key.hash);
        loop {
            let guard = self.map.guard();
            let hash = key.hash;
            let entry = Key {
                hash,
                slot,
                key: owned,
            };
            match self.map.try_insert(entry, stored, &guard) {
                Ok(stored) => return found(Found::Own(&stored.value)),
                Err(error) => {
                    if error.current.phase.hold() {
                        // Another inserted it: its value counts.
                        drop(error.not_inserted);
                        return found(Found::Own(&error.current.value));
                    }
                    // What is there is being evicted. Whoever does it is
                    // helped, not waited for.
                    self.bury(hash, error.current.place.slot, &guard);
                    self.reclaim(NO_ROUND, &guard);
                    stored = error.not_inserted;
                    owned = K::from(key.key.to_owned());
                }
            }
        }
    }

    /// The way of a key for which there is no place.
    fn full<Q, R>(&self, key: &ByKey<'_, Q>, found: impl FnOnce(Found<&V>) -> R) -> R
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq,
    {
        // The last place may just have been taken for this key.
        let guard = self.map.guard();
        if let Some(stored) = self.map.get(key, &guard) {
            if stored.phase.hold() {
                return found(Found::Own(&stored.value));
            }
        }
        drop(guard);
        match &self.overflow {
            Overflow::Shared(value) => {
                self.shared.count();
                found(Found::Shared(value))
            }
            Overflow::Refuse => {
                self.refused.count();
                found(Found::Full(Full::Refuse))
            }
            Overflow::Admit => {
                self.admitted.count();
                found(Found::Full(Full::Admit))
            }
        }
    }

    fn try_hand(&self) -> Option<std::sync::MutexGuard<'_, Hand>> {
        match self.hand.try_lock() {
            Ok(hand) => Some(hand),
            Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Goes over some places: closes what is idle, and lets go what was
    /// closed, has had its grace and is idle still. If nobody else is inside,
    /// the grace passes at once, and a second look lets go what the first
    /// closed. Returns how many it let go.
    fn sweep(&self, hand: &mut Hand, walk: Walk, count: u32, now: Instant) -> usize {
        let places = (0..count).map(|step| walk.skip(step).place);
        let round = hand.round;
        let may_close = self.graces.out() < MOST_TICKETS;
        let mut evicted = 0;
        let mut waiting = false;
        let guard = self.map.guard();
        for place in places.clone() {
            self.look_at(place, &guard, |key, stored| match stored.phase.look() {
                Look::Live if may_close && stored.value.is_idle(now) => {
                    stored.phase.close(round);
                    waiting = true;
                }
                Look::Closed(since) if self.graces.has_passed(since) => {
                    evicted += self.let_go(key, stored, since, now, &guard);
                }
                Look::Closed(_) => waiting = true,
                Look::Live | Look::Gone => {}
            });
        }
        if waiting && may_close {
            // The barrier in here is the one that closing relies on.
            self.reclaim(round, &guard);
            hand.round += 1;
        } else if waiting || evicted > 0 {
            self.reclaim(NO_ROUND, &guard);
        }
        drop(guard);
        if waiting && self.graces.has_passed(round) {
            let guard = self.map.guard();
            let before = evicted;
            for place in places {
                self.look_at(place, &guard, |key, stored| {
                    if let Look::Closed(since) = stored.phase.look() {
                        evicted += self.let_go(key, stored, since, now, &guard);
                    }
                });
            }
            if evicted > before {
                self.reclaim(NO_ROUND, &guard);
            }
        }
        evicted
    }

    fn look_at(&self, slot: u32, guard: &LocalGuard<'_>, look: impl FnOnce(&BySlot, &Stored<V>)) {
        if let Some(hash) = self.slots.hash(slot) {
            let key = BySlot { hash, slot };
            if let Some(stored) = self.map.get(&key, guard) {
                look(&key, stored);
            }
        }
    }

    /// Makes the collector wait for those who are inside, to drop what this
    /// thread retired: now, since the thread may never come back to do it. For
    /// each one inside it needs one thing retired, and so is given tickets, as
    /// many as cores can be busy. Should more be inside, everything stays with
    /// this thread and counts the next time.
    ///
    /// A ticket that is replaced here and not by its own round's hand is
    /// retired later than that round's closings all the same.
    fn reclaim(&self, round: u64, guard: &LocalGuard<'_>) {
        if self.graces.out() < MOST_TICKETS {
            // The first to be retired is the one that was there.
            for _ in 0..=spread() {
                let ticket = Ticket::new(&self.graces, round);
                self.tickets.insert(0, ticket, guard);
            }
        }
        guard.flush();
    }

    /// Lets a value go that was closed in a round which has had its grace.
    fn let_go(
        &self,
        key: &BySlot,
        stored: &Stored<V>,
        since: u64,
        now: Instant,
        guard: &LocalGuard<'_>,
    ) -> usize {
        if !stored.value.is_idle(now) {
            stored.phase.reopen(since);
            return 0;
        }
        if !stored.phase.go(since) {
            return 0;
        }
        usize::from(self.bury(key.hash, key.slot, guard))
    }

    /// Removes an entry that is gone; false if a helper did.
    fn bury(&self, hash: u64, slot: u32, guard: &LocalGuard<'_>) -> bool {
        let buried = self.map.remove(&BySlot { hash, slot }, guard).is_some();
        if buried {
            self.evictions.count();
        }
        buried
    }
}

impl<K, V> fmt::Debug for Keyed<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}
