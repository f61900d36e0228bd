use std::time::Duration;

use axiomatic_core::time::saturating_nanos;

use crate::Random;
use crate::float::{exp, ln};
use crate::random::scaled;

/// How long one request is worked on.
///
/// ```
/// use axiomatic_sim::{Random, ServiceTime};
/// use std::time::Duration;
///
/// let (median, p99) = (Duration::from_millis(40), Duration::from_millis(200));
/// let takes = ServiceTime::LogNormal { median, p99 };
/// assert!(takes.draw(&mut Random::new(1)).is_some());
/// assert_eq!(ServiceTime::Never.draw(&mut Random::new(1)), None);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceTime {
    /// Always as long.
    Constant(Duration),
    /// Anything from the one to the other, equally likely.
    Uniform {
        /// The shortest.
        shortest: Duration,
        /// The longest.
        longest: Duration,
    },
    /// Without memory: what formulas of queues are about.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// With a heavy tail, as latencies have it, said by two numbers that are
    /// on every dashboard.
    LogNormal {
        /// Half take less.
        median: Duration,
        /// One in a hundred takes more.
        p99: Duration,
    },
    /// Hung: there is no answer.
    Never,
}

impl ServiceTime {
    /// One time, or none if there is no answer.
    pub fn draw(&self, random: &mut Random) -> Option<Duration> {
        Some(match *self {
            ServiceTime::Constant(time) => time,
            ServiceTime::Uniform { shortest, longest } => {
                let width = saturating_nanos(longest.saturating_sub(shortest));
                shortest + Duration::from_nanos(random.below(width.saturating_add(1)))
            }
            ServiceTime::Exponential { mean } => random.exponential(mean),
            ServiceTime::LogNormal { median, p99 } => {
                // 99 % of a normal distribution lie below 2.3263 deviations.
                let [low, high] = [median, p99].map(|time| saturating_nanos(time).max(1) as f64);
                let deviation = ln(high / low) / 2.326_347_874;
                scaled(median, exp(deviation * random.normal()))
            }
            ServiceTime::Never => return None,
        })
    }
}
