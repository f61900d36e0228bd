use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{Setting, SpreadTally, Tally};
use axiomatic_core::time::{Instant, saturating_nanos};
use axiomatic_core::{Mode, Name, Pattern, Reason, Rejected};

use super::telemetry::Telemetry;
use super::unready_cell::Unready;
use super::{Config, ConfigError, FailFastLayer, Snapshot, Wait};

/// Knows for how long nobody has found a service ready, and says when that is
/// too long: a handle, cheap to clone, that works without tower.
///
/// It does not wait and reads no clock. Whoever asks the service says what it
/// found, and has a [`Wait`] of its own for that.
///
/// ```
/// use axiomatic_capacity::load_shed::fail_fast::{Config, Verdict, Wait};
/// use axiomatic_core::time::Instant;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), axiomatic_capacity::load_shed::fail_fast::ConfigError> {
/// let patience = Duration::from_secs(1);
/// let fail_fast = Config::new(patience).build()?;
/// let now = Instant::from_nanos(1_000);
///
/// let (mut mine, mut yours) = (Wait::default(), Wait::default());
/// let until = now + patience;
/// assert_eq!(fail_fast.found_unready(&mut mine, now), Verdict::Wait(Some(until)));
/// // What was too long for one is not tried by another.
/// assert_eq!(fail_fast.found_unready(&mut mine, until), Verdict::Refuse);
/// assert_eq!(fail_fast.found_unready(&mut yours, until), Verdict::Refuse);
///
/// fail_fast.found_ready(&mut yours);
/// assert!(!fail_fast.is_failing());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FailFast {
    core: Arc<Core>,
}

struct Core {
    name: Name,
    mode: ModeCell,
    /// In nanoseconds.
    max_unavailable: Setting,
    unready: Unready,
    refused: SpreadTally,
    would_refuse: Tally,
    episodes: Tally,
    telemetry: Telemetry,
}

/// What becomes of a call whose service is not ready.
#[must_use]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It waits, and asks again at this instant at the latest; at none, if
    /// there is nothing to decide.
    Wait(Option<Instant>),
    /// It is refused, and whatever it waited for is let go.
    Refuse,
}

/// So much later than the first to ask are the others woken, so that it has
/// said what there is to say: tokio's timers count in milliseconds.
const AFTER_THE_FIRST: Duration = Duration::from_millis(1);

impl FailFast {
    pub(super) fn from_config(config: Config) -> Self {
        FailFast {
            core: Arc::new(Core {
                name: config.name,
                mode: ModeCell::new(config.mode),
                max_unavailable: Setting::new(saturating_nanos(config.max_unavailable)),
                unready: Unready::new(),
                refused: SpreadTally::new(),
                would_refuse: Tally::new(),
                episodes: Tally::new(),
                telemetry: Telemetry::new(config.name),
            }),
        }
    }

    /// A layer with this state, which all services that it makes share.
    pub fn layer(&self) -> FailFastLayer {
        FailFastLayer::new(self.clone())
    }

    /// The service was found ready: whatever others found before, calls pass.
    #[inline(always)]
    pub fn found_ready(&self, wait: &mut Wait) {
        wait.end();
        if self.core.unready.clear() {
            self.core.telemetry.recovered();
        }
    }

    /// The service was found not ready, and so it was for too long already:
    /// then it needs no time to say so.
    #[inline]
    pub(super) fn refuses_unready(&self, wait: &mut Wait) -> bool {
        let core = &*self.core;
        let refuses = core.mode.load() == Mode::Enforce && core.unready.is_failing();
        if refuses {
            wait.end();
        }
        refuses
    }

