//! How an inbox is kept.

use std::num::NonZeroU32;
use std::time::Duration;

/// How an inbox is kept.
///
/// ```
/// use std::time::Duration;
/// use axiomatic_postgres::inbox::Options;
///
/// let options = Options::new().partitions_of(Duration::from_secs(60 * 60));
/// # let _ = options;
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Options {
    width: Option<Duration>,
    pub(super) ahead: NonZeroU32,
    pub(super) patience: Duration,
}

impl Options {
    /// The shortest time of a partition, unless it is said otherwise.
    const SHORTEST: Duration = Duration::from_secs(60);

    /// Partitions of a seventh of the retention, which is a day of 7 days, but
    /// of a minute at least; three of them are made ahead; who changes them
    /// waits 100 ms for a lock.
    pub const fn new() -> Self {
        Options {
            width: None,
            ahead: NonZeroU32::new(3).expect("3 is not 0"),
            patience: Duration::from_millis(100),
        }
    }

    /// Of how much time a partition has the messages. They are forgotten that
    /// much later than the retention at the latest, and each delivery looks
    /// into as many partitions as there are in the retention, and those ahead.
    /// It can be changed: partitions that are there stay as they are.
    #[must_use]
    pub const fn partitions_of(mut self, width: Duration) -> Self {
        self.width = Some(width);
        self
    }

    /// How many partitions are made ahead: after so many widths without a
    /// [`sweep`](super::Inbox::sweep), what comes stands in one that grows.
    #[must_use]
    pub const fn ahead(mut self, partitions: NonZeroU32) -> Self {
        self.ahead = partitions;
        self
    }

    /// How long whoever makes or drops a partition waits for transactions that
    /// use the inbox. Those that begin meanwhile wait behind it. At least a
    /// millisecond: none would be for ever.
    #[must_use]
    pub const fn lock_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The width, in whole microseconds.
    pub(super) fn width(&self, retention: Duration) -> Duration {
        let width = self
            .width
            .unwrap_or_else(|| (retention / 7).max(Options::SHORTEST));
        let micros = u64::try_from(width.as_micros()).unwrap_or(u64::MAX);
        // A million years and more are as good as for ever, and overflow.
        Duration::from_micros(micros.clamp(1, LONGEST))
    }
}

/// A thousand years, in microseconds.
const LONGEST: u64 = 1000 * 365 * 24 * 60 * 60 * 1_000_000;

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_a_seventh_of_the_retention_unless_it_is_said() {
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(Options::new().width(7 * day), day);
        let short = Duration::from_millis(20);
        assert_eq!(Options::new().width(short), Options::SHORTEST);
        assert_eq!(Options::new().partitions_of(short).width(7 * day), short);
        let none = Options::new().partitions_of(Duration::ZERO);
        assert_eq!(none.width(day), Duration::from_micros(1));
        let all = Options::new().partitions_of(Duration::MAX);
        assert_eq!(all.width(day), Duration::from_micros(LONGEST));
    }
}
