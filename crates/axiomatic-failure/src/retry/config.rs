use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::backoff::Backoff;
use axiomatic_core::budget::{Budget, Deposits, RetryBudget};
use axiomatic_core::time::Clock;

use super::{ConfigError, Retry};

/// What a [`Retry`] does, before it is built.
///
/// Required is the budget, since a retry without one multiplies the load when
/// everything fails; the default has one of its own.
///
/// ```
/// use axiomatic_core::backoff::Backoff;
/// use axiomatic_core::budget::{Deposits, RetryBudget};
/// use axiomatic_failure::retry::Config;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let budget = RetryBudget::new("payment", Deposits::default())?;
/// let retry = Config::new(budget)
///     .named("payment")
///     .attempts(4)
///     .backoff(Backoff::exponential(Duration::from_millis(20), Duration::from_secs(1)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config<Bu = RetryBudget<Deposits>> {
    pub(super) budget: Bu,
    pub(super) name: Name,
    pub(super) clock: Clock,
    pub(super) seed: Option<u64>,
    pub(super) settings: Settings,
}

/// What changes live.
#[derive(Copy, Clone, Debug)]
pub(super) struct Settings {
    pub(super) attempts: u32,
    pub(super) backoff: Backoff,
    pub(super) least_attempt: LeastAttempt,
    pub(super) refusals: Refusals,
}

/// How much time must be left for an attempt to make sense.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeastAttempt {
    /// As much as half of the good calls take, which the retry observes in
    /// the calls that have a deadline; nothing before it has seen enough of
    /// them.
    #[default]
    Typical,
    /// So much.
    Fixed(Duration),
}

/// What to do with a call that a layer further in refused to make.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Refusals {
    /// Return it: what refuses a call would refuse the next one too, and is
    /// there to be heeded.
    #[default]
    Return,
    /// Repeat it as a transient failure, after the wait that it names: where
    /// the other attempt goes elsewhere, to another breaker for example.
    Repeat,
}

impl<Bu: Budget> Config<Bu> {
    /// Three attempts, exponential waits from 100 ms up to 5 s with full
    /// jitter, and what the budget allows.
    pub fn new(budget: Bu) -> Self {
        Config {
            budget,
            name: Name::UNNAMED,
            clock: Clock::Coarse,
            seed: None,
            settings: Settings {
                attempts: 3,
                backoff: Backoff::exponential(Duration::from_millis(100), Duration::from_secs(5)),
                least_attempt: LeastAttempt::Typical,
                refusals: Refusals::Return,
            },
        }
    }

    /// The name in events and metrics, and for retries further in.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// How often a call is tried at most, the first attempt included.
    #[must_use]
    pub fn attempts(mut self, most: u32) -> Self {
        self.settings.attempts = most;
        self
    }

    /// How long to wait before each retry, and how far a server's
    /// `Retry-After` can prolong it.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// How much time must be left, after the wait, for another attempt.
    #[must_use]
    pub fn least_attempt(mut self, least: LeastAttempt) -> Self {
        self.settings.least_attempt = least;
        self
    }

    /// What to do with calls that a layer further in refused.
    #[must_use]
    pub fn refusals(mut self, refusals: Refusals) -> Self {
        self.settings.refusals = refusals;
        self
    }

    /// Where instants come from. The coarse clock, which is the default, dates
    /// the beginnings of calls; as soon as a decision depends on the time, the
    /// precise one is read in its place.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the waits of the first call, of the second and so on the same in
    /// every run: for tests and simulations. Without a seed every call rolls
    /// dice of its own.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The retry.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what cannot work.
    pub fn build(self) -> Result<Retry<Bu>, ConfigError> {
        self.settings.check()?;
        Ok(Retry::from_checked(self))
    }
}

impl Default for Config {
    /// With a budget of its own: 20 % of the calls, and 10 retries a second.
    fn default() -> Self {
        Config::new(RetryBudget::default())
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.attempts == 0 {
            return Err(ConfigError::Attempts);
        }
        self.backoff.checked().map_err(ConfigError::Backoff)?;
        Ok(())
    }
}
