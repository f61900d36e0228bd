use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::budget::{Budget, Class, Deposits, RetryBudget, Token};
use axiomatic_core::context::Deadline;
use axiomatic_core::number_cell::Tally;
use axiomatic_core::shared::Shared;
use axiomatic_core::time::Instant;
#[cfg(feature = "tokio")]
use axiomatic_core::time::{Clock, saturating_nanos};
use axiomatic_core::{Mode, Name, Pattern, Reason, Rejected};

#[cfg(feature = "tokio")]
use super::TimeoutLayer;
use super::adaptive::Observed;
use super::permit::{Observation, Origin};
use super::settings::Settings;
use super::{Config, ConfigError, Expired, Permit, Snapshot};

/// How long a call may take: a handle, cheap to clone, that works without
/// tower and without a runtime.
///
/// It does not wait; it says until when to, and what to say then.
///
/// ```
/// use axiomatic_core::Reason;
/// use axiomatic_core::context::Deadline;
/// use axiomatic_core::time::Instant;
/// use axiomatic_latency::timeout::Timeout;
/// use std::time::Duration;
///
/// let timeout = Timeout::after(Duration::from_secs(1));
/// let now = Instant::from_nanos(1_000);
/// let permit = timeout.admit(now, None).unwrap();
/// assert_eq!(permit.deadline().instant(), now + Duration::from_secs(1));
///
/// let passed = Deadline::at(now);
/// let refused = timeout.admit(now, Some(passed)).unwrap_err();
/// assert_eq!(refused.reason(), Reason::Expired);
/// ```
#[derive(Clone)]
pub struct Timeout {
    core: Arc<Core>,
}

struct Core {
    name: Name,
    settings: Settings,
    expiry: Expiry,
    observed: Option<Shared<Observed>>,
    refused: Tally,
    let_through: Tally,
    #[cfg(feature = "tokio")]
    bears_ticks_from: u64,
    #[cfg(feature = "tokio")]
    lag: u64,
}

/// What becomes of calls that arrive expired.
enum Expiry {
    Refuse,
    /// Calls deposit, and to refuse one takes a token.
    AtMost(RetryBudget<Deposits>),
    Serve,
}

impl Timeout {
    /// Calls may take this long. None at all is a choice too: then only what
    /// answers when it is first asked gets through.
    pub fn after(duration: Duration) -> Self {
        Self::named(Name::UNNAMED, duration)
    }

    /// The same under a name, for rejections, events and metrics.
    pub fn named(name: impl Into<Name>, duration: Duration) -> Self {
        Self::of(name.into(), duration, Expiry::Refuse, None)
    }

    pub(super) fn from_config(config: Config) -> Result<Self, ConfigError> {
        let expiry = match config.expired {
            Expired::Refuse => Expiry::Refuse,
            Expired::Serve => Expiry::Serve,
            Expired::RefuseAtMost(share) => {
                // Nothing beside the share: with a floor, a server of few
                // calls would refuse them all.
                let budget = RetryBudget::new(config.name, Deposits::of(share).floor(0));
                Expiry::AtMost(budget.map_err(|_| ConfigError::Share(share))?)
            }
        };
        let observed = match config.adaptive {
            None => None,
            Some(adaptive) => Some(Shared::new(adaptive.build(config.after)?)),
        };
        Ok(Self::of(config.name, config.after, expiry, observed))
    }

    fn of(name: Name, after: Duration, expiry: Expiry, observed: Option<Shared<Observed>>) -> Self {
        Timeout {
            core: Arc::new(Core {
                name,
                settings: Settings::new(after),
                #[cfg(feature = "tokio")]
                bears_ticks_from: saturating_nanos(50 * Clock::coarse_tick()),
                // By less than a tick.
                #[cfg(feature = "tokio")]
                lag: saturating_nanos(Clock::coarse_tick()).saturating_sub(1),
                expiry,
                observed,
                refused: Tally::new(),
                let_through: Tally::new(),
            }),
        }
    }

    /// Asks until when a call that begins at `now` may take, if its caller
    /// waits until `inherited`. A timeout that is off adds nothing to that:
    /// without it, until the end of time.
    ///
    /// # Errors
    ///
    /// [`Reason::Expired`] if the inherited deadline has passed, unless it is
    /// configured to serve such calls, or has refused its share of them.
    #[inline(always)]
    pub fn admit(&self, now: Instant, inherited: Option<Deadline>) -> Result<Permit, Rejected> {
        self.admit_from(now, 0, inherited)
    }

    /// The same for a clock that lags by so many nanoseconds at most: nobody
    /// has less time for it, and nobody is taken for expired who is not.
    #[inline(always)]
    pub(super) fn admit_from(
        &self,
        now: Instant,
        lag: u64,
        inherited: Option<Deadline>,
    ) -> Result<Permit, Rejected> {
        let core = &*self.core;
        let mode = core.settings.mode.load();
        if mode == Mode::Off {
            return Ok(core.stands_aside(inherited));
        }
        if let Expiry::AtMost(budget) = &core.expiry {
            deposit(budget, now);
        }
        let own = now
            .as_nanos()
            .saturating_add(core.after())
            .saturating_add(lag);
        let mut permit = Permit {
            deadline: Deadline::at(Instant::from_nanos(own)),
            origin: Origin::Own,
            needs_timer: true,
            mode,
            name: core.name,
            observation: core.observed.as_ref().map(|by| observe(by, now)),
        };
        if let Some(inherited) = inherited {
            if inherited.is_expired(now) && core.disbelieves(now, mode)? {
                permit.origin = Origin::Instead;
            } else if inherited.instant().as_nanos() <= own {
                permit.deadline = inherited;
                permit.origin = Origin::Inherited;
                permit.needs_timer = !inherited.is_armed();
            }
        }
        Ok(permit)
    }

