use std::error::Error;
use std::fmt;

use axiomatic_core::Ratio;
use axiomatic_core::window::{CountWindow, TimeWindow};

use super::{OpenFor, Ramp, TripWhen};

/// Why a configuration cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The window holds no call, or more than [`CountWindow::MOST`], or has
    /// no bucket, more than [`TimeWindow::MOST_BUCKETS`], shorter ones than
    /// [`TimeWindow::SHORTEST_BUCKET`] or longer ones than
    /// [`TimeWindow::LONGEST_BUCKET`].
    Window,
    /// More than [`TripWhen::MOST`] conditions.
    TooManyConditions,
    /// A streak of no failures would trip at rest.
    NoFailures,
    /// A rate has to lie above 0 and at most at 100 %.
    Rate(Ratio),
    /// A sample has to hold a call, and no more than the window of calls; a
    /// streak is at most 2^26 - 1 long.
    Sample(u32),
    /// A condition on slow calls needs
    /// [`Config::slow_after`](super::Config::slow_after).
    SlowWithoutThreshold,
    /// An open duration has to lie above zero and at most at
    /// [`OpenFor::LONGEST`], the first at most at the longest.
    OpenFor,
    /// A half-open breaker needs a probe, a place for it and a lease of at
    /// most [`HalfOpen::LONGEST_LEASE`](super::HalfOpen::LONGEST_LEASE).
    HalfOpen,
    /// To see slow calls in flight takes a window of time and a slow
    /// threshold, the latter above zero, at most half as long and at most
    /// four minutes.
    SlowInFlight,
    /// A ramp lasts longer than nothing and at most
    /// [`Ramp::LONGEST`](super::Ramp::LONGEST).
    Ramp,
    /// An adaptive breaker needs a window of time, a multiple of at least
    /// 100 % or a tolerated failure rate below that and a gain above 0 and at
    /// most 100 %, a most share of refusals between the two, and a time
    /// between its steps.
    Adaptive,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Window => write!(
                f,
                "a window has 1 to {} calls, or 1 to {} buckets of {:?} to {:?}",
                CountWindow::MOST,
                TimeWindow::MOST_BUCKETS,
                TimeWindow::SHORTEST_BUCKET,
                TimeWindow::LONGEST_BUCKET
            ),
            ConfigError::TooManyConditions => {
                write!(f, "at most {} conditions can be combined", TripWhen::MOST)
            }
            ConfigError::NoFailures => {
                write!(f, "a streak of 0 failures would trip at rest")
            }
            ConfigError::Rate(rate) => {
                write!(f, "a rate of {rate} is not above 0 % and at most 100 %")
            }
            ConfigError::Sample(sample) => write!(
                f,
                "a sample of {sample} calls is none, or more than the window holds"
            ),
            ConfigError::SlowWithoutThreshold => {
                write!(f, "a condition on slow calls needs `slow_after`")
            }
            ConfigError::OpenFor => write!(
                f,
                "open durations lie above zero and at most at {:?}, the first at most at the longest",
                OpenFor::LONGEST
            ),
            ConfigError::HalfOpen => write!(
                f,
                "a half-open breaker needs a required probe, a place for it and a lease"
            ),
            ConfigError::SlowInFlight => write!(
                f,
                "to see slow calls in flight takes a window of time that is at least twice as long as `slow_after`"
            ),
            ConfigError::Ramp => write!(
                f,
                "a ramp lasts longer than nothing and at most {:?}",
                Ramp::LONGEST
            ),
            ConfigError::Adaptive => write!(
                f,
                "an adaptive breaker needs a window of time, shares between 0 and 100 %, a multiple of at least 100 % and a step"
            ),
        }
    }
}

impl Error for ConfigError {}

/// Why a running breaker could not be changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// The configuration could not have been built either.
    Invalid(ConfigError),
    /// The window's kind and size are those of the construction.
    WindowIsFixed,
    /// More probes would be under way than were foreseen at construction.
    LeasesAreFixed {
        /// How many can be.
        leases: u8,
    },
    /// Whether it is adaptive is decided at construction.
    AdaptiveIsFixed,
}

impl From<ConfigError> for UpdateError {
    fn from(error: ConfigError) -> Self {
        UpdateError::Invalid(error)
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateError::Invalid(_) => write!(f, "the new configuration cannot work"),
            UpdateError::WindowIsFixed => {
                write!(f, "the window of a running breaker cannot change")
            }
            UpdateError::LeasesAreFixed { leases } => write!(
                f,
                "a running breaker cannot have more than the {leases} concurrent probes it was built for"
            ),
            UpdateError::AdaptiveIsFixed => {
                write!(
                    f,
                    "a running breaker cannot become adaptive, or cease to be"
                )
            }
        }
    }
}

impl Error for UpdateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            UpdateError::Invalid(error) => Some(error),
            _ => None,
        }
    }
}
