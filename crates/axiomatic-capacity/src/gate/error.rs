use std::error::Error;
use std::fmt;

use axiomatic_core::Name;

use super::WhenFull;
use crate::bulkhead::{CoDel, Config};

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
    /// There is [controlled delay](CoDel) of who waits, and nobody does.
    NobodyWaits,
    /// The target of controlled delay is no time: whoever waits is old.
    Target,
    /// The interval of controlled delay is shorter than its target.
    Interval(CoDel),
    /// In an overload those would leave who have not waited for the target.
    DropAge(CoDel),
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
            ConfigError::NobodyWaits => f.write_str("controlled delay of a queue that is none"),
            ConfigError::Target => f.write_str("controlled delay with a target of no time"),
            ConfigError::Interval(codel) => write!(
                f,
                "controlled delay with an interval of {:?}, shorter than its target of {:?}",
                codel.interval(),
                codel.target()
            ),
            ConfigError::DropAge(codel) => write!(
                f,
                "controlled delay that drops after {:?}, before its target of {:?}",
                codel.drop_age(),
                codel.target()
            ),
        }
    }
}

impl Error for ConfigError {}
