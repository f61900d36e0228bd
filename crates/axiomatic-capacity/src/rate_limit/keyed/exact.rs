use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;

use axiomatic_core::keyed::{self, Found, Full, Idle, Keyed, WhenFull};
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Reason, Rejected};

use super::arrival_cell::Arrival;
use super::limiter::{Said, micros, wait};
use super::pace::Pace;
use super::pace_cell::PaceCell;
use super::table::{Call, Verdict};
use super::{ConfigError, Permit};
use crate::rate_limit::Quota;

/// A limit of the rate for each key, of which each has an entry of its own in
/// a map, up to a cap.
///
/// No two keys share anything, which in a
/// [`KeyedRateLimiter`](super::KeyedRateLimiter) happens by a chance of one in
/// four thousand. For that the map holds the keys, an entry is many times as
/// large, a new key allocates, and a lookup takes two to five times as long.
/// An entry whose key has nothing spent gives its place to a new key; when
/// all have, [`WhenFull`] says what becomes of further ones.
///
/// ```
/// use axiomatic_capacity::rate_limit::{ExactKeyedRateLimiter, Quota};
/// use axiomatic_core::keyed::WhenFull;
/// use axiomatic_core::time::Clock;
/// use std::num::NonZeroU32;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let five = NonZeroU32::new(5).ok_or("nothing")?;
/// let cap = NonZeroU32::new(1_000).ok_or("no places")?;
/// let tenants: ExactKeyedRateLimiter<String> =
///     ExactKeyedRateLimiter::new(Quota::per_second(five), cap, WhenFull::Refuse)?;
/// let permit = tenants.admit("acme", Clock::Precise.now())?;
/// assert_eq!(permit.left(), Some(4));
/// # Ok(())
/// # }
/// ```
pub struct ExactKeyedRateLimiter<K> {
    shared: Arc<Shared<K>>,
    clock: Clock,
}

struct Shared<K> {
    arrivals: Keyed<K, Arrival>,
    pace: PaceCell,
    mode: ModeCell,
    said: Said,
}

impl Idle for Arrival {
    fn is_idle(&self, now: Instant) -> bool {
        self.load() <= micros(now)
    }
}

