//! When something happened, by the clock of the store that says it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970, by the clock of a store.
///
/// Only the store that made a timestamp can say how old it is: the clocks of
/// two machines differ.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// So many microseconds after the beginning of 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since the beginning of 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// How long this is after an earlier time, or nothing if it is not after.
    pub const fn saturating_since(self, earlier: Timestamp) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        if micros < 0 {
            return Duration::ZERO;
        }
        Duration::from_micros(micros as u64)
    }

    /// The time this much later, or the last that can be told.
    pub fn saturating_add(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(by))
    }

    /// The time this much earlier, or the first that can be told.
    pub fn saturating_sub(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(by))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Timestamp(0).saturating_add(after),
            Err(before) => Timestamp(0).saturating_sub(before.duration()),
        }
    }
}

impl fmt::Display for Timestamp {
    /// As seconds since 1970, which every shell's `date -d @…` reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1_000_000);
        let micros = self.0.rem_euclid(1_000_000);
        write!(f, "@{seconds}.{micros:06}")
    }
}
