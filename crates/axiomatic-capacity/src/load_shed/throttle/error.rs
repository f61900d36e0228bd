use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::window::TimeWindow;

/// Why a configuration cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A multiple below 100 % refuses calls although all are accepted.
    Multiple(Ratio),
    /// A success rate lies above 0 and at most at 100 %.
    Threshold(Ratio),
    /// An aggression is at least 100 %.
    Aggression(Ratio),
    /// What is refused at most lies above 0 and below 100 %: what passes is
    /// how it learns that the other side is back.
    MostRefused(Ratio),
    /// The window has no bucket, more than [`TimeWindow::MOST_BUCKETS`],
    /// shorter ones than [`TimeWindow::SHORTEST_BUCKET`] or longer ones than
    /// [`TimeWindow::LONGEST_BUCKET`].
    Window,
    /// The probability is computed at least every so often, and at most as
    /// often as [`Config::SHORTEST_REFRESH`](super::Config::SHORTEST_REFRESH)
    /// says: or longer than the window lasts.
    Refresh(Duration),
    /// Probes are a time apart.
    Probe,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Multiple(multiple) => {
                write!(f, "a multiple of {multiple} refuses when all are accepted")
            }
            ConfigError::Threshold(rate) => {
                write!(
                    f,
                    "a success rate of {rate} is not above 0 % and at most 100 %"
                )
            }
            ConfigError::Aggression(aggression) => {
                write!(f, "an aggression of {aggression} is below 100 %")
            }
            ConfigError::MostRefused(share) => {
                write!(f, "to refuse {share} is not above 0 % and below 100 %")
            }
            ConfigError::Window => write!(
                f,
                "a window has 1 to {} buckets of {:?} to {:?}",
                TimeWindow::MOST_BUCKETS,
                TimeWindow::SHORTEST_BUCKET,
                TimeWindow::LONGEST_BUCKET
            ),
            ConfigError::Refresh(every) => {
                write!(
                    f,
                    "a refresh every {every:?} is too often, or longer than the window"
                )
            }
            ConfigError::Probe => f.write_str("probes are a time apart"),
        }
    }
}

impl Error for ConfigError {}

/// Why a running throttler could not be changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// The configuration could not have been built either.
    Invalid(ConfigError),
    /// The window, and how often the probability is computed, are those of
    /// the construction.
    WindowIsFixed,
}

impl From<ConfigError> for UpdateError {
    fn from(error: ConfigError) -> Self {
        UpdateError::Invalid(error)
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateError::Invalid(_) => f.write_str("the new configuration cannot work"),
            UpdateError::WindowIsFixed => {
                f.write_str("the window of a running throttler cannot change")
            }
        }
    }
}

impl Error for UpdateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            UpdateError::Invalid(error) => Some(error),
            UpdateError::WindowIsFixed => None,
        }
    }
}
