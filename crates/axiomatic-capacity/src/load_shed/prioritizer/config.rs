use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::saturating_nanos;
use axiomatic_core::{Name, Ratio};

use super::controller::Law;
use super::prioritizer::Prioritizer;
use crate::load_shed::ConfigError;
use crate::load_shed::signal::Overload;

/// How a [`Prioritizer`] is to find out how much can be borne.
///
/// ```
/// use axiomatic_capacity::bulkhead;
/// use axiomatic_capacity::load_shed::prioritizer::Config;
/// use axiomatic_capacity::load_shed::signal::{InFlight, Watched};
/// use axiomatic_core::Ratio;
/// use axiomatic_core::pressure::Pressure;
/// use std::num::NonZeroU32;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let slots = bulkhead::Config::new(NonZeroU32::new(100).ok_or("none")?).build()?;
/// let prioritizer = Config::new()
///     .signal(InFlight::of(slots.clone(), Ratio::percent(90)))
///     .signal(Watched::new("payment is open", |_| Pressure::NONE))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until it is built"]
pub struct Config {
    pub(super) name: Name,
    signals: Vec<Arc<dyn Signal>>,
    pub(super) enter: Pressure,
    pub(super) leave: Pressure,
    pub(super) period: Duration,
    pub(super) law: Law,
    pub(super) first_wait: Duration,
    pub(super) longest_wait: Duration,
    pub(super) seed: u64,
}

impl Config {
    /// The shortest period.
    pub const SHORTEST_PERIOD: Duration = Duration::from_millis(10);
    /// The longest period.
    pub const LONGEST_PERIOD: Duration = Duration::from_secs(10);

    /// One without signals, which learns of overload from what is turned away
    /// further in.
    pub fn new() -> Self {
        Config {
            name: Name::UNNAMED,
            signals: Vec::new(),
            enter: Overload::ENTER,
            leave: Overload::LEAVE,
            period: Duration::from_millis(100),
            // With 5 % down, one per cent less is served in most of the stories
            // of docs/overload.md, and twice as many refused without need.
            law: Law {
                decrease: Ratio::percent(2),
                increase: Ratio::percent(2),
                most_refused: Ratio::percent(99),
            },
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(32),
            seed: 0,
        }
    }

    /// The name in refusals, events and metrics.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// One more signal. It is too much if any of them says so.
    pub fn signal(mut self, signal: impl Signal + 'static) -> Self {
        self.signals.push(Arc::new(signal));
        self
    }

    /// From which pressure on it is too much, and below which it is no longer:
    /// by default 100 % and 80 %.
    pub const fn hysteresis(mut self, enter: Pressure, leave: Pressure) -> Self {
        (self.enter, self.leave) = (enter, leave);
        self
    }

    /// How often it decides anew, as long as requests come: by default every
    /// 100 ms. Less often if fewer than twenty come in that time.
    pub const fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// How much less is admitted after a period of too much pressure than was
    /// served in it, and how much more after one without: by default 2 % each.
    /// The second is doubled with each such period in a row, up to 32 %.
    pub const fn steps(mut self, decrease: Ratio, increase: Ratio) -> Self {
        self.law.decrease = decrease;
        self.law.increase = increase;
        self
    }

    /// The largest share that is refused, by default 99 %. What passes shows
    /// that it can be borne again.
    pub const fn most_refused(mut self, share: Ratio) -> Self {
        self.law.most_refused = share;
        self
    }

    /// How long who is refused is asked to stay away: at first, and at most,
    /// when much has been refused for long. By default 1 s and 32 s. Each is
    /// told up to twice as long, so that they do not all come back at once.
    pub const fn retry_after(mut self, first: Duration, longest: Duration) -> Self {
        (self.first_wait, self.longest_wait) = (first, longest);
        self
    }

    /// Which of those that matter the same are refused: other ones for each
    /// seed.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The prioritizer.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work.
    pub fn build(self) -> Result<Prioritizer, ConfigError> {
        self.check()?;
        let overload = Overload::with(self.signals.clone(), self.enter, self.leave)?;
        Ok(Prioritizer::new(&self, overload))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let most = |share: Ratio, most: Ratio| share > Ratio::ZERO && share <= most;
        if self.period < Self::SHORTEST_PERIOD || self.period > Self::LONGEST_PERIOD {
            return Err(ConfigError::Period(self.period));
        }
        Overload::with(Vec::new(), self.enter, self.leave)?;
        if !most(self.law.decrease, Ratio::percent(50)) {
            return Err(ConfigError::Step(self.law.decrease));
        }
        if !most(self.law.increase, Ratio::ONE) {
            return Err(ConfigError::Step(self.law.increase));
        }
        if self.law.most_refused >= Ratio::ONE {
            return Err(ConfigError::MostRefused(self.law.most_refused));
        }
        if self.first_wait.is_zero() || self.first_wait > self.longest_wait {
            return Err(ConfigError::RetryAfter(self.first_wait, self.longest_wait));
        }
        Ok(())
    }

    pub(super) fn waits(&self) -> (u64, u64) {
        let longest = self.longest_wait.min(LONGEST_WAIT);
        (
            saturating_nanos(self.first_wait.min(LONGEST_WAIT)),
            saturating_nanos(longest),
        )
    }
}

/// Twice as much is told at most, which must be a number still.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}