impl<K> ExactKeyedRateLimiter<K>
where
    K: Hash + Eq + Send + Sync + 'static,
{
    /// Each of at most `cap` keys has this quota.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says why the quota cannot be kept.
    pub fn new(quota: Quota, cap: NonZeroU32, when_full: WhenFull) -> Result<Self, ConfigError> {
        Self::named(quota, cap, when_full, Name::UNNAMED)
    }

    /// The same with a name.
    ///
    /// # Errors
    ///
    /// As [`new`](ExactKeyedRateLimiter::new).
    pub fn named(
        quota: Quota,
        cap: NonZeroU32,
        when_full: WhenFull,
        name: impl Into<Name>,
    ) -> Result<Self, ConfigError> {
        let pace = Pace::of(&quota)?;
        Ok(ExactKeyedRateLimiter {
            shared: Arc::new(Shared {
                arrivals: Keyed::new(cap, when_full, |_| Arrival::new()),
                pace: PaceCell::new(pace, quota),
                mode: ModeCell::new(Mode::Enforce),
                said: Said::new(name.into(), &quota),
            }),
            clock: Clock::Precise,
        })
    }

    /// Asks for one cell of a key. One that is known is looked up by reference
    /// and without allocating.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with
    /// [`Reason::Limited`](axiomatic_core::Reason::Limited), and the time
    /// until which it makes no sense to ask again. A key that has no place and
    /// is refused for that is not told a time.
    pub fn admit<Q>(&self, key: &Q, now: Instant) -> Result<Permit, Rejected>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        self.admit_weighing(key, now, NonZeroU32::MIN)
    }

    /// Asks for so many cells of a key, all or none.
    ///
    /// # Errors
    ///
    /// As [`admit`](ExactKeyedRateLimiter::admit). What costs more than comes
    /// at once is never admitted, and is refused without a time.
    pub fn admit_weighing<Q>(
        &self,
        key: &Q,
        now: Instant,
        cost: NonZeroU32,
    ) -> Result<Permit, Rejected>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        let shared = &*self.shared;
        let mode = shared.mode.load();
        if mode == Mode::Off {
            return Ok(Permit::UNTRACKED);
        }
        let pace = shared.pace.load();
        let call = Call {
            now: micros(now),
            cost: cost.get(),
        };
        if call.cost > pace.burst {
            return shared.said.refuse(mode, None);
        }
        let verdict = shared.arrivals.with(key, now, |found| match found {
            Found::Own(arrival) | Found::Shared(arrival) => Ok(arrival.admit(pace, call)),
            Found::Full(full) => Err(full),
        });
        match verdict {
            Ok(Verdict::Admit(left)) => Ok(Permit {
                left: Some(pace.cells(left)),
            }),
            Ok(Verdict::Refuse(until) | Verdict::RefuseCrowded(until)) => {
                shared.said.refuse(mode, Some(wait(until, now)))
            }
            Ok(Verdict::AdmitCrowded) | Err(Full::Admit) => Ok(Permit::UNTRACKED),
            Err(Full::Refuse) => shared.said.refuse(mode, None),
        }
    }

    /// How many cells the key has. One that is not known gets a place, if
    /// there is one.
    pub fn peek<Q>(&self, key: &Q, now: Instant) -> u32
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        let pace = self.shared.pace.load();
        self.shared.arrivals.with(key, now, |found| {
            let arrival = found.value().map_or(0, Arrival::load);
            pace.left(arrival, micros(now))
        })
    }

    /// Gives a key cells back that were spent on what was not done. It never
    /// has more than come at once.
    pub fn refund<Q>(&self, key: &Q, now: Instant, cost: NonZeroU32)
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        let pace = self.shared.pace.load();
        let call = Call {
            now: micros(now),
            cost: cost.get(),
        };
        self.shared.arrivals.with(key, now, |found| {
            if let Some(arrival) = found.value() {
                arrival.refund(pace, call);
            }
        });
    }

    /// Lets a key begin anew; false if it was not there.
    pub fn forget<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        self.shared.arrivals.remove(key)
    }

    /// Changes the quota of all keys, as
    /// [`KeyedRateLimiter::update`](super::KeyedRateLimiter::update) does.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says why the quota cannot be kept.
    pub fn update(&self, quota: Quota) -> Result<(), ConfigError> {
        self.shared.pace.store(Pace::of(&quota)?, quota);
        self.shared.said.telemetry.updated(&quota);
        Ok(())
    }

    /// The quota of each key.
    pub fn quota(&self) -> Quota {
        self.shared.pace.quota()
    }

    /// The same with another clock for its layers: the precise one, if nothing
    /// is said.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The clock that its layers read.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A refusal that is counted.
    pub(in crate::rate_limit) fn turn_away(&self, reason: Reason) -> Rejected {
        self.shared.said.turn_away(reason)
    }

    /// A refusal in words that is counted as nothing.
    pub(in crate::rate_limit) fn rejected(&self, reason: Reason) -> Rejected {
        self.shared.said.rejected(reason)
    }

    /// Evicts every key with nothing spent, and returns how many.
    pub fn evict_idle(&self, now: Instant) -> usize {
        self.shared.arrivals.evict_idle(now)
    }

    /// Switches between enforcing, shadowing and standing aside, for all keys.
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

    /// Places, evictions, and what became of keys without a place.
    pub fn snapshot(&self) -> keyed::Snapshot {
        self.shared.arrivals.snapshot()
    }

    /// Calls that were refused.
    pub fn refused(&self) -> u64 {
        self.shared.said.refused.load()
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.shared.said.would_refuse.load()
    }
}

impl<K> Clone for ExactKeyedRateLimiter<K> {
    fn clone(&self) -> Self {
        ExactKeyedRateLimiter {
            shared: Arc::clone(&self.shared),
            clock: self.clock.clone(),
        }
    }
}

impl<K> fmt::Debug for ExactKeyedRateLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactKeyedRateLimiter")
            .field("name", &self.shared.said.name)
            .finish_non_exhaustive()
    }
}
