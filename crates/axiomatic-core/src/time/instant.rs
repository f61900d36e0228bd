use std::fmt;
use std::ops::{Add, Sub};
use std::sync::OnceLock;
use std::time::Duration;

use super::saturating_nanos;

/// A point in time: nanoseconds since the origin.
///
/// The origin lies an hour before the monotonic clock's own, on Linux the
/// machine's start, elsewhere the first use: so 0 is never a live time, and
/// instants taken earlier still convert. 64 bits last 584 years. Arithmetic
/// saturates: time is data here, and a bad value must not become a panic on a
/// hot path.
///
/// ```
/// use axiomatic_core::time::Instant;
/// use std::time::Duration;
///
/// let start = Instant::from_nanos(5_000);
/// let later = start + Duration::from_micros(2);
/// assert_eq!(later.as_nanos(), 7_000);
/// assert_eq!(later - start, Duration::from_micros(2));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// What [`Instant`] and std's instant agree on.
#[derive(Copy, Clone)]
struct Anchor {
    std: std::time::Instant,
    nanos: u64,
}

const HOUR: u64 = 3_600 * 1_000_000_000;

fn anchor() -> &'static Anchor {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(measure)
}

/// std's instant between two readings of ours, the closest of a few: a pause
/// between the readings would shift every conversion from then on.
#[cfg(target_os = "linux")]
fn measure() -> Anchor {
    let attempt = || {
        let before = monotonic();
        let std = std::time::Instant::now();
        let gap = monotonic().0 - before.0;
        let nanos = before.0 + gap / 2;
        (gap, Anchor { std, nanos })
    };
    let attempts = std::array::from_fn::<_, 8, _>(|_| attempt());
    let closest = attempts.iter().min_by_key(|(gap, _)| *gap);
    closest.map_or_else(|| attempt().1, |(_, anchor)| *anchor)
}

#[cfg(not(target_os = "linux"))]
fn measure() -> Anchor {
    Anchor {
        std: std::time::Instant::now(),
        nanos: HOUR,
    }
}

/// The monotonic clock. Read by itself and not through std's opaque instant,
/// it needs no subtraction and no anchor, and agrees with the coarse clock.
#[cfg(target_os = "linux")]
#[inline(always)]
pub(super) fn monotonic() -> Instant {
    since_boot(rustix::time::ClockId::Monotonic)
}

/// The monotonic clock.
#[cfg(not(target_os = "linux"))]
pub(super) fn monotonic() -> Instant {
    std::time::Instant::now().into()
}

/// A clock of the kernel that counts from the machine's start.
#[cfg(target_os = "linux")]
#[inline(always)]
pub(super) fn since_boot(clock: rustix::time::ClockId) -> Instant {
    Instant(HOUR + nanos(rustix::time::clock_gettime(clock)))
}

#[cfg(target_os = "linux")]
#[inline(always)]
pub(super) fn nanos(time: rustix::time::Timespec) -> u64 {
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

impl Instant {
    /// An instant so many nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Instant(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero if it lies ahead.
    #[inline]
    pub const fn saturating_duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same point on std's clock.
    pub fn into_std(self) -> std::time::Instant {
        let anchor = anchor();
        if self.0 >= anchor.nanos {
            let ahead = Duration::from_nanos(self.0 - anchor.nanos);
            anchor.std.checked_add(ahead).unwrap_or(anchor.std)
        } else {
            let back = Duration::from_nanos(anchor.nanos - self.0);
            anchor.std.checked_sub(back).unwrap_or(anchor.std)
        }
    }
}

impl From<std::time::Instant> for Instant {
    #[inline]
    fn from(std: std::time::Instant) -> Self {
        let anchor = anchor();
        match std.checked_duration_since(anchor.std) {
            Some(ahead) => Instant(anchor.nanos.saturating_add(saturating_nanos(ahead))),
            None => {
                let back = anchor.std.saturating_duration_since(std);
                Instant(anchor.nanos.saturating_sub(saturating_nanos(back)))
            }
        }
    }
}

#[cfg(feature = "tokio")]
impl From<tokio::time::Instant> for Instant {
    fn from(instant: tokio::time::Instant) -> Self {
        instant.into_std().into()
    }
}

#[cfg(feature = "tokio")]
impl From<Instant> for tokio::time::Instant {
    fn from(instant: Instant) -> Self {
        instant.into_std().into()
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    #[inline]
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(saturating_nanos(duration)))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    #[inline]
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({:?})", Duration::from_nanos(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_to_std_and_back() {
        let now = std::time::Instant::now();
        assert_eq!(Instant::from(now).into_std(), now);
        let earlier = now - Duration::from_secs(60);
        assert_eq!(Instant::from(earlier).into_std(), earlier);
        assert_eq!(
            Instant::from(now) - Instant::from(earlier),
            Duration::from_secs(60)
        );
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Instant::from_nanos(0) - end, Duration::ZERO);
    }
}
