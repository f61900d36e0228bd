use std::error::Error;
use std::fmt;

use axiomatic_core::Name;

use super::WhenFull;
use crate::bulkhead::Config;

/// Why a bulkhead cannot work, or an adaptive limit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// There are more slots than [`Config::MOST`].
    Limit(u32),
    /// There are no places to wait in, or more than
    /// [`WhenFull::MOST_WAITING`] in all partitions together.
    MaxWaiting(u32),
    /// There are more partitions than [`Config::MOST_PARTITIONS`].
    Partitions(usize),
    /// More than the whole is guaranteed.
    Shares,
    /// Two partitions have one name.
    Twice(Name),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Limit(limit) => {
                write!(f, "{limit} slots are more than {}", Config::MOST)
            }
            ConfigError::MaxWaiting(places) => write!(
                f,
                "there are 1 to {} places to wait in, of all partitions together: {places} for \
                 each will not do",
                WhenFull::MOST_WAITING
            ),
            ConfigError::Partitions(count) => write!(
                f,
                "{count} partitions are more than {}",
                Config::MOST_PARTITIONS
            ),
            ConfigError::Shares => f.write_str("more than 100 % is guaranteed"),
            ConfigError::Twice(name) => write!(f, "two partitions have the name {name}"),
        }
    }
}

impl Error for ConfigError {}
