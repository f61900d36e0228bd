use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::time::saturating_nanos;

use crate::{Blend, Random, Timeline};

/// So much in a time: a load.
///
/// ```
/// use axiomatic_sim::Rate;
/// use std::time::Duration;
///
/// assert_eq!(Rate::per_second(200).interval(), Some(Duration::from_millis(5)));
/// assert_eq!(Rate::per_minute(30).interval(), Some(Duration::from_secs(2)));
/// assert_eq!(Rate::NOTHING.interval(), None);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// In an hour: exact for whole numbers in a second and in a minute.
    hourly: u64,
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Rate {
    /// None at all.
    pub const NOTHING: Rate = Rate { hourly: 0 };

    /// So many in a second.
    pub const fn per_second(count: u32) -> Self {
        Rate {
            hourly: count as u64 * 3_600,
        }
    }

    /// So many in a minute.
    pub const fn per_minute(count: u32) -> Self {
        Rate {
            hourly: count as u64 * 60,
        }
    }

    /// The time from one to the next, on average.
    pub fn interval(self) -> Option<Duration> {
        let interval = saturating_nanos(HOUR).checked_div(self.hourly)?;
        Some(Duration::from_nanos(interval))
    }
}

impl Blend for Rate {
    fn blend(start: &Rate, end: &Rate, share: Ratio) -> Rate {
        Rate {
            hourly: u64::blend(&start.hourly, &end.hourly, share),
        }
    }
}

/// When requests arrive.
///
/// ```
/// use axiomatic_sim::{Arrivals, Random, Rate};
/// use std::time::Duration;
///
/// let arrivals = Arrivals::evenly(Rate::per_second(100));
/// let next = arrivals.next_after(Duration::from_secs(5), &mut Random::new(1));
/// assert_eq!(next, Some(Duration::from_millis(5_010)));
/// ```
#[derive(Clone, Debug)]
pub struct Arrivals {
    rate: Timeline<Rate>,
    spacing: Spacing,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Spacing {
    Even,
    Poisson,
}

impl Arrivals {
    /// At equal distances: a load generator, or a job that is due.
    pub fn evenly(rate: impl Into<Timeline<Rate>>) -> Self {
        Arrivals {
            rate: rate.into(),
            spacing: Spacing::Even,
        }
    }

    /// Independent of each other: many users who do not know of one another.
    pub fn poisson(rate: impl Into<Timeline<Rate>>) -> Self {
        Arrivals {
            rate: rate.into(),
            spacing: Spacing::Poisson,
        }
    }

    /// When the next request comes if one came at `elapsed`; never, where the
    /// rate stays nothing.
    pub fn next_after(&self, elapsed: Duration, random: &mut Random) -> Option<Duration> {
        // What has to flow by until the next one comes: an hour's worth at a
        // rate of one an hour. Along a rate that changes, it is summed up
        // piece by piece, which is exact for steps.
        let mut needed = u128::from(saturating_nanos(match self.spacing {
            Spacing::Even => HOUR,
            Spacing::Poisson => random.exponential(HOUR),
        }));
        let mut at = elapsed;
        loop {
            let hourly = u128::from(self.rate.at(at).hourly);
            let until = self.rate.stays_until(at);
            let flows = until.map(|until| u128::from(saturating_nanos(until - at)) * hourly);
            match (flows, until) {
                (Some(flows), Some(until)) if flows < needed => {
                    needed -= flows;
                    at = until;
                }
                _ => {
                    let wait = needed.checked_div(hourly)?;
                    return Some(at + Duration::from_nanos(u64::try_from(wait).ok()?));
                }
            }
        }
    }
}
