//! The filter that forgets by time.

use std::fmt;
use std::time::Duration;

use axiomatic_core::hash::Hasher;
use axiomatic_core::time::{Instant, saturating_nanos};

use super::error::{BuildError, WindowedError};
use super::ring::Ring;
use super::ring_shape::{Generations, RingShape};
use super::ring_snapshot::WindowedSnapshot;

/// What a period must have, in nanoseconds: 2^17, so that 2^47 periods are as
/// long as a clock of 64 bits goes, and the state tells forward from back with
/// 48 bits.
const SHORTEST_PERIOD: u64 = 1 << 17;

/// How a [`WindowedFilter`] is to be: first the window, then for how many
/// items.
#[derive(Copy, Clone, Debug)]
#[must_use = "it is not yet a filter"]
pub struct WindowedConfig {
    window: Duration,
    items: u64,
    rate: f64,
    generations: Generations,
}

/// A window, and the question how many items come in it.
#[derive(Copy, Clone, Debug)]
#[must_use = "it is not yet a filter"]
pub struct WindowedSizing {
    window: Duration,
}

/// Was this key seen in the last minute? Shared by threads, without a lock.
///
/// A key is remembered for at least the window, and for at most the window
/// and a part of it: a third with [four generations](Generations). Time is
/// that of the latest insertion, or of the question if it is later.
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_core::time::Instant;
/// use axiomatic_sketch::bloom::WindowedConfig;
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let seen = WindowedConfig::last(minute)
///     .for_items(100_000)
///     .false_positives(0.001)
///     .build(hasher)?;
///
/// let start = Instant::from_nanos(3_600_000_000_000);
/// assert!(seen.insert(b"order:17", start));
/// // The second delivery of the same.
/// assert!(!seen.insert(b"order:17", start + Duration::from_secs(1)));
/// // A minute after that it is still known, and 80 seconds after it is not.
/// assert!(seen.may_contain(b"order:17", start + Duration::from_secs(61)));
/// assert_eq!(seen.remembers_at_most(), Duration::from_secs(80));
/// assert!(!seen.may_contain(b"order:17", start + Duration::from_secs(81)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How it forgets
///
/// Time is cut into periods of `W/(G-1)`, and what is inserted during one of
/// them is a generation, of which the latest `G` are alive: as many periods as
/// a window, and one more because the current one has only begun. A generation
/// is forgotten at once, by not recognising its words any more; memory is used
/// again as new keys come to it. The thread that begins a generation also
/// tidies a 64th of the memory up.
///
/// # What "new" means
///
/// Of all insertions of one key that are within a window of each other, one is
/// told that the key is new, wherever they run and also while generations
/// change: the first one, unless it was taken for known by a false positive.
/// A key that comes again is remembered for a window from then.
#[derive(Debug)]
pub struct WindowedFilter {
    ring: Ring,
    hasher: Hasher,
    window: Duration,
}

impl WindowedConfig {
    /// For what was seen in the last `window`; say next
    /// [for how many items](WindowedSizing::for_items).
    pub const fn last(window: Duration) -> WindowedSizing {
        WindowedSizing { window }
    }

    /// No more than this share of absent keys is answered with "maybe", also
    /// when all generations are full: 1 % if nothing is said.
    pub const fn false_positives(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// How many generations the window has: four if nothing is said.
    pub const fn generations(mut self, generations: Generations) -> Self {
        self.generations = generations;
        self
    }

    /// An empty filter, whose keys are hashed so.
    ///
    /// # Errors
    ///
    /// [`WindowedError::TooShort`] if a period, `W/(G-1)`, would be shorter
    /// than 131.072 µs: the period's number has 48 bits beside the
    /// generation's. [`WindowedError::Shape`] if the rate is no share between
    /// 0 and 1, or if there are no items or too many;
    /// [`WindowedError::Build`] if there is no memory, or if the hasher has
    /// fewer than 64 bits.
    pub fn build(self, hasher: Hasher) -> Result<WindowedFilter, WindowedError> {
        let WindowedConfig {
            window,
            items,
            rate,
            generations,
        } = self;
        BuildError::check(hasher)?;
        // Rounded up, so that the window is never shorter than it was to be.
        let period = saturating_nanos(window).div_ceil(generations.per_window());
        if period < SHORTEST_PERIOD {
            let shortest = generations.per_window() * (SHORTEST_PERIOD - 1) + 1;
            return Err(WindowedError::TooShort {
                shortest: Duration::from_nanos(shortest),
            });
        }
        let shape = RingShape::new(items, generations, rate)?;
        Ok(WindowedFilter {
            ring: Ring::new(shape, period)?,
            hasher,
            window,
        })
    }
}

impl WindowedSizing {
    /// For so many different items in a window.
    ///
    /// A key that comes again is one item as often as it comes in another
    /// period: one that comes all the time counts `G - 1` times.
    pub const fn for_items(self, items: u64) -> WindowedConfig {
        WindowedConfig {
            window: self.window,
            items,
            rate: 0.01,
            generations: Generations::Four,
        }
    }
}

impl WindowedFilter {
    /// Remembers the key for a window from `now`. `true` if it was surely not
    /// there; `false` if it seemed to be.
    ///
    /// If another insertion has come with a later `now`, that is the time of
    /// this one too.
    #[inline]
    pub fn insert(&self, key: &[u8], now: Instant) -> bool {
        self.insert_hash(self.hasher.hash(key), now)
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn insert_hash(&self, hash: u64, now: Instant) -> bool {
        self.ring.insert(hash, now.as_nanos()).is_new
    }

    /// Whether the key may have been inserted within the last window; `false`
    /// is certain. Writes nothing, so that questions do not disturb one
    /// another.
    #[inline]
    pub fn may_contain(&self, key: &[u8], now: Instant) -> bool {
        self.may_contain_hash(self.hasher.hash(key), now)
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn may_contain_hash(&self, hash: u64, now: Instant) -> bool {
        self.ring.may_contain(hash, now.as_nanos())
    }

    /// For how long a key is remembered at least.
    pub fn window(&self) -> Duration {
        self.window
    }

    /// For how long a key is remembered at most: not at all from then on.
    pub fn remembers_at_most(&self) -> Duration {
        let count = self.generations().count();
        Duration::from_nanos(self.ring.period()).saturating_mul(count)
    }

    /// How many generations the window has.
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

    /// How full each generation is at `now`, and what that means. Reads all of
    /// it.
    pub fn snapshot(&self, now: Instant) -> WindowedSnapshot {
        WindowedSnapshot::of(&self.ring, Some(now.as_nanos()))
    }

    /// How keys are hashed.
    pub fn hasher(&self) -> Hasher {
        self.hasher
    }
}

impl fmt::Display for WindowedFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (window, most) = (self.window, self.remembers_at_most());
        write!(f, "the last {window:?}, at most {most:?}, ")?;
        self.ring.shape().fmt(f)
    }
}
