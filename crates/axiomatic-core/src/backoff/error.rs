use std::error::Error;
use std::fmt;

use crate::Ratio;

/// Why a backoff makes no sense.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The first wait would be longer than the longest.
    Longest,
    /// What is multiplied by 0 or by 1 does not grow.
    Factor(u32),
    /// A wait cannot be shortened by more than all of it.
    Share(Ratio),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Longest => write!(f, "the first wait is longer than the longest"),
            ConfigError::Factor(factor) => write!(
                f,
                "an exponential backoff by a factor of {factor} does not grow"
            ),
            ConfigError::Share(share) => {
                write!(f, "jitter shortens by at most 100 %, not by {share}")
            }
        }
    }
}

impl Error for ConfigError {}
