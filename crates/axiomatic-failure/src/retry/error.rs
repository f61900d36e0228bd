use std::error::Error;
use std::fmt;

use axiomatic_core::backoff;

/// Why a retry cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A call that is tried no time at all.
    Attempts,
    /// The backoff makes no sense.
    Backoff(backoff::ConfigError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Attempts => f.write_str("a call needs at least one attempt"),
            ConfigError::Backoff(error) => error.fmt(f),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Attempts => None,
            ConfigError::Backoff(error) => Some(error),
        }
    }
}
