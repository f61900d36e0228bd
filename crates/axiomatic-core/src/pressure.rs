//! How near something is to what it can bear, in one measure for all who
//! measure and all who act on it.
//!
//! A queue knows how long calls wait in it, a machine how busy its processors
//! are, a breaker whether what is behind it answers. Who sheds load needs to
//! know none of that, only how near each is to its limit: its [`Pressure`]. A
//! [`Signal`] says it when it is asked.
//!
//! ```
//! use axiomatic_core::pressure::{Pressure, Signal};
//! use axiomatic_core::time::Instant;
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! /// A pool of connections, and how many of them are lent.
//! #[derive(Debug)]
//! struct Pool { lent: AtomicU64, size: u64 }
//!
//! impl Signal for Pool {
//!     fn name(&self) -> &'static str { "connections" }
//!
//!     fn pressure(&self, _: Instant) -> Pressure {
//!         Pressure::of(self.lent.load(Ordering::Relaxed), self.size * 9 / 10)
//!     }
//! }
//!
//! let pool = Pool { lent: AtomicU64::new(45), size: 100 };
//! assert_eq!(pool.pressure(Instant::from_nanos(1)), Pressure::percent(50));
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::time::{Instant, saturating_nanos};

/// How near something is to its limit: 100 % is at the limit, and what is
/// more is too much. In parts per million.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pressure(u32);

const MILLION: u32 = 1_000_000;

impl Pressure {
    /// Nothing to bear.
    pub const NONE: Pressure = Pressure(0);
    /// As much as can be borne.
    pub const FULL: Pressure = Pressure(MILLION);
    /// The most that can be said: 4,294 times as much as can be borne.
    pub const MOST: Pressure = Pressure(u32::MAX);

    /// So many hundredths of what can be borne.
    pub const fn percent(hundredths: u16) -> Self {
        Pressure(hundredths as u32 * 10_000)
    }

    /// So many millionths of what can be borne.
    pub const fn parts_per_million(millionths: u32) -> Self {
        Pressure(millionths)
    }

    /// What there is, as a share of what can be borne, rounded down; the most
    /// if nothing can be borne and there is something.
    pub const fn of(there_is: u64, can_be_borne: u64) -> Self {
        if there_is == 0 {
            return Pressure::NONE;
        }
        if can_be_borne == 0 {
            return Pressure::MOST;
        }
        let millionths = there_is as u128 * MILLION as u128 / can_be_borne as u128;
        if millionths > u32::MAX as u128 {
            Pressure::MOST
        } else {
            Pressure(millionths as u32)
        }
    }

    /// The same of times.
    pub fn of_times(there_is: Duration, can_be_borne: Duration) -> Self {
        Pressure::of(saturating_nanos(there_is), saturating_nanos(can_be_borne))
    }

    /// In millionths of what can be borne.
    pub const fn as_parts_per_million(self) -> u32 {
        self.0
    }

    /// Whether it is as much as can be borne, or more.
    pub const fn is_full(self) -> bool {
        self.0 >= MILLION
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0 / 10_000)
    }
}

impl fmt::Debug for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pressure({self})")
    }
}

/// Something that knows how near it is to its limit.
///
/// It is asked now and then, some times a second, by a call that happens to
/// come by: so it should answer within microseconds, and must not block. What
/// takes longer to find out is found out elsewhere, and remembered.
pub trait Signal: Send + Sync + fmt::Debug {
    /// What it is called in snapshots and events.
    fn name(&self) -> &'static str;

    /// How near it is, at `now`.
    fn pressure(&self, now: Instant) -> Pressure;
}

impl<T: Signal + ?Sized> Signal for Arc<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn pressure(&self, now: Instant) -> Pressure {
        (**self).pressure(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_a_share_that_saturates() {
        assert_eq!(Pressure::of(0, 0), Pressure::NONE);
        assert_eq!(Pressure::of(1, 0), Pressure::MOST);
        assert_eq!(Pressure::of(u64::MAX, 1), Pressure::MOST);
        assert_eq!(Pressure::of(u64::MAX, u64::MAX), Pressure::FULL);
        assert_eq!(Pressure::of(3, 2), Pressure::percent(150));
        let half = Pressure::of_times(Duration::from_millis(5), Duration::from_millis(10));
        assert_eq!(half, Pressure::percent(50));
        assert!(!half.is_full() && Pressure::FULL.is_full());
        assert_eq!(Pressure::percent(150).to_string(), "150 %");
    }
}
