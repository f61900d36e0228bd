use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Ratio;

use super::fairness;
use super::prioritizer::Config;
use super::signal::OverloadError;

/// Why something that sheds load cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The period is shorter than [`Config::SHORTEST_PERIOD`], or longer than
    /// [`Config::LONGEST_PERIOD`].
    Period(Duration),
    /// Overload that would end before it begins, or never.
    Overload(OverloadError),
    /// A step that leads nowhere, or too far.
    Step(Ratio),
    /// If all were refused, nobody would see that it can be borne again.
    MostRefused(Ratio),
    /// No time to stay away, or one that is longer than the longest.
    RetryAfter(Duration, Duration),
    /// Users are to be reshuffled, or their use is to be forgotten, more often
    /// than [`fairness::Config::SHORTEST`].
    Fairness(Duration),
    /// What the other side said is to be believed for no time.
    Believed,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Period(period) => write!(
                f,
                "a period of {period:?} is not between {:?} and {:?}",
                Config::SHORTEST_PERIOD,
                Config::LONGEST_PERIOD
            ),
            ConfigError::Overload(error) => error.fmt(f),
            ConfigError::Step(step) => write!(
                f,
                "a step of {step} is none, or more than 50 % down or 100 % up"
            ),
            ConfigError::MostRefused(share) => write!(
                f,
                "to refuse {share} is to refuse all: nobody would see that it is over"
            ),
            ConfigError::RetryAfter(first, longest) => write!(
                f,
                "to wait {first:?} at first and {longest:?} at most will not do"
            ),
            ConfigError::Fairness(time) => {
                write!(f, "{time:?} are less than {:?}", fairness::Config::SHORTEST)
            }
            ConfigError::Believed => f.write_str("a level that is believed for no time"),
        }
    }
}

impl Error for ConfigError {}

impl From<OverloadError> for ConfigError {
    fn from(error: OverloadError) -> Self {
        ConfigError::Overload(error)
    }
}
