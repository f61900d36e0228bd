//! The mechanism: `&self` for everything.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::{Arc, PoisonError, TryLockError};

use axiomatic_core::hash::Hasher;
use axiomatic_core::number_cell::Tally;
use axiomatic_core::sync::Mutex;

use super::error::BuildError;
use super::list::{Admission, Candidate, List};
use super::slots_cell::Slots;
use super::snapshot::Snapshot;
use crate::count_min::{Ageing, CountMinSketch, MOST, Shape};

/// The keys that are recorded the most, in fixed memory, shared by all threads.
///
/// ```
/// use std::num::NonZeroU16;
///
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_sketch::count_min::Shape;
/// use axiomatic_sketch::hot_keys::HotKeys;
///
/// let shape = Shape::within(0.001).with_confidence(0.99)?;
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::random());
/// let hot = HotKeys::new(NonZeroU16::new(10).unwrap(), shape, hasher)?;
///
/// for request in 0..1_000_u64 {
///     hot.record(b"product:1");
///     hot.record(&request.to_le_bytes());
/// }
/// let top = hot.top();
/// assert_eq!(top[0].key(), b"product:1");
/// assert_eq!(top[0].count(), 1_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct HotKeys {
    sketch: CountMinSketch,
    slots: Slots,
    list: Mutex<List>,
    keys: NonZeroU16,
    promotions: Tally,
    missed: Tally,
}

/// A key of the list, and how often it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotKey {
    key: Arc<[u8]>,
    hash: u64,
    count: u64,
    at_least: u64,
    at_most: u64,
}

impl HotKeys {
    /// Of a longer key no more bytes than this are kept; the rest of it counts,
    /// but is not told.
    pub const LONGEST_KEY: usize = 256;

    /// An empty list of so many keys, over a sketch of this shape, whose keys
    /// are hashed so, and that ages when asked.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no memory for it, or if the hasher has fewer
    /// than 64 bits.
    pub fn new(keys: NonZeroU16, shape: Shape, hasher: Hasher) -> Result<Self, BuildError> {
        let sketch = CountMinSketch::new(shape, hasher)?;
        Ok(HotKeys {
            sketch,
            slots: Slots::new(keys.get()).ok_or(BuildError::OutOfMemory)?,
            list: Mutex::new(List::new(keys.get()).ok_or(BuildError::OutOfMemory)?),
            keys,
            promotions: Tally::new(),
            missed: Tally::new(),
        })
    }

    /// The same, which ages so.
    #[must_use]
    pub fn with_ageing(mut self, ageing: Ageing) -> Self {
        self.sketch = self.sketch.with_ageing(ageing);
        self
    }

    /// Records the key once, and says whether it is in the list.
    #[inline]
    pub fn record(&self, key: &[u8]) -> bool {
        self.record_many(key, 1)
    }

    /// Records the key so many times, and says whether it is in the list.
    #[inline]
    pub fn record_many(&self, key: &[u8], records: u32) -> bool {
        let hash = self.hasher().hash(key);
        // Looked for before the atomic steps, which no load may overtake.
        let found = self.slots.find(hash);
        if records == 0 {
            return found.is_some();
        }
        // Counted in the sketch first: it never has less than the list.
        let (count, due) = self.sketch.raise(hash, records);
        let is_listed = found.is_some_and(|found| self.slots.count(found, records))
            || self.admit(key, hash, records, at_most(count));
        if let Some(least) = due {
            self.age_by_itself(least);
        }
        is_listed
    }

    /// Whether the key is in the list. That it is among the `keys` most frequent
    /// ones says little where all are equal: see [`top`](Self::top).
    #[inline]
    pub fn is_listed(&self, key: &[u8]) -> bool {
        self.slots.find(self.hasher().hash(key)).is_some()
    }

    /// The list, by count, the greatest first.
    pub fn top(&self) -> Vec<HotKey> {
        // No allocation under the lock.
        let mut top = Vec::with_capacity(usize::from(self.keys.get()));
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        top.extend(
            list.each(&self.slots)
                .map(|(entry, at_least, count)| HotKey {
                    key: Arc::clone(&entry.key),
                    hash: entry.hash,
                    count,
                    at_least,
                    at_most: 0,
                }),
        );
        drop(list);
        for hot in &mut top {
            let estimate = self.sketch.estimate_hash(hot.hash).at_most();
            // Below that it is only while it ages.
            hot.at_most = at_most(u32::try_from(estimate).unwrap_or(u32::MAX)).max(hot.at_least);
        }
        top.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
        top
    }

