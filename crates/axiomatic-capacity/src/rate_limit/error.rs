use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::{Algorithm, Quota};

/// Why a limit of a rate cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The period is nothing, or longer than [`Quota::LONGEST`].
    Period(Duration),
    /// More than one a nanosecond.
    Rate(Quota),
    /// What may come at once takes longer than [`Quota::LONGEST`] to come at
    /// the rate.
    Burst(Quota),
    /// A window has no burst but its count.
    WindowBurst(Quota),
    /// A sliding window counts no more than
    /// [`Algorithm::MOST_IN_WINDOW`](super::Algorithm::MOST_IN_WINDOW).
    WindowCount(Quota),
    /// Nobody waits for a sliding window, which promises nothing ahead.
    WindowWait,
    /// A limit that gets warm takes 1 ns to [`Quota::LONGEST`] for it.
    WarmUp(Duration),
    /// Nobody may wait: for no time, or no room.
    Wait,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Period(period) => write!(
                f,
                "a period of {period:?} is not between 1 ns and {:?}",
                Quota::LONGEST
            ),
            ConfigError::Rate(quota) => write!(f, "{quota}: that is more than 1 in 1 ns"),
            ConfigError::Burst(quota) => write!(
                f,
                "{quota}: so many need longer than {:?} at that rate",
                Quota::LONGEST
            ),
            ConfigError::WindowBurst(quota) => {
                write!(f, "{quota}: of a window all may come at once")
            }
            ConfigError::WindowCount(quota) => write!(
                f,
                "{quota}: a sliding window counts no more than {}",
                Algorithm::MOST_IN_WINDOW
            ),
            ConfigError::WindowWait => {
                f.write_str("nobody can wait for a sliding window, which promises nothing ahead")
            }
            ConfigError::WarmUp(length) => write!(
                f,
                "to get warm takes 1 ns to {:?}, and not {length:?}",
                Quota::LONGEST
            ),
            ConfigError::Wait => f.write_str("who waits needs time and room to wait"),
        }
    }
}

impl Error for ConfigError {}
