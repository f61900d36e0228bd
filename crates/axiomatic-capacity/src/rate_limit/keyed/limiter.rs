use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;

use axiomatic_core::hash::Seed;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::SpreadTally;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Pattern, Reason, Rejected};

use super::pace::Pace;
use super::pace_cell::PaceCell;
use super::table::{Call, Sets, Verdict};
use super::{Config, ConfigError, Key, KeyHasher, Permit, Snapshot, WhenCrowded};
use crate::rate_limit::Quota;
use crate::rate_limit::telemetry::Telemetry;

/// A limit of the rate for each key, in memory that never grows. See
/// [the module](super).
///
/// It does not keep keys, only what their hashes say. The type of the key is
/// named all the same, so that nobody asks with an address for what was
/// counted by tenant. What can be borrowed from a key is asked with as well.
///
/// Cheap to clone; clones are one limiter.
pub struct KeyedRateLimiter<K: ?Sized> {
    shared: Arc<Shared>,
    keys: PhantomData<fn(&K)>,
}

#[derive(Debug)]
struct Shared {
    mode: ModeCell,
    hasher: KeyHasher,
    sets: Sets,
    pace: PaceCell,
    clock: Clock,
    said: Said,
}

/// What is said of refusals.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) name: Name,
    pub(super) telemetry: Telemetry,
    pub(super) refused: SpreadTally,
    pub(super) would_refuse: SpreadTally,
}

impl<K: Key + ?Sized> KeyedRateLimiter<K> {
    pub(super) fn of(config: Config) -> Result<Self, ConfigError> {
        let pace = Pace::of(&config.quota)?;
        Ok(KeyedRateLimiter {
            shared: Arc::new(Shared {
                mode: ModeCell::new(config.mode),
                hasher: KeyHasher::new(config.seed.unwrap_or_else(Seed::secret)),
                sets: Sets::new(config.table, config.when_crowded)?,
                pace: PaceCell::new(pace, config.quota),
                clock: config.clock,
                said: Said::new(config.name, &config.quota),
            }),
            keys: PhantomData,
        })
    }

    /// Asks for one cell of a key.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Limited`] and the time until which it makes
    /// no sense to ask again: exactly then there is a cell, if nobody else
    /// takes it. If the key has no slot and is refused for that, until one of
    /// its slots is free.
    #[inline(always)]
    pub fn admit<Q>(&self, key: &Q, now: Instant) -> Result<Permit, Rejected>
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        self.admit_weighing(key, now, NonZeroU32::MIN)
    }

    /// Asks for so many cells of a key, all or none.
    ///
    /// # Errors
    ///
    /// As [`admit`](KeyedRateLimiter::admit). What costs more than comes at
    /// once is never admitted, and is refused without a time.
    #[inline(always)]
    pub fn admit_weighing<Q>(
        &self,
        key: &Q,
        now: Instant,
        cost: NonZeroU32,
    ) -> Result<Permit, Rejected>
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        let shared = &*self.shared;
        if shared.mode.is_off() {
            return Ok(Permit::UNTRACKED);
        }
        let hash = key.hash(&shared.hasher);
        let pace = shared.pace.load();
        let call = Call {
            now: micros(now),
            cost: cost.get(),
        };
        if call.cost > pace.burst {
            return shared.refuse(None);
        }
        match shared.sets.admit(hash, pace, call) {
            Verdict::Admit(left) => Ok(Permit {
                left: Some(pace.cells(left)),
            }),
            Verdict::AdmitCrowded => Ok(Permit::UNTRACKED),
            Verdict::Refuse(until) | Verdict::RefuseCrowded(until) => {
                shared.refuse(Some(wait(until, now)))
            }
        }
    }

    /// How many cells the key has. Nothing is spent by asking, and when it is
    /// answered others may have spent them.
    pub fn peek<Q>(&self, key: &Q, now: Instant) -> u32
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        let shared = &*self.shared;
        let hash = key.hash(&shared.hasher);
        shared.sets.left(hash, shared.pace.load(), micros(now))
    }

    /// Gives a key cells back that were spent on what was not done. It never
    /// has more than come at once; one that has no slot has them already.
    pub fn refund<Q>(&self, key: &Q, now: Instant, cost: NonZeroU32)
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        let shared = &*self.shared;
        let call = Call {
            now: micros(now),
            cost: cost.get(),
        };
        let hash = key.hash(&shared.hasher);
        shared.sets.refund(hash, shared.pace.load(), call);
    }

    /// Lets a key begin anew; false if there is no trace of it. One that
    /// shares its tag, in its set, begins anew as well.
    pub fn forget<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        let shared = &*self.shared;
        shared.sets.forget(key.hash(&shared.hasher))
    }
}

