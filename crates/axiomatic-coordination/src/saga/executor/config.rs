//! How an executor works.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::backoff::{self, Backoff, Jitter};
use axiomatic_core::time::Clock;

use crate::saga::store::Swept;

/// How an executor works. All of it has a default.
///
/// ```
/// use axiomatic_coordination::saga::Config;
/// use std::time::Duration;
///
/// let config = Config::new()
///     .named("checkout")
///     .lease(Duration::from_secs(10))
///     .checked()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) name: Name,
    pub(super) lease: Duration,
    pub(super) poll: Duration,
    pub(super) at_once: usize,
    pub(super) max_loads: u32,
    pub(super) keep: Duration,
    pub(super) park: Duration,
    pub(super) drain: Duration,
    pub(super) retention: Duration,
    pub(super) swept: Swept,
    pub(super) outage: Backoff,
    pub(super) clock: Clock,
}

impl Config {
    /// The defaults: leases of 15 s, 1024 sagas at once, a look for what is
    /// due every second, 5 loads, a minute for what is parked, 30 s to drain, and
    /// a week for sagas that have ended.
    pub fn new() -> Self {
        let ms = Duration::from_millis;
        Config {
            name: Name::UNNAMED,
            lease: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            at_once: 1024,
            max_loads: 5,
            keep: Duration::from_secs(2),
            park: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            retention: Duration::from_secs(7 * 24 * 3600),
            swept: Swept::Deleted,
            outage: Backoff::exponential(ms(20), Duration::from_secs(5)).jitter(Jitter::Equal),
            clock: Clock::Precise,
        }
    }

    /// What the executor is called in events and snapshots.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// How long a lease lasts; it is renewed at a third of that. An executor
    /// that dies is missed for so long.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How often it looks for sagas that are due and that nobody of this
    /// process told it of.
    #[must_use]
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// How many sagas it has in memory at once, beside those that are
    /// [executed](super::Executor::execute) by their callers.
    #[must_use]
    pub fn at_once(mut self, sagas: usize) -> Self {
        self.at_once = sagas;
        self
    }

    /// How often a saga may be loaded without going forward: it is then taken
    /// for one that ends its process, parked, and left to an operator, who
    /// [resumes](super::super::Client::resume) it.
    #[must_use]
    pub fn max_loads(mut self, loads: u32) -> Self {
        self.max_loads = loads;
        self
    }

    /// A saga that waits for longer than this leaves the memory meanwhile.
    #[must_use]
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// How long a saga is left alone that this executor cannot run: another
    /// may, or this one's next release.
    #[must_use]
    pub fn park(mut self, park: Duration) -> Self {
        self.park = park;
        self
    }

    /// How long is waited, when it shuts down, for actions that are running;
    /// then they are dropped, and may have happened.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// How long sagas that have ended are kept, with their logs: for so long one
    /// that is begun again is known to have been. Executors put them away
    /// thereafter, a few hundred at a time.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sagas that were kept for their retention are moved to an archive; unless
    /// this is said, they are deleted.
    #[must_use]
    pub fn archive(mut self) -> Self {
        self.swept = Swept::Archived;
        self
    }

    /// How long is waited before a store that failed is asked again.
    #[must_use]
    pub fn outage_backoff(mut self, backoff: Backoff) -> Self {
        self.outage = backoff;
        self
    }

    /// The clock by which leases are taken for held, a little shorter than the
    /// store does.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Looks whether an executor can work so.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn checked(self) -> Result<Self, ConfigError> {
        if self.lease < Duration::from_millis(30) {
            return Err(ConfigError::LeaseTooShort);
        }
        if self.poll.is_zero() || self.park.is_zero() {
            return Err(ConfigError::NoPause);
        }
        if self.at_once == 0 || self.max_loads == 0 {
            return Err(ConfigError::NothingAtOnce);
        }
        self.outage.checked()?;
        Ok(self)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Why an executor cannot work so.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A lease under 30 ms cannot be renewed in time.
    LeaseTooShort,
    /// It would look without a pause.
    NoPause,
    /// It could run no saga.
    NothingAtOnce,
    /// The backoff makes no sense.
    Backoff(backoff::ConfigError),
}

impl From<backoff::ConfigError> for ConfigError {
    fn from(error: backoff::ConfigError) -> Self {
        ConfigError::Backoff(error)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::LeaseTooShort => f.write_str("a lease is at least 30 ms long"),
            ConfigError::NoPause => f.write_str("poll and park are longer than nothing"),
            ConfigError::NothingAtOnce => f.write_str("at_once and max_loads are at least 1"),
            ConfigError::Backoff(error) => error.fmt(f),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Backoff(error) => Some(error),
            _ => None,
        }
    }
}
