use std::error::Error;
use std::fmt;

use crate::rate_limit::{self, Quota};

/// Why limits by key cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The quota cannot be kept by anybody.
    Quota(rate_limit::ConfigError),
    /// More than one in two microseconds for each key. A single limiter can
    /// keep it.
    TooFast(Quota),
    /// More bytes than 2^32 sets of 128.
    Table(u64),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Quota(error) => error.fmt(f),
            ConfigError::TooFast(quota) => {
                write!(f, "{quota}, for each key: that is more than 1 in 2 µs")
            }
            ConfigError::Table(bytes) => {
                write!(f, "a table of {bytes} bytes is more than 512 GiB")
            }
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Quota(error) => Some(error),
            ConfigError::TooFast(_) | ConfigError::Table(_) => None,
        }
    }
}
