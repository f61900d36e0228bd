//! The filter that forgets by how many keys came.

use std::fmt;

use axiomatic_core::hash::Hasher;

use super::error::{BuildError, WindowedError};
use super::ring::Ring;
use super::ring_shape::{Generations, RingShape};
use super::ring_snapshot::WindowedSnapshot;
use super::tick_cell::TickCell;

/// How a [`RecentFilter`] is to be.
#[derive(Copy, Clone, Debug)]
#[must_use = "it is not yet a filter"]
pub struct RecentConfig {
    keys: u64,
    rate: f64,
    generations: Generations,
}

/// Was this key among the last million? Shared by threads, without a lock and
/// without a clock.
///
/// A key is remembered until at least so many others were new, and until at
/// most a part more: a third more with [four generations](Generations). It
/// works as [`WindowedFilter`](super::WindowedFilter) does; its time is the
/// number of keys that were new.
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_sketch::bloom::RecentConfig;
///
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let seen = RecentConfig::last(300).false_positives(1e-6).build(hasher)?;
///
/// assert!(seen.insert(b"first"));
/// assert!(!seen.insert(b"first"));
/// for key in 0..300_u32 {
///     assert!(seen.insert(&key.to_le_bytes()));
/// }
/// assert!(seen.may_contain(b"first"));
/// for key in 300..400_u32 {
///     assert!(seen.insert(&key.to_le_bytes()));
/// }
/// assert!(!seen.may_contain(b"first"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What threads do to the count
///
/// A key is counted after it was put in, so a generation can get as many more
/// keys than planned as there are other threads inserting. That makes none
/// forgotten early: the number that a key gets decides in which generation it
/// has to be, and if that is a later one it is put there too.
#[derive(Debug)]
pub struct RecentFilter {
    ring: Ring,
    ticks: TickCell,
    hasher: Hasher,
    keys: u64,
}

impl RecentConfig {
    /// For what was among the last so many different keys.
    pub const fn last(keys: u64) -> Self {
        RecentConfig {
            keys,
            rate: 0.01,
            generations: Generations::Four,
        }
    }

    /// No more than this share of absent keys is answered with "maybe", also
    /// when all generations are full: 1 % if nothing is said.
    ///
    /// A known key that comes again is not counted, but is remembered anew,
    /// and takes up room in one more generation: so this is for keys that
    /// seldom come again once they are a generation old.
    pub const fn false_positives(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// How many generations there are: four if nothing is said.
    pub const fn generations(mut self, generations: Generations) -> Self {
        self.generations = generations;
        self
    }

    /// An empty filter, whose keys are hashed so.
    ///
    /// # Errors
    ///
    /// [`WindowedError::Shape`] if the rate is no share between 0 and 1, or if
    /// there are no keys or too many; [`WindowedError::Build`] if there is no
    /// memory, or if the hasher has fewer than 64 bits.
    pub fn build(self, hasher: Hasher) -> Result<RecentFilter, WindowedError> {
        let RecentConfig {
            keys,
            rate,
            generations,
        } = self;
        BuildError::check(hasher)?;
        // Rounded up, so that no key is forgotten too early; and sized for
        // that, which of few keys is a multiple.
        let period = keys.div_ceil(generations.per_window());
        let full = period.saturating_mul(generations.per_window());
        let shape = RingShape::new(full, generations, rate)?;
        Ok(RecentFilter {
            ring: Ring::new(shape, period)?,
            ticks: TickCell::new(),
            hasher,
            keys,
        })
    }
}

impl RecentFilter {
    /// Remembers the key until [so many](Self::keys) others were new. `true`
    /// if it was surely not there; `false` if it seemed to be.
    #[inline]
    pub fn insert(&self, key: &[u8]) -> bool {
        self.insert_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn insert_hash(&self, hash: u64) -> bool {
        let inserted = self.ring.insert_current(hash);
        if inserted.is_new {
            let tick = self.ticks.next();
            if self.ring.is_over(inserted.during, tick) {
                self.ring.insert(hash, tick);
            }
        }
        inserted.is_new
    }

    /// Whether the key may be among the last ones; `false` is certain.
    #[inline]
    pub fn may_contain(&self, key: &[u8]) -> bool {
        self.may_contain_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn may_contain_hash(&self, hash: u64) -> bool {
        self.ring.may_contain_current(hash)
    }

    /// Until how many others were new a key is remembered at least.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Until how many others were new a key is remembered at most, other
    /// threads apart.
    pub fn remembers_at_most(&self) -> u64 {
        let count = u64::from(self.generations().count());
        self.ring.period().saturating_mul(count)
    }

    /// How many keys were new until now.
    pub fn counted(&self) -> u64 {
        self.ticks.load()
    }

    /// How many generations there are.
    pub fn generations(&self) -> Generations {
        self.ring.shape().generations()
    }

    /// How many bytes of memory the bits take.
    pub fn bytes(&self) -> u64 {
        self.ring.bytes()
    }

    /// The share of absent keys that are answered with "maybe" when all
    /// generations have as many keys as planned.
    pub fn false_positives(&self) -> f64 {
        self.ring.shape().false_positives()
    }

    /// How full each generation is, and what that means. Reads all of it.
    pub fn snapshot(&self) -> WindowedSnapshot {
        WindowedSnapshot::of(&self.ring, None)
    }

    /// How keys are hashed.
    pub fn hasher(&self) -> Hasher {
        self.hasher
    }
}

impl fmt::Display for RecentFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, most) = (self.keys, self.remembers_at_most());
        write!(f, "the last {keys} keys, at most {most}, ")?;
        self.ring.shape().fmt(f)
    }
}
