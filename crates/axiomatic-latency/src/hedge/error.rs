use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::{Ratio, budget};

/// Why a hedge cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// After no delay at all every call would be sent twice.
    NoDelay,
    /// A share of the calls lies above 0 and below 100 %.
    Share(Ratio),
    /// The shortest delay lies above zero, and not above the longest.
    Bounds {
        /// The shortest.
        shortest: Duration,
        /// The longest.
        longest: Duration,
    },
    /// A half-life lies between [`LatencyHistogram::SHORTEST`] and
    /// [`LatencyHistogram::LONGEST`].
    HalfLife(Duration),
    /// The budget of its own cannot be made: a share that is added is a
    /// multiple of 0.1 %.
    Budget(budget::ConfigError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoDelay => f.write_str("after no delay every call would be sent twice"),
            ConfigError::Share(share) => {
                write!(f, "a share of {share} is not above 0 % and below 100 %")
            }
            ConfigError::Bounds { shortest, longest } => write!(
                f,
                "delays from {shortest:?} to {longest:?} are none, or begin at nothing"
            ),
            ConfigError::HalfLife(half_life) => write!(
                f,
                "a half-life lasts {:?} to {:?}, which {half_life:?} is not",
                LatencyHistogram::SHORTEST,
                LatencyHistogram::LONGEST
            ),
            ConfigError::Budget(error) => error.fmt(f),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Budget(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a running hedge could not be changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// The configuration could not have been built either.
    Invalid(ConfigError),
    /// Whether the delay is fixed, and which share of the calls it is learned
    /// from, is decided at construction.
    DelayIsLearnedOtherwise,
    /// How long it remembers is decided at construction.
    HalfLifeIsFixed,
}

impl From<ConfigError> for UpdateError {
    fn from(error: ConfigError) -> Self {
        UpdateError::Invalid(error)
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UpdateError::Invalid(_) => "the new configuration cannot work",
            UpdateError::DelayIsLearnedOtherwise => {
                "what the delay of a running hedge is learned from cannot change"
            }
            UpdateError::HalfLifeIsFixed => {
                "how long a running hedge remembers latencies cannot change"
            }
        })
    }
}

impl Error for UpdateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            UpdateError::Invalid(error) => Some(error),
            _ => None,
        }
    }
}
