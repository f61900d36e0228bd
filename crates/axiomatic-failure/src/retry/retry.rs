use std::any::Any;
use std::fmt;
use std::thread::LocalKey;
use std::time::Duration;

use axiomatic_core::backoff;
use axiomatic_core::budget::{Budget, Deposits, RetryBudget};
use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::Tally;
use axiomatic_core::shared::{Shared, Stash, Stashed};
use axiomatic_core::time::{Clock, Instant};
#[cfg(feature = "tokio")]
use axiomatic_core::{BoxError, Plain};
use axiomatic_core::{Context, Mode, Name, Ratio};

#[cfg(feature = "tokio")]
use super::RetryLayer;
use super::settings::LiveSettings;
use super::telemetry::Telemetry;
use super::{Config, ConfigError, GaveUp, LeastAttempt, Session, Snapshot};

/// A retry: a handle to shared state, cheap to clone, that works without
/// tower and without a runtime.
///
/// [`run`](Retry::run) and [`block`](Retry::block) try a function;
/// [`layer`](Retry::layer) tries the calls of a service; and
/// [`begin`](Retry::begin) decides, and lets others wait.
///
/// ```
/// use axiomatic_core::{Context, Outcome};
/// use axiomatic_core::time::Instant;
/// use axiomatic_failure::retry::{Ended, Retry, Verdict};
///
/// let retry = Retry::default();
/// let now = Instant::from_nanos(50_000_000_000);
/// let mut call = retry.begin(&Context::default(), now);
/// // … the first attempt …
/// let failed = Ended::with(Outcome::Transient);
/// if let Verdict::Again { after } = call.record(now, &failed) {
///     // … the wait …
///     let now = now + after;
///     if call.start_attempt(now) {
///         // … the second attempt …
///         assert_eq!(call.record(now, &Ended::with(Outcome::Success)), Verdict::Return);
///     }
/// }
/// println!("{}", retry.snapshot());
/// ```
pub struct Retry<Bu = RetryBudget<Deposits>> {
    core: Shared<Core>,
    budget: Bu,
}

/// What the handles share.
pub(super) struct Core {
    pub(super) name: Name,
    /// The handles' budget once more, for calls that have no handle. Not by
    /// its type, since threads can keep references only to what has no
    /// parameters.
    budget: Box<dyn Any + Send + Sync>,
    pub(super) mode: ModeCell,
    pub(super) tallies: Tallies,
    pub(super) telemetry: Telemetry,
    /// How long good calls take that have a deadline.
    pub(super) typical: LatencyHistogram,
    settings: LiveSettings,
    /// Dates the beginnings of calls.
    clock: Clock,
    /// Dates what decisions depend on.
    exact: Clock,
    seed: Option<u64>,
    seeded: Tally,
}

/// Counts for the operator, apart from what every call reads: in an outage
/// every call counts here.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Tallies {
    pub(super) retried: Tally,
    pub(super) recovered: Tally,
    pub(super) would_retry: Tally,
    pub(super) gave_up: [Tally; GaveUp::ALL.len()],
}

/// Over how long the typical duration of a call is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(30);

impl<Bu: Budget> Retry<Bu> {
    pub(super) fn from_checked(config: Config<Bu>) -> Self {
        let exact = match &config.clock {
            Clock::Coarse => Clock::Precise,
            other => other.clone(),
        };
        Retry {
            core: Shared::new(Core {
                name: config.name,
                budget: Box::new(config.budget.clone()),
                mode: ModeCell::new(Mode::Enforce),
                tallies: Tallies {
                    retried: Tally::new(),
                    recovered: Tally::new(),
                    would_retry: Tally::new(),
                    gave_up: std::array::from_fn(|_| Tally::new()),
                },
                telemetry: Telemetry::new(config.name),
                typical: LatencyHistogram::new(Ratio::percent(50), HALF_LIFE),
                settings: LiveSettings::new(config.settings),
                clock: config.clock,
                exact,
                seed: config.seed,
                seeded: Tally::new(),
            }),
            budget: config.budget,
        }
    }

