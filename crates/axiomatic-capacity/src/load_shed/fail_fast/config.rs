use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::{Mode, Name};

use super::FailFast;

/// How long an inner service may be not ready before calls are refused for it.
///
/// There is no clock to choose: what waits is a timer of tokio's, and the two
/// have to agree.
///
/// ```
/// use axiomatic_capacity::load_shed::fail_fast::Config;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), axiomatic_capacity::load_shed::fail_fast::ConfigError> {
/// let fail_fast = Config::new(Duration::from_millis(500)).named("inventory").build()?;
/// assert!(!fail_fast.is_failing());
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) name: Name,
    pub(super) max_unavailable: Duration,
    pub(super) mode: Mode,
}

impl Config {
    /// The longest time that can be asked for: tokio's timers reach two years,
    /// and ring early for what is further away.
    pub const LONGEST: Duration = Duration::from_secs(365 * 86_400);

    /// Calls are refused once the inner service has not been ready for this
    /// long. Not at all is a choice too: then a call is refused if the inner
    /// service is not ready when it is asked.
    pub const fn new(max_unavailable: Duration) -> Self {
        Config {
            name: Name::UNNAMED,
            max_unavailable,
            mode: Mode::Enforce,
        }
    }

    /// The name in rejections, events and metrics.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether it acts on its decisions from the start.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The mechanism.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what cannot work.
    pub fn build(self) -> Result<FailFast, ConfigError> {
        Self::check(self.max_unavailable)?;
        Ok(FailFast::from_config(self))
    }

    pub(super) fn check(max_unavailable: Duration) -> Result<(), ConfigError> {
        if max_unavailable > Self::LONGEST {
            return Err(ConfigError::MaxUnavailable(max_unavailable));
        }
        Ok(())
    }
}

/// Why a fail-fast cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is longer than [`Config::LONGEST`].
    MaxUnavailable(Duration),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::MaxUnavailable(asked) => write!(
                f,
                "to wait {asked:?} for readiness is more than {:?}",
                Config::LONGEST
            ),
        }
    }
}

impl Error for ConfigError {}
