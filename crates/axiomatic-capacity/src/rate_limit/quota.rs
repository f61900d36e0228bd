use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::allowance::Policy;

use super::ConfigError;

/// How much is allowed: a rate, and how much of it may come at once.
///
/// A rate is a count for a period, and is kept as such: 700 million a second
/// are 700 million, and three a day are three a day. A cell is what one call
/// costs, unless it is said to cost more.
///
/// ```
/// use axiomatic_capacity::rate_limit::Quota;
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hundred = NonZeroU32::new(100).ok_or("nothing")?;
/// let ten = NonZeroU32::new(10).ok_or("nothing")?;
/// let quota = Quota::per_second(hundred).burst(ten);
/// assert_eq!(quota.to_string(), "100 per 1s, 10 at once");
/// // Ten minutes apart, on average; two of them may come together.
/// let rare = Quota::new(NonZeroU32::MIN, Duration::from_secs(600))
///     .burst(NonZeroU32::MIN.saturating_add(1));
/// # let _ = rare;
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    count: NonZeroU32,
    period: Duration,
    burst: NonZeroU32,
}

impl Quota {
    /// The longest time that a burst may stand for: what may come at once is
    /// saved up in it, at the quota's rate. It is 1.1 years.
    pub const LONGEST: Duration = Duration::from_nanos(1 << 55);

    /// So many in a period, and as many at once.
    pub const fn new(count: NonZeroU32, period: Duration) -> Self {
        Quota {
            count,
            period,
            burst: count,
        }
    }

    /// So many a second, and as many at once.
    pub const fn per_second(count: NonZeroU32) -> Self {
        Quota::new(count, Duration::from_secs(1))
    }

    /// So many a minute, and as many at once.
    pub const fn per_minute(count: NonZeroU32) -> Self {
        Quota::new(count, Duration::from_secs(60))
    }

    /// So many an hour, and as many at once.
    pub const fn per_hour(count: NonZeroU32) -> Self {
        Quota::new(count, Duration::from_secs(3_600))
    }

    /// So many a day, and as many at once.
    pub const fn per_day(count: NonZeroU32) -> Self {
        Quota::new(count, Duration::from_secs(86_400))
    }

    /// The same rate, with so many at once.
    #[must_use]
    pub const fn burst(mut self, burst: NonZeroU32) -> Self {
        self.burst = burst;
        self
    }

    /// The same rate, one at a time: calls come as far apart as the rate says.
    #[must_use]
    pub const fn paced(self) -> Self {
        self.burst(NonZeroU32::MIN)
    }

    /// How many come in a period.
    pub const fn count(&self) -> NonZeroU32 {
        self.count
    }

    /// In which time.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// How many may come at once.
    pub const fn at_once(&self) -> NonZeroU32 {
        self.burst
    }

    /// How long it takes until one comes, rounded up.
    pub fn interval(&self) -> Duration {
        self.time_of(NonZeroU32::MIN)
    }

    fn time_of(&self, cells: NonZeroU32) -> Duration {
        let nanos = self.period.as_nanos() * u128::from(cells.get());
        let nanos = nanos.div_ceil(u128::from(self.count.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What callers can keep to, by a limiter of this name: a burst, in the
    /// time in which it comes back. Of 100 a minute, 10 at once, it is 10 in
    /// 6 s.
    pub fn policy(&self, name: Name) -> Policy {
        let window = self.time_of(self.burst);
        Policy::new(name, u64::from(self.burst.get()), window)
    }

    /// No more than another: the slower rate, the smaller burst.
    pub(super) fn within(self, other: &Quota) -> Quota {
        // In count × the other's period, which is the rate of both.
        let speed = |one: &Quota, of: &Quota| u128::from(one.count.get()) * of.period.as_nanos();
        let slower = if speed(&self, other) <= speed(other, &self) {
            self
        } else {
            *other
        };
        slower.burst(self.burst.min(other.burst))
    }

    /// The same rate, with a burst in the time in which it comes back.
    pub(super) fn as_window(self) -> Quota {
        Quota::new(self.burst, self.time_of(self.burst))
    }

    /// The period in nanoseconds, of a quota that can be kept; or why not.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work.
    pub fn check(&self) -> Result<u64, ConfigError> {
        let period = self.period.as_nanos();
        let count = u128::from(self.count.get());
        if period == 0 || period > Self::LONGEST.as_nanos() {
            return Err(ConfigError::Period(self.period));
        }
        if count > period {
            return Err(ConfigError::Rate(*self));
        }
        if u128::from(self.burst.get()) * period / count > Self::LONGEST.as_nanos() {
            return Err(ConfigError::Burst(*self));
        }
        // It was just found to be far smaller.
        Ok(u64::try_from(period).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quota {
            count,
            period,
            burst,
        } = self;
        write!(f, "{count} per {period:?}, {burst} at once")
    }
}