    /// Begins a call whose first attempt is about to be made.
    ///
    /// `context` says until when there is time, and whether a retry further
    /// out repeats the call already: then this one leaves it alone.
    #[inline(always)]
    pub fn begin(&self, context: &Context, now: Instant) -> Session<Bu> {
        Session::begin(self.core.hold(), &self.budget, context, now)
    }

    /// What it is called.
    pub fn name(&self) -> Name {
        self.core.name
    }

    /// What bounds its extra attempts.
    pub fn budget(&self) -> &Bu {
        &self.budget
    }

    /// Reads its clock. Only adapters need to.
    #[inline]
    pub fn now(&self) -> Instant {
        self.core.now()
    }

    /// Whether it acts on its decisions.
    #[inline]
    pub fn mode(&self) -> Mode {
        self.core.mode.load()
    }

    /// Switches between enforcing, shadowing and standing aside. In shadow,
    /// what would have been repeated is counted, nothing is, and the budget
    /// is not asked.
    pub fn set_mode(&self, mode: Mode) {
        self.core.mode.store(mode);
    }

    /// Changes attempts, backoff, least attempt and what becomes of refusals,
    /// for attempts that end from now on. Name, budget, clock and seed are
    /// those of the construction; a budget has an `update` of its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the configuration could not have been built. Then
    /// nothing was changed.
    pub fn update(&self, config: &Config<Bu>) -> Result<(), ConfigError> {
        config.settings.check()?;
        self.core.settings.change(config.settings);
        Ok(())
    }

    /// Plain numbers for an operator; they print as a line.
    pub fn snapshot(&self) -> Snapshot {
        let core = &*self.core;
        Snapshot {
            name: core.name,
            mode: core.mode.load(),
            retried: core.tallies.retried.load(),
            recovered: core.tallies.recovered.load(),
            would_retry: core.tallies.would_retry.load(),
            gave_up: GaveUp::ALL.map(|why| core.tallies.of(why).load()),
            typical: core.typical.median(),
        }
    }

    /// A tower layer over this retry; all its services share it. `rule` says
    /// which requests may be sent twice.
    #[cfg(feature = "tokio")]
    pub fn layer<R>(&self, rule: R) -> RetryLayer<BoxError, Plain, R, Bu> {
        RetryLayer::new(self.clone(), rule)
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
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
            None => unreachable!("handles of a retry have its budget"),
        }
    }

    #[inline(always)]
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// When a call begins: exactly, if it is measured.
    #[inline(always)]
    pub(super) fn beginning(&self, context: &Context) -> Instant {
        if context.deadline().is_some() {
            self.exact_now()
        } else {
            self.now()
        }
    }

    #[inline(always)]
    pub(super) fn exact_now(&self) -> Instant {
        self.exact.now()
    }

    #[inline(always)]
    pub(super) fn settings(&self) -> &LiveSettings {
        &self.settings
    }

    /// The waits of one call.
    #[inline]
    pub(super) fn waits(&self) -> backoff::Session {
        match self.seed {
            None => backoff::Session::new(),
            // Mixed by the session itself.
            Some(seed) => backoff::Session::seeded(seed.wrapping_add(self.seeded.count())),
        }
    }

    pub(super) fn least_attempt(&self) -> Duration {
        match self.settings.least_attempt() {
            LeastAttempt::Fixed(least) => least,
            LeastAttempt::Typical => self.typical.median().unwrap_or_default(),
        }
    }

    pub(super) fn gave_up(&self, why: GaveUp, attempts: u32) {
        self.tallies.of(why).count();
        self.telemetry.gave_up(why, attempts);
    }
}

impl Tallies {
    fn of(&self, why: GaveUp) -> &Tally {
        &self.gave_up[why as usize]
    }
}

impl Default for Retry {
    /// The retry of [`Config::default`].
    fn default() -> Self {
        // A test builds the default configuration, which is what `build`
        // would check.
        Retry::from_checked(Config::default())
    }
}

impl<Bu: Clone> Clone for Retry<Bu> {
    fn clone(&self) -> Self {
        Retry {
            core: self.core.clone(),
            budget: self.budget.clone(),
        }
    }
}

impl<Bu> fmt::Debug for Retry<Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("name", &self.core.name)
            .field("mode", &self.core.mode.load())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
