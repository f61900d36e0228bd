use std::num::{NonZeroU32, NonZeroU64};

use axiomatic_core::hash::Seed;
use axiomatic_core::time::Clock;
use axiomatic_core::{Mode, Name};

use super::set_cell::SLOTS;
use super::{ConfigError, Key, KeyedRateLimiter};
use crate::rate_limit::Quota;

/// How much memory limits by key have. It is taken when the limiter is made,
/// and is all it ever takes.
///
/// Keys count while they have something spent: who comes once a minute, at a
/// rate of ten a second, counts for a tenth of a second a minute.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Table {
    bytes: u64,
}

impl Table {
    /// What a set of slots takes, and the least that a table has.
    pub const SET: u64 = 128;

    /// For so many keys that have something spent at a time, 16 bytes each:
    /// 16 MiB for a million. If they all are there, one in 220 new keys finds
    /// all slots taken, and [`WhenCrowded`] says what becomes of it.
    pub const fn for_keys(keys: NonZeroU32) -> Self {
        Table {
            bytes: keys.get() as u64 * 16,
        }
    }

    /// Twice as much: 32 bytes a key, and one in 200,000 finds all slots
    /// taken.
    #[must_use]
    pub const fn roomy(mut self) -> Self {
        self.bytes = self.bytes.saturating_mul(2);
        self
    }

    /// So many bytes, rounded up to whole sets.
    pub const fn of_bytes(bytes: NonZeroU64) -> Self {
        Table { bytes: bytes.get() }
    }

    /// How many bytes it takes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
            .saturating_add(Table::SET - 1)
            .saturating_div(Table::SET)
            .saturating_mul(Table::SET)
    }

    /// How many keys can have something spent at a time, at the very most.
    pub const fn slots(&self) -> u64 {
        self.bytes() / Table::SET * SLOTS as u64
    }

    pub(super) fn sets(&self) -> Result<usize, ConfigError> {
        let sets = self.bytes() / Table::SET;
        match usize::try_from(sets) {
            Ok(count) if sets <= 1 << 32 => Ok(count),
            _ => Err(ConfigError::Table(self.bytes())),
        }
    }
}

/// What becomes of a new key when all slots where it could be are taken by
/// keys that have something spent. Whichever it is, it is counted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenCrowded {
    /// It is refused until one of the slots is free: nobody ever has more than
    /// the quota. Strangers who bring millions of keys can have new callers
    /// refused.
    #[default]
    Refuse,
    /// It passes, and its call is not counted: nobody is refused within the
    /// quota. Who brings millions of keys is not limited.
    Admit,
    /// It takes the slot of the key that has the least spent, in time, and
    /// that one begins anew: it may have a burst more than its quota. The new
    /// key is limited as any other.
    EvictSoonestIdle,
}

/// The configuration of a [`KeyedRateLimiter`].
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) quota: Quota,
    pub(super) table: Table,
    pub(super) when_crowded: WhenCrowded,
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) seed: Option<Seed>,
    pub(super) clock: Clock,
}

impl Config {
    /// Each key has this quota; new keys are refused when all of their slots
    /// are taken.
    pub const fn new(quota: Quota, table: Table) -> Self {
        Config {
            quota,
            table,
            when_crowded: WhenCrowded::Refuse,
            name: Name::UNNAMED,
            mode: Mode::Enforce,
            seed: None,
            clock: Clock::Precise,
        }
    }

    /// What becomes of a new key when all of its slots are taken.
    #[must_use]
    pub fn when_crowded(mut self, when_crowded: WhenCrowded) -> Self {
        self.when_crowded = when_crowded;
        self
    }

    /// What the limiter is called.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether it acts on its decisions, to begin with.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The seed of the keys' hash, secret and another in each limiter if it is
    /// not said: who knows it can choose keys that share one set.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The clock that layers read. What is said of it in
    /// [`rate_limit::Config`](crate::rate_limit::Config::clock) holds here.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Takes the memory.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn build<K: Key + ?Sized>(self) -> Result<KeyedRateLimiter<K>, ConfigError> {
        KeyedRateLimiter::of(self)
    }
}
