use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit;
use axiomatic_failure::circuit_breaker;

/// Why a limit over Redis cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The prefix is empty, longer than 64 bytes, or has other characters than
    /// letters, digits and `_-.:/`.
    Prefix,
    /// The quota, or the local share of it, cannot be kept.
    Quota(rate_limit::ConfigError),
    /// What may pass at once when Redis goes away is less than one for each
    /// process.
    Overshoot {
        /// Processes.
        peers: NonZeroU32,
        /// What all of them may admit at once.
        overshoot: NonZeroU32,
    },
    /// A lease takes more at once than the burst has, or than 2^20 − 1.
    Batch(NonZeroU32),
    /// A lease lasts shorter than 10 ms or longer than an hour.
    Lasting(Duration),
    /// A time to wait for Redis is nothing, or longer than a minute.
    Timeout(Duration),
    /// The breaker in front of Redis cannot work.
    Breaker(circuit_breaker::ConfigError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Prefix => {
                f.write_str("a prefix is 1 to 64 letters, digits and _-.:/ and nothing else")
            }
            ConfigError::Quota(error) => error.fmt(f),
            ConfigError::Overshoot { peers, overshoot } => write!(
                f,
                "{peers} processes cannot share {overshoot}: each needs one at least"
            ),
            ConfigError::Batch(batch) => {
                write!(
                    f,
                    "a lease of {batch} is more than the burst, or than 1048575"
                )
            }
            ConfigError::Lasting(lasting) => {
                write!(f, "a lease of {lasting:?} is not between 10 ms and an hour")
            }
            ConfigError::Timeout(timeout) => {
                write!(
                    f,
                    "a timeout of {timeout:?} is not between 1 ns and a minute"
                )
            }
            ConfigError::Breaker(error) => write!(f, "the breaker: {error}"),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Quota(error) => Some(error),
            ConfigError::Breaker(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a limiter could not be connected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration cannot work.
    Config(ConfigError),
    /// The address is none, or Redis does not answer there.
    Redis(redis::RedisError),
    /// Redis did not answer in time.
    Elapsed,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Config(error) => error.fmt(f),
            ConnectError::Redis(error) => error.fmt(f),
            ConnectError::Elapsed => f.write_str("Redis did not answer in time"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConnectError::Config(error) => Some(error),
            ConnectError::Redis(error) => Some(error),
            ConnectError::Elapsed => None,
        }
    }
}

impl From<ConfigError> for ConnectError {
    fn from(error: ConfigError) -> Self {
        ConnectError::Config(error)
    }
}
