use std::any::Any;
use std::fmt;
use std::thread::LocalKey;
use std::time::Duration;

use axiomatic_core::budget::{Budget, Deposits, RetryBudget};
use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::shared::{Shared, Stash, Stashed};
use axiomatic_core::time::{Clock, Instant};
#[cfg(feature = "tokio")]
use axiomatic_core::{BoxError, Plain};
use axiomatic_core::{Mode, Name};

#[cfg(feature = "tokio")]
use super::HedgeLayer;
use super::settings::{Counts, Settings};
use super::telemetry::Telemetry;
use super::{Call, Config, Delay, Snapshot, UpdateError};

/// A hedge: a handle to shared state, cheap to clone, that works without
/// tower and without a runtime.
///
/// [`layer`](Hedge::layer) hedges the calls of a service;
/// [`begin`](Hedge::begin) says when a call is slow, and lets others wait.
///
/// ```
/// use axiomatic_core::Outcome;
/// use axiomatic_core::budget::Class;
/// use axiomatic_latency::hedge::{Config, Delay};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), axiomatic_latency::hedge::ConfigError> {
/// let hedge = Config::new(Delay::fixed(Duration::from_millis(20))).build()?;
///
/// let mut call = hedge.begin(hedge.now());
/// // … the first attempt is sent, and waited for until then …
/// let slow_at = call.fires_at().expect("a fixed delay is known from the start");
/// // … and has not answered. May there be another?
/// if let Some(permit) = call.admit(slow_at, Class::Hedge) {
///     let second = permit.send(slow_at);
///     // … the second answers, and the first is dropped …
///     let now = slow_at + Duration::from_millis(3);
///     second.record(now, Outcome::Success);
///     call.lost(now);
/// }
/// assert_eq!(hedge.snapshot().won(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Hedge<Bu = RetryBudget<Deposits>> {
    core: Shared<Core>,
    budget: Bu,
}

/// What the handles share.
pub(super) struct Core {
    pub(super) settings: Settings,
    /// None if nothing is learned.
    pub(super) latencies: Option<LatencyHistogram>,
    /// The handles' budget once more, for calls that have no handle. Not by its
    /// type, since threads can keep references only to what has no parameters.
    budget: Box<dyn Any + Send + Sync>,
    clock: Clock,
    avoids: bool,
    pub(super) name: Name,
    pub(super) counts: Counts,
    pub(super) telemetry: Telemetry,
    delay: Delay,
    half_life: Duration,
}

impl<Bu: Budget> Hedge<Bu> {
    pub(super) fn from_checked<Other>(config: &Config<Other>, budget: Bu) -> Self {
        let learns = |watched| LatencyHistogram::new(watched, config.half_life);
        Hedge {
            core: Shared::new(Core {
                settings: Settings::new(&config.delay),
                latencies: config.delay.source.watched().map(learns),
                budget: Box::new(budget.clone()),
                clock: config.clock.clone(),
                avoids: config.avoids,
                name: config.name,
                counts: Counts::new(),
                telemetry: Telemetry::new(config.name),
                delay: config.delay,
                half_life: config.half_life,
            }),
            budget,
        }
    }

    /// Begins a call, whose first attempt is about to be sent.
    #[inline(always)]
    pub fn begin(&self, now: Instant) -> Call<Bu> {
        Call::begin(self.core.hold(), &self.budget, now)
    }

    /// What it is called.
    pub fn name(&self) -> Name {
        self.core.name
    }

    /// What bounds its second attempts.
    pub fn budget(&self) -> &Bu {
        &self.budget
    }

    /// Reads its clock. Only adapters need to.
    #[inline(always)]
    pub fn now(&self) -> Instant {
        self.core.now()
    }

    /// Whether a second attempt avoids the endpoint of a first that has not
    /// answered.
    #[inline]
    pub fn avoids_endpoints(&self) -> bool {
        self.core.avoids
    }

    /// After which time a call is slow at present; none before enough is
    /// known.
    pub fn delay(&self) -> Option<Duration> {
        self.core.delay().map(Duration::from_nanos)
    }

    /// Whether it acts on its decisions.
    #[inline(always)]
    pub fn mode(&self) -> Mode {
        self.core.settings.mode.load()
    }

    /// Switches between enforcing, shadowing and standing aside, at once: a
    /// call under way is not hedged any more either. In shadow, what would
    /// have been hedged is counted, nothing is sent, and the budget is not
    /// asked. Off, nothing is learned.
    pub fn set_mode(&self, mode: Mode) {
        self.core.settings.mode.store(mode);
    }

    /// Changes a fixed delay and the bounds of a learned one, for calls that
    /// begin from now on. Name, clock and budget are those of the
    /// construction, and so is whether endpoints are avoided; a budget has an
    /// `update` of its own.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if the configuration could not have been built, or
    /// changes what is learned. Then nothing was changed.
    pub fn update<Other>(&self, config: &Config<Other>) -> Result<(), UpdateError> {
        config.check()?;
        let (old, new) = (self.core.delay.source, config.delay.source);
        let is_learned = old.watched().is_some() || new.watched().is_some();
        if is_learned && old != new {
            return Err(UpdateError::DelayIsLearnedOtherwise);
        }
        if is_learned && config.half_life != self.core.half_life {
            return Err(UpdateError::HalfLifeIsFixed);
        }
        self.core.settings.store(&config.delay);
        Ok(())
    }

    /// Plain numbers for an operator; they print as a line.
    pub fn snapshot(&self) -> Snapshot {
        let core = &*self.core;
        Snapshot {
            name: core.name,
            mode: core.settings.mode.load(),
            delay: self.delay(),
            hedged: core.counts.hedged.load(),
            won: core.counts.won.load(),
            refused: core.counts.refused.load(),
            would_hedge: core.counts.would_hedge.load(),
        }
    }

    /// A tower layer over this hedge; all its services share it. `rule` says
    /// which requests may be sent twice.
    #[cfg(feature = "tokio")]
    pub fn layer<R>(&self, rule: R) -> HedgeLayer<BoxError, Plain, R, Bu> {
        HedgeLayer::new(self.clone(), rule)
    }
}

impl Stashed for Core {
    #[inline(always)]
    fn stash() -> &'static LocalKey<Stash<Self>> {
        thread_local!(static STASH: Stash<Core> = const { Stash::new() });
        &STASH
    }
}

impl Core {
    /// The budget, whose type is that of the handle through which a call came.
    pub(super) fn budget<Bu: Budget>(&self) -> &Bu {
        match self.budget.downcast_ref() {
            Some(budget) => budget,
            None => unreachable!("handles of a hedge have its budget"),
        }
    }

    #[inline(always)]
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The delay in nanoseconds.
    ///
    /// An estimate is off by a sixteenth at most. Which is added: where all
    /// calls take the same time, the quantile is that time, and they should
    /// not all be slow.
    #[inline(always)]
    pub(super) fn delay(&self) -> Option<u64> {
        self.settings.delay(|| {
            let estimate = self.latencies.as_ref()?.watched_nanos()?;
            Some(estimate.saturating_add(estimate / 16))
        })
    }
}

impl<Bu: Clone> Clone for Hedge<Bu> {
    fn clone(&self) -> Self {
        Hedge {
            core: self.core.clone(),
            budget: self.budget.clone(),
        }
    }
}

impl<Bu> fmt::Debug for Hedge<Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge")
            .field("name", &self.core.name)
            .field("mode", &self.core.settings.mode.load())
            .finish_non_exhaustive()
    }
}
