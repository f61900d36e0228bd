use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::Quota;

/// Why a limit of a rate cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The period is nothing, or longer than [`Quota::LONGEST`].
    Period(Duration),
    /// More than one a nanosecond.
    Rate(Quota),
    /// What may come at once takes longer than [`Quota::LONGEST`] to come at
    /// the rate.
    Burst(Quota),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Period(period) => write!(
                f,
                "a period of {period:?} is not between 1 ns and {:?}",
                Quota::LONGEST
            ),
            ConfigError::Rate(quota) => write!(f, "{quota}: that is more than 1 in 1 ns"),
            ConfigError::Burst(quota) => write!(
                f,
                "{quota}: so many need longer than {:?} at that rate",
                Quota::LONGEST
            ),
        }
    }
}

impl Error for ConfigError {}