    /// The service was found not ready, at `now`, by an asker with this wait.
    ///
    /// A wait counts from its beginning, or from when somebody last found the
    /// service ready if that is later; and it counts for nothing if its asker
    /// was away when it was to ask again.
    pub fn found_unready(&self, wait: &mut Wait, now: Instant) -> Verdict {
        let core = &*self.core;
        if core.mode.is_off() {
            return Verdict::Wait(None);
        }
        let max_unavailable = self.max_unavailable();
        if max_unavailable.is_zero() {
            // Each knows by itself all that there is to know.
            return self.turn_away(wait, now);
        }
        let began = wait.attend(now, max_unavailable);
        // Lock-free: it goes around only when somebody found it ready, or when
        // somebody else was quicker to fail.
        loop {
            let Some(since) = core.unready.ask_in_vain(now) else {
                return self.turn_away(wait, now);
            };
            let end = since.max(began) + max_unavailable;
            if now < end {
                // Who asked first may be gone, so what it would have said is
                // no reason to refuse: only one to look whether it has.
                let first = since + max_unavailable + AFTER_THE_FIRST;
                let until = if now < first { first.min(end) } else { end };
                wait.set_until(until);
                return Verdict::Wait(Some(until));
            }
            if core.unready.fail(since) {
                core.episodes.count();
                core.telemetry.failing_fast(max_unavailable);
                return self.turn_away(wait, now);
            }
        }
    }

    fn turn_away(&self, wait: &mut Wait, now: Instant) -> Verdict {
        let core = &*self.core;
        if core.mode.load() == Mode::Enforce {
            wait.end();
            return Verdict::Refuse;
        }
        if wait.count(now) {
            core.would_refuse.count();
            core.telemetry.would_refuse();
        }
        Verdict::Wait(None)
    }

    /// The refusal of one call, which is counted.
    #[inline]
    pub fn refuse(&self) -> Rejected {
        self.count_refused();
        Self::rejected(self.core.name, Reason::Shed)
    }

    #[inline]
    pub(super) fn count_refused(&self) {
        self.core.refused.count();
        self.core.telemetry.refused();
    }

    /// A refusal in words. When to come back nobody knows.
    #[inline]
    pub(super) fn rejected(by: Name, reason: Reason) -> Rejected {
        Rejected::new(Pattern::FailFast, reason).with_name(by)
    }

    #[inline]
    pub(super) fn name(&self) -> Name {
        self.core.name
    }

    /// Whether calls are refused, unless they find the service ready. With a
    /// time of zero it is never so: then nobody goes by what others found.
    pub fn is_failing(&self) -> bool {
        self.core.unready.is_failing()
    }

    /// How long the service may be not ready.
    pub fn max_unavailable(&self) -> Duration {
        Duration::from_nanos(self.core.max_unavailable.load())
    }

    /// Changes how long the service may be not ready, for waits that begin or
    /// are asked again from now on.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] as from [`Config::build`]; then nothing changes.
    pub fn update(&self, max_unavailable: Duration) -> Result<(), ConfigError> {
        Config::check(max_unavailable)?;
        let nanos = saturating_nanos(max_unavailable);
        self.core.max_unavailable.store(nanos);
        Ok(())
    }

    /// Whether it acts on its decisions.
    #[inline(always)]
    pub fn mode(&self) -> Mode {
        self.core.mode.load()
    }

    /// Switches between enforcing, shadowing and standing aside. In shadow all
    /// calls wait, and those that would have been refused are counted. Switched
    /// off it forgets what was found.
    pub fn set_mode(&self, mode: Mode) {
        self.core.mode.store(mode);
        if mode == Mode::Off && self.core.unready.clear() {
            self.core.telemetry.recovered();
        }
    }

    /// What it is like now.
    pub fn snapshot(&self) -> Snapshot {
        let core = &*self.core;
        Snapshot {
            name: core.name,
            mode: core.mode.load(),
            max_unavailable: self.max_unavailable(),
            is_failing: self.is_failing(),
            episodes: core.episodes.load(),
            refused: core.refused.load(),
            would_refuse: core.would_refuse.load(),
        }
    }
}

impl fmt::Debug for FailFast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
