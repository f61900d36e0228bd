//! Numbers that mechanisms share: settings that change live, and counts for
//! operators. Not public API.

use crate::sync::{AtomicU64, Ordering, spread, thread_index};

/// A setting, changeable live.
///
/// Layout    the value.
/// Invariant none: settings change one word at a time, and a call that races
///           with an update may be judged by some of the old and some of the
///           new.
/// Writers   `store`. Readers `load`.
/// Orderings all Relaxed: a number.
#[derive(Debug)]
pub struct Setting(AtomicU64);

impl Setting {
    /// A setting of this value.
    pub fn new(value: u64) -> Self {
        Setting(AtomicU64::new(value))
    }

    /// The value.
    #[inline(always)]
    pub fn load(&self) -> u64 {
        // ORDERING: Relaxed: a setting; no other memory is read on its
        // strength.
        self.0.load(Ordering::Relaxed)
    }

    /// Changes it.
    pub fn store(&self, value: u64) {
        // ORDERING: Relaxed: a setting.
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A count for the operator, off the path of calls without extra attempts.
///
/// Layout    the count.
/// Invariant never decreases.
/// Writers   `count`. Readers `load`.
/// Orderings all Relaxed: a statistic.
#[derive(Debug)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Nothing counted yet.
    #[expect(clippy::new_without_default, reason = "made once, by name")]
    pub fn new() -> Self {
        Tally(AtomicU64::new(0))
    }

    /// Counts one, and says how many there were before.
    pub fn count(&self) -> u64 {
        // ORDERING: Relaxed: a statistic; no other memory is read on its
        // strength.
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The count.
    pub fn load(&self) -> u64 {
        // ORDERING: Relaxed: a statistic.
        self.0.load(Ordering::Relaxed)
    }
}

/// A count for the operator on a path that must cost next to nothing: a
/// refusal.
///
/// Layout    a line for each of the first threads, and a last one that all
///           others share.
/// Invariant a line but the last is written by one live thread alone, so that
///           it needs no atomic step.
/// Writers   `count`. Readers `load`.
/// Orderings all Relaxed: a statistic. That the thread which has an index
///           after another sees what that one wrote is the business of the
///           lock by which indices change hands.
#[derive(Debug)]
pub struct SpreadTally {
    lines: Box<[Line]>,
    shared: Line,
}

/// Alone on two cache lines, because processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU64);

impl SpreadTally {
    /// Nothing counted yet.
    #[expect(clippy::new_without_default, reason = "made once, by name")]
    pub fn new() -> Self {
        Self::over(spread())
    }

    /// One of thousands: on one line, which all threads share.
    pub fn compact() -> Self {
        Self::over(0)
    }

    fn over(lines: usize) -> Self {
        // Loom's threads may share an index, and shuttle's do.
        let is_modelled = cfg!(any(axiomatic_loom, axiomatic_shuttle));
        let lines = if is_modelled { 0 } else { lines };
        SpreadTally {
            lines: (0..lines).map(|_| Line(AtomicU64::new(0))).collect(),
            shared: Line(AtomicU64::new(0)),
        }
    }

    /// Counts one.
    #[inline]
    pub fn count(&self) {
        match self.lines.get(thread_index()) {
            Some(line) => {
                // ORDERING: Relaxed: a statistic, of this thread alone.
                let counted = line.0.load(Ordering::Relaxed);
                // ORDERING: Relaxed: as the load.
                line.0.store(counted + 1, Ordering::Relaxed);
            }
            // ORDERING: Relaxed: a statistic.
            None => drop(self.shared.0.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// The count.
    pub fn load(&self) -> u64 {
        let all = self.lines.iter().chain([&self.shared]);
        // ORDERING: Relaxed: a statistic.
        all.map(|line| line.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::SpreadTally;

    #[test]
    fn no_count_is_lost_whatever_the_threads() {
        for tally in [SpreadTally::new(), SpreadTally::compact()] {
            // All at once, or who comes after one that has ended has its line.
            let threads = 3 * tally.lines.len().max(2);
            let all = std::sync::Barrier::new(threads);
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        all.wait();
                        (0..1_000).for_each(|_| tally.count());
                        all.wait();
                    });
                }
            });
            assert_eq!(tally.load(), 1_000 * threads as u64);
        }
    }
}