    /// How long calls may take: what was set, or less if it is adaptive.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.core.after())
    }

    /// Changes how long calls that begin from now on may take, at most.
    pub fn update(&self, duration: Duration) {
        self.core.settings.set_after(duration);
    }

    /// Whether it acts on its decisions.
    #[inline]
    pub fn mode(&self) -> Mode {
        self.core.settings.mode.load()
    }

    /// Switches between enforcing, shadowing and standing aside, for calls
    /// that begin from now on. In shadow, a crossing is reported and nothing
    /// is cancelled; what calls take is learnt all the same.
    pub fn set_mode(&self, mode: Mode) {
        self.core.settings.mode.store(mode);
    }

    /// Plain numbers for an operator; they print as a line. How many calls
    /// were given up is counted by the `tracing` events: the path of a call
    /// in time shares no counter.
    pub fn snapshot(&self) -> Snapshot {
        let core = &*self.core;
        Snapshot {
            name: core.name,
            duration: self.duration(),
            mode: self.mode(),
            refused: core.refused.load(),
            let_through: core.let_through.load(),
            latencies: core.observed.as_ref().map(|observed| observed.snapshot()),
        }
    }

    /// A tower layer over this timeout; all its services share it.
    #[cfg(feature = "tokio")]
    pub fn layer(&self) -> TimeoutLayer {
        TimeoutLayer::new(self.clone())
    }

    /// By how much the coarse clock may lag where that decides nothing: it is
    /// a fiftieth of the time that calls have at most, and no latency is
    /// measured.
    #[cfg(feature = "tokio")]
    #[inline(always)]
    pub(super) fn bearable_lag(&self) -> Option<u64> {
        let core = &*self.core;
        let is_borne = core.observed.is_none() && core.settings.after() >= core.bears_ticks_from;
        is_borne.then_some(core.lag)
    }
}

// Both kept out of the path of a call that needs neither.

#[inline(never)]
fn deposit(budget: &RetryBudget<Deposits>, now: Instant) {
    let _deposited = budget.begin(now);
}

#[inline(never)]
fn observe(observed: &Shared<Observed>, now: Instant) -> Observation {
    Observation {
        began: now,
        by: observed.hold(),
    }
}

impl Core {
    /// How long calls may take, in nanoseconds.
    #[inline]
    fn after(&self) -> u64 {
        let after = self.settings.after();
        match &self.observed {
            None => after,
            Some(observed) => observed.after(after),
        }
    }

    #[cold]
    fn stands_aside(&self, inherited: Option<Deadline>) -> Permit {
        let end = Deadline::at(Instant::from_nanos(u64::MAX));
        Permit {
            deadline: inherited.unwrap_or(end),
            origin: Origin::Inherited,
            needs_timer: false,
            mode: Mode::Off,
            name: self.name,
            observation: None,
        }
    }

    /// Whether a call that arrived expired has the timeout's own time
    /// instead. In shadow it keeps what it came with.
    #[cold]
    fn disbelieves(&self, now: Instant, mode: Mode) -> Result<bool, Rejected> {
        if mode == Mode::Shadow {
            self.let_through.count();
            return Ok(false);
        }
        let refuses = match &self.expiry {
            Expiry::Refuse => true,
            Expiry::Serve => false,
            Expiry::AtMost(budget) => {
                let token = budget.try_extra(now, Class::Transient);
                token.map(Token::spend).is_ok()
            }
        };
        if refuses {
            self.refused.count();
            return Err(Rejected::new(Pattern::Timeout, Reason::Expired).with_name(self.name));
        }
        self.let_through.count();
        Ok(true)
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("name", &self.core.name)
            .field("duration", &self.duration())
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_lags_takes_nothing_from_a_call() {
        let timeout = Timeout::after(Duration::from_nanos(100));
        let at = Instant::from_nanos;
        let admitted = |inherited| {
            let permit = timeout.admit_from(at(1_000), 9, Some(Deadline::at(at(inherited))));
            permit.map(|permit| permit.deadline().instant().as_nanos())
        };
        assert_eq!(admitted(2_000), Ok(1_109), "it may have begun at 1,009");
        assert_eq!(admitted(1_105), Ok(1_105));
        // It may be over, or not.
        assert_eq!(admitted(1_001), Ok(1_001));
        assert!(admitted(1_000).is_err());
    }

    // Review of the release build: the sum wrapped, and no time was left.
    #[test]
    fn a_time_without_end_has_none() {
        let timeout = Timeout::after(Duration::MAX);
        let permit = timeout.admit_from(Instant::from_nanos(1_000), 9, None);
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(permit.map(|permit| permit.deadline().instant()), Ok(end));
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn a_tick_is_borne_where_it_is_a_fiftieth_at_most() {
        let tick = Clock::coarse_tick();
        let timeout = Timeout::after(50 * tick);
        assert_eq!(timeout.bearable_lag(), Some(tick.as_nanos() as u64 - 1));
        timeout.update(50 * tick - Duration::from_nanos(1));
        assert_eq!(timeout.bearable_lag(), None);
        // What is measured is not to be off by a tick, however long it may be.
        let adaptive = crate::timeout::Adaptive::of(axiomatic_core::Ratio::percent(90));
        let learns = Config::after(Duration::MAX).adaptive(adaptive).build();
        assert_eq!(learns.map(|timeout| timeout.bearable_lag()), Ok(None));
    }
}
