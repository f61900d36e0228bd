use std::time::Duration;

use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::{Instant, saturating_nanos};

/// When a task should wake next, and by how much it woke too late in the last
/// second.
///
/// Layout    `due`: nanoseconds, 0 once nobody wakes any more; `worst`: one
///           word for each eighth of a second, in turn:
///           | 63..40 which eighth, modulo 2^24 | 39..0 the longest lateness in it, in nanoseconds |
/// Invariant `worst` is written by one task alone, so a word is changed by a
///           load and a store. A word of an eighth long gone has another
///           number than those that are looked for.
/// Writers   `sleeps_until`, `woke`, `ended`. Readers `lateness`.
/// Orderings all Relaxed: numbers. Who reads `due` before and the lateness of
///           the same waking after misses nothing, and the other way round
///           finds an old `due`, or a lateness that is told a moment later.
#[derive(Debug)]
pub(super) struct Lateness {
    due: AtomicU64,
    worst: [AtomicU64; EIGHTHS],
}

const EIGHTHS: usize = 8;
const EIGHTH: u64 = 125_000_000;
const LATENESS_BITS: u32 = 40;
/// 18 minutes, which is late enough.
const MOST_LATE: u64 = (1 << LATENESS_BITS) - 1;
const NUMBERS: u64 = 1 << 24;

impl Lateness {
    pub(super) fn new(due: Instant) -> Self {
        Lateness {
            due: AtomicU64::new(due.as_nanos()),
            worst: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The task sleeps.
    pub(super) fn sleeps_until(&self, due: Instant) {
        // ORDERING: Relaxed: a number.
        self.due.store(due.as_nanos(), Ordering::Relaxed);
    }

    /// The task woke, so much too late.
    pub(super) fn woke(&self, now: Instant, late: Duration) {
        let late = saturating_nanos(late).min(MOST_LATE);
        let eighth = number(now);
        let word = &self.worst[eighth as usize % EIGHTHS];
        // ORDERING: Relaxed: a number that this task wrote.
        let was = word.load(Ordering::Relaxed);
        if was >> LATENESS_BITS != eighth || was & MOST_LATE < late {
            // ORDERING: Relaxed: a number.
            word.store(eighth << LATENESS_BITS | late, Ordering::Relaxed);
        }
    }

    /// Nobody wakes any more.
    pub(super) fn ended(&self) {
        // ORDERING: Relaxed: a number.
        self.due.store(0, Ordering::Relaxed);
    }

    /// The worst of the last second, or that of a waking that is overdue.
    /// Nothing if nobody wakes any more.
    pub(super) fn lateness(&self, now: Instant) -> Duration {
        // ORDERING: Relaxed: a number.
        let due = self.due.load(Ordering::Relaxed);
        if due == 0 {
            return Duration::ZERO;
        }
        let overdue = now - Instant::from_nanos(due);
        let worst = self.worst.iter().map(|word| {
            // ORDERING: Relaxed: a number.
            let word = word.load(Ordering::Relaxed);
            let age = number(now).wrapping_sub(word >> LATENESS_BITS) % NUMBERS;
            // A coarse clock may be an eighth behind the task's.
            let is_recent = age < EIGHTHS as u64 || age == NUMBERS - 1;
            Duration::from_nanos(if is_recent { word & MOST_LATE } else { 0 })
        });
        worst.fold(overdue, Duration::max)
    }
}

fn number(now: Instant) -> u64 {
    now.as_nanos() / EIGHTH % NUMBERS
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn the_worst_of_a_second_is_remembered_and_then_forgotten() {
        let start = Instant::from_nanos(3_600 * 1_000_000_000);
        let far = start + Duration::from_secs(3_600);
        let lateness = Lateness::new(far);
        lateness.woke(start, 40 * MILLI);
        lateness.woke(start + MILLI, 7 * MILLI);
        lateness.woke(start + 300 * MILLI, 9 * MILLI);
        let at = |after: u32| lateness.lateness(start + after * MILLI);
        assert_eq!(at(0), 40 * MILLI);
        assert_eq!(at(874), 40 * MILLI);
        assert_eq!(at(1_100), 9 * MILLI, "the first eighth is over");
        assert_eq!(at(1_500), Duration::ZERO);
        // The same words again, one round later.
        lateness.woke(start + 2_000 * MILLI, MILLI);
        assert_eq!(at(2_001), MILLI);
    }

    #[test]
    fn what_is_overdue_counts_before_anybody_wakes() {
        let start = Instant::from_nanos(3_600 * 1_000_000_000);
        let lateness = Lateness::new(start);
        assert_eq!(lateness.lateness(Instant::from_nanos(1)), Duration::ZERO);
        assert_eq!(lateness.lateness(start + 500 * MILLI), 500 * MILLI);
        lateness.sleeps_until(start + 600 * MILLI);
        assert_eq!(lateness.lateness(start + 599 * MILLI), Duration::ZERO);
        lateness.ended();
        assert_eq!(lateness.lateness(start + 5_000 * MILLI), Duration::ZERO);
    }
}
