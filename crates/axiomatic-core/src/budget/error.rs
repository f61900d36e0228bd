use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::Deposits;
use crate::Ratio;

/// Why a budget cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Tokens are counted in thousandths: a ratio of deposits or of successes
    /// is a multiple of 0.1 %, and one of successes is not zero.
    Ratio(Ratio),
    /// A deposit lasts from [`Deposits::SHORTEST`] to [`Deposits::LONGEST`].
    Lifetime(Duration),
    /// A budget that holds nothing at its fullest.
    Empty,
    /// An extra attempt costs more than the budget can hold.
    Cost(u32),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Ratio(ratio) => write!(
                f,
                "a ratio is a multiple of 0.1 %, of successes above 0, which {ratio} is not"
            ),
            ConfigError::Lifetime(lifetime) => write!(
                f,
                "a deposit lasts {:?} to {:?}, which {lifetime:?} is not",
                Deposits::SHORTEST,
                Deposits::LONGEST
            ),
            ConfigError::Empty => f.write_str("a budget of no tokens"),
            ConfigError::Cost(cost) => {
                write!(f, "a cost of {cost} is more than the budget can hold")
            }
        }
    }
}

impl Error for ConfigError {}

/// Why a budget keeps the settings it has.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// They could not work.
    Config(ConfigError),
    /// How long deposits last is fixed when the budget is made.
    Lifetime,
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateError::Config(error) => error.fmt(f),
            UpdateError::Lifetime => f.write_str("how long deposits last is fixed"),
        }
    }
}

impl Error for UpdateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            UpdateError::Config(error) => Some(error),
            UpdateError::Lifetime => None,
        }
    }
}

impl From<ConfigError> for UpdateError {
    fn from(error: ConfigError) -> Self {
        UpdateError::Config(error)
    }
}
