use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::histogram::LatencyHistogram;

use super::Adaptive;

/// Why a timeout cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The share of expired calls that is refused is a multiple of 0.1 %.
    Share(Ratio),
    /// A quantile lies above 0 and is at most the whole.
    Quantile(Ratio),
    /// Calls have to be let take longer than the quantile, or else nobody
    /// sees when they do: from [`Adaptive::LEAST_TIMES`] to
    /// [`Adaptive::MOST_TIMES`] as long.
    Times(Ratio),
    /// The shortest time is longer than the longest.
    AtLeast(Duration),
    /// A half-life lasts from [`LatencyHistogram::SHORTEST`] to
    /// [`LatencyHistogram::LONGEST`].
    HalfLife(Duration),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Share(share) => {
                write!(f, "a share is a multiple of 0.1 %, which {share} is not")
            }
            ConfigError::Quantile(quantile) => {
                write!(
                    f,
                    "a quantile is above 0 % and at most 100 %, which {quantile} is not"
                )
            }
            ConfigError::Times(times) => write!(
                f,
                "a call may take {} to {} of the quantile, which {times} is not",
                Adaptive::LEAST_TIMES,
                Adaptive::MOST_TIMES
            ),
            ConfigError::AtLeast(shortest) => {
                write!(
                    f,
                    "the shortest time, {shortest:?}, is longer than the longest"
                )
            }
            ConfigError::HalfLife(half_life) => write!(
                f,
                "a half-life lasts {:?} to {:?}, which {half_life:?} is not",
                LatencyHistogram::SHORTEST,
                LatencyHistogram::LONGEST
            ),
        }
    }
}

impl Error for ConfigError {}