impl<K: ?Sized> KeyedRateLimiter<K> {
    /// Changes the quota of all keys.
    ///
    /// What they have spent stays as it is, in time: a key that would be
    /// replenished in a minute still is, and has a burst of the new quota
    /// then. Each call is decided under one of the two quotas, all of it;
    /// those that began before this returns may be under the old one.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says why the quota cannot be kept, and the old one
    /// stays.
    pub fn update(&self, quota: Quota) -> Result<(), ConfigError> {
        self.shared.pace.store(Pace::of(&quota)?, quota);
        self.shared.said.telemetry.updated(&quota);
        Ok(())
    }

    /// The quota of each key.
    pub fn quota(&self) -> Quota {
        self.shared.pace.quota()
    }

    /// The clock that its layers read.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// A refusal that is counted.
    pub(in crate::rate_limit) fn turn_away(&self, reason: Reason) -> Rejected {
        self.shared.said.turn_away(reason)
    }

    /// A refusal in words that is counted as nothing.
    pub(in crate::rate_limit) fn rejected(&self, reason: Reason) -> Rejected {
        self.shared.said.rejected(reason)
    }

    /// Switches between enforcing, shadowing and standing aside. In shadow, a
    /// call that would be refused passes and spends nothing.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.mode.store(mode);
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.shared.mode.load()
    }

    /// What it is called.
    pub fn name(&self) -> Name {
        self.shared.said.name
    }

    /// What it is like now. The slots in use are counted in 4096 sets at most,
    /// and taken to be the same in the others.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        const SETS: usize = 4_096;
        let shared = &*self.shared;
        let sets = &shared.sets;
        let (live, looked_at) = sets.sample(SETS, micros(now));
        let (crowded, when_crowded) = (sets.crowded.load(), sets.when_crowded);
        let of = |policy| if when_crowded == policy { crowded } else { 0 };
        Snapshot {
            name: shared.said.name,
            mode: shared.mode.load(),
            bytes: sets.bytes() as u64,
            slots: sets.slots(),
            live: (u128::from(live) * u128::from(sets.slots()) / u128::from(looked_at.max(1)))
                as u64,
            inserted: sets.inserted.load(),
            evicted: sets.evicted.load(),
            crowded_refused: of(WhenCrowded::Refuse),
            crowded_admitted: of(WhenCrowded::Admit),
            crowded_evicted: of(WhenCrowded::EvictSoonestIdle),
            refused: shared.said.refused.load(),
            would_refuse: shared.said.would_refuse.load(),
        }
    }
}

impl Shared {
    #[cold]
    fn refuse(&self, wait: Option<u64>) -> Result<Permit, Rejected> {
        self.said.refuse(self.mode.load(), wait)
    }
}

impl Said {
    pub(super) fn new(name: Name, quota: &Quota) -> Self {
        Said {
            name,
            telemetry: Telemetry::new(name, quota),
            refused: SpreadTally::new(),
            would_refuse: SpreadTally::new(),
        }
    }

    /// Refuses for so many nanoseconds, or for ever, or in shadow says that it
    /// would have. A mode that was switched off meanwhile lets pass.
    pub(super) fn refuse(&self, mode: Mode, wait: Option<u64>) -> Result<Permit, Rejected> {
        if mode != Mode::Enforce {
            self.would_refuse.count();
            self.telemetry.would_refuse();
            return Ok(Permit::UNTRACKED);
        }
        let rejected = self.turn_away(Reason::Limited);
        Err(match wait {
            Some(nanos) => rejected.with_retry_after_nanos(nanos),
            None => rejected,
        })
    }

    pub(super) fn turn_away(&self, reason: Reason) -> Rejected {
        self.refused.count();
        self.telemetry.refused(reason);
        self.rejected(reason)
    }

    pub(super) fn rejected(&self, reason: Reason) -> Rejected {
        Rejected::new(Pattern::RateLimiter, reason).with_name(self.name)
    }
}

/// Whole microseconds since the origin.
#[inline(always)]
pub(super) fn micros(now: Instant) -> u64 {
    now.as_nanos() / 1_000
}

/// The nanoseconds from now until a microsecond has begun.
pub(super) fn wait(until: u64, now: Instant) -> u64 {
    until.saturating_mul(1_000).saturating_sub(now.as_nanos())
}

impl<K: ?Sized> Clone for KeyedRateLimiter<K> {
    fn clone(&self) -> Self {
        KeyedRateLimiter {
            shared: Arc::clone(&self.shared),
            keys: PhantomData,
        }
    }
}

impl<K: ?Sized> fmt::Debug for KeyedRateLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimiter")
            .field("name", &self.shared.said.name)
            .field("bytes", &self.shared.sets.bytes())
            .finish_non_exhaustive()
    }
}