    /// Halves all counts, rounding down: what is recent counts more. Others go
    /// on recording meanwhile, but no key gets into the list.
    pub fn age(&self) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        self.age_from(0, &mut list);
    }

    /// How much was recorded in all, halved with each ageing.
    pub fn total(&self) -> u64 {
        self.sketch.total()
    }

    /// How full it is, and what it takes to get in.
    pub fn snapshot(&self) -> Snapshot {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = list.len();
        drop(list);
        Snapshot {
            keys: self.keys,
            listed: listed as u64,
            floor: self.slots.floor(),
            promotions: self.promotions.load(),
            missed: self.missed.load(),
            sketch: self.sketch.snapshot(),
        }
    }

    /// How many keys the list has at most.
    pub fn keys(&self) -> NonZeroU16 {
        self.keys
    }

    /// The size of the sketch beneath.
    pub fn shape(&self) -> Shape {
        self.sketch.shape()
    }

    /// How keys are hashed.
    pub fn hasher(&self) -> Hasher {
        self.sketch.hasher()
    }
}

impl HotKeys {
    /// Whether a key that is not in the list got into it.
    #[inline(always)]
    fn admit(&self, key: &[u8], hash: u64, records: u32, at_most: u64) -> bool {
        at_most > self.slots.floor() && self.promote(key, hash, records, at_most)
    }

    #[cold]
    fn promote(&self, key: &[u8], hash: u64, records: u32, at_most: u64) -> bool {
        // No allocation under the lock, and none is freed there.
        let candidate = Candidate {
            key: Arc::from(&key[..key.len().min(Self::LONGEST_KEY)]),
            hash,
            records,
            at_most,
        };
        let mut list = match self.list.try_lock() {
            Ok(list) => list,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                // Its record is in the sketch. If it is hot, it comes again.
                self.missed.count();
                return false;
            }
        };
        let (admission, _unneeded) = list.admit(candidate, &self.slots);
        drop(list);
        if admission == Admission::CameIn {
            self.promotions.count();
        }
        admission != Admission::Refused
    }

    /// Ages because the total has come to `least`.
    #[cold]
    fn age_by_itself(&self, least: u64) {
        match self.list.try_lock() {
            Ok(mut list) => self.age_from(least, &mut list),
            Err(TryLockError::Poisoned(poisoned)) => {
                self.age_from(least, &mut poisoned.into_inner());
            }
            // Some thread ages already, or the next one that counts does it.
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// The sketch first: it never has less than the list, but for what is
    /// recorded meanwhile. And until the floor is lowered nobody gets in, so
    /// that nobody comes in vain for the lock.
    fn age_from(&self, least: u64, list: &mut List) {
        if self.sketch.age_from(least) {
            list.halve(&self.slots);
            list.set_floor(&self.slots);
        }
    }
}

/// What the sketch says, as a bound: at its end it is none.
fn at_most(count: u32) -> u64 {
    if count < MOST {
        u64::from(count)
    } else {
        u64::MAX
    }
}

impl HotKey {
    /// The key, or of one longer than [`HotKeys::LONGEST_KEY`] its beginning.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The hash of the whole key.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How often it was recorded, as far as the list knows: the order of
    /// [`HotKeys::top`]. It is the bound of Space-Saving: no less than the
    /// truth, records apart that found the lock taken, and too much by no more
    /// than the least count that the list had when this key came in.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// It was recorded no less often: so often since it is in the list.
    pub fn at_least(&self) -> u64 {
        self.at_least
    }

    /// It was recorded no more often: the estimate of the sketch, or
    /// `u64::MAX` if that is saturated.
    pub fn at_most(&self) -> u64 {
        self.at_most
    }
}

impl fmt::Display for HotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key.escape_ascii(), self.count)
    }
}

impl fmt::Debug for HotKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the lock nor all of the memory.
        f.debug_struct("HotKeys")
            .field("keys", &self.keys)
            .field("shape", &self.shape())
            .field("hasher", &self.hasher())
            .finish_non_exhaustive()
    }
}
