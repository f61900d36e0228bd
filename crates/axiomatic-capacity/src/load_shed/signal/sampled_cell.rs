use std::time::Duration;

use axiomatic_core::pressure::Pressure;
use axiomatic_core::sync::{AtomicU32, AtomicU64, Ordering};
use axiomatic_core::time::Instant;

/// What was found out last, and when it should be found out again.
///
/// Layout    `due`: nanoseconds; `pressure`: in parts per million.
/// Invariant none: who sees the one word new and the other old answers with
///           what was found out before, or goes to the lock and looks again.
/// Writers   `put_off`, `found`, under the lock of the reading. Readers
///           `is_due`, `pressure`.
/// Orderings all Relaxed: numbers.
#[derive(Debug)]
pub(super) struct Known {
    due: AtomicU64,
    pressure: AtomicU32,
}

impl Known {
    /// Nothing is known, and it is time.
    pub(super) fn nothing() -> Self {
        Known {
            due: AtomicU64::new(0),
            pressure: AtomicU32::new(0),
        }
    }

    /// Whether it is time; also if the clock stepped back, so that it would
    /// not be for long.
    pub(super) fn is_due(&self, now: Instant, every: Duration) -> bool {
        // ORDERING: Relaxed: a hint; who takes the lock looks again.
        let due = Instant::from_nanos(self.due.load(Ordering::Relaxed));
        now >= due || due - now > every
    }

    pub(super) fn put_off(&self, due: Instant) {
        // ORDERING: Relaxed: a hint.
        self.due.store(due.as_nanos(), Ordering::Relaxed);
    }

    pub(super) fn found(&self, pressure: Pressure) {
        // ORDERING: Relaxed: a number.
        self.pressure
            .store(pressure.as_parts_per_million(), Ordering::Relaxed);
    }

    pub(super) fn pressure(&self) -> Pressure {
        // ORDERING: Relaxed: a number.
        Pressure::parts_per_million(self.pressure.load(Ordering::Relaxed))
    }
}
