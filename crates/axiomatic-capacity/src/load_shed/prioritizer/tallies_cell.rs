use axiomatic_core::context::Priority;
use axiomatic_core::sync::{AtomicU32, Ordering, spread, thread_index};

/// How many requests of each priority there were, and what became of them.
///
/// Layout    a line for each of the first threads, and a last one that all
///           others share; in a line a count for each priority, and one for
///           each fate.
/// Invariant a line but the last is written by one live thread alone, so that
///           it needs no atomic step. Counts wrap; who reads them looks at
///           differences.
/// Writers   `offered`, `fate`. Readers `read`.
/// Orderings all Relaxed: statistics. That the thread which has an index
///           after another sees what that one wrote is the business of the
///           lock by which indices change hands.
pub(super) struct Tallies {
    lines: Box<[Line]>,
    shared: Box<Line>,
}

/// Apart from others by two cache lines, because processors fetch them in
/// pairs.
#[repr(align(128))]
struct Line {
    fates: [AtomicU32; Fate::COUNT],
    offered: [AtomicU32; PRIORITIES],
}

pub(super) const PRIORITIES: usize = 1 << u8::BITS;

/// What became of a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fate {
    /// It was refused, because of its priority.
    Shed,
    /// It was let in, and refused further in whatever its priority.
    TurnedAway,
    /// It was let in, and is over.
    Ended,
    /// It was refused before anybody asked for it, because it would be too
    /// late.
    Late,
}

impl Fate {
    const COUNT: usize = 4;
}

impl Line {
    fn new() -> Self {
        Line {
            fates: [(); Fate::COUNT].map(|()| AtomicU32::new(0)),
            offered: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

impl Tallies {
    pub(super) fn new() -> Self {
        // Loom's threads may share an index, and shuttle's do.
        let is_modelled = cfg!(any(axiomatic_loom, axiomatic_shuttle));
        let lines = if is_modelled { 0 } else { spread() };
        Tallies {
            lines: (0..lines).map(|_| Line::new()).collect(),
            shared: Box::new(Line::new()),
        }
    }

    /// A request of this priority came.
    #[inline(always)]
    pub(super) fn offered(&self, priority: Priority) {
        self.count(|line| &line.offered[usize::from(priority.as_u8())]);
    }

    /// This became of one.
    #[inline(always)]
    pub(super) fn fate(&self, fate: Fate) {
        self.count(|line| &line.fates[fate as usize]);
    }

    #[inline(always)]
    fn count(&self, which: impl Fn(&Line) -> &AtomicU32) {
        match self.lines.get(thread_index()) {
            Some(line) => {
                let count = which(line);
                // ORDERING: Relaxed: a statistic, of this thread alone.
                let counted = count.load(Ordering::Relaxed);
                // ORDERING: Relaxed: as the load.
                count.store(counted.wrapping_add(1), Ordering::Relaxed);
            }
            // ORDERING: Relaxed: a statistic; no other memory is read on its
            // strength.
            None => drop(which(&self.shared).fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// All counts, since the beginning.
    pub(super) fn read(&self) -> Totals {
        let mut totals = Totals::default();
        for line in self.lines.iter().chain([&*self.shared]) {
            let fates = totals.fates.iter_mut().zip(&line.fates);
            for (total, count) in fates.chain(totals.offered.iter_mut().zip(&line.offered)) {
                // ORDERING: Relaxed: a statistic.
                *total = total.wrapping_add(count.load(Ordering::Relaxed));
            }
        }
        totals
    }
}

/// What was counted.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub(super) offered: [u32; PRIORITIES],
    fates: [u32; Fate::COUNT],
}

impl Default for Totals {
    fn default() -> Self {
        Totals {
            offered: [0; PRIORITIES],
            fates: [0; Fate::COUNT],
        }
    }
}

impl Totals {
    /// What was counted since then. Of four billion in between nothing is
    /// seen, which in a tenth of a second do not come.
    pub(super) fn since(&self, before: &Totals) -> Totals {
        let mut since = self.clone();
        let fates = since.fates.iter_mut().zip(&before.fates);
        for (now, before) in fates.chain(since.offered.iter_mut().zip(&before.offered)) {
            *now = now.wrapping_sub(*before);
        }
        since
    }

    pub(super) fn all(&self) -> u64 {
        self.offered.iter().map(|count| u64::from(*count)).sum()
    }

    pub(super) fn of(&self, fate: Fate) -> u64 {
        self.fates[fate as usize].into()
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_whatever_the_threads_and_counts_may_wrap() {
        let tallies = Tallies::new();
        let before = tallies.read();
        // All at once, or who comes after one that has ended has its line.
        let threads = 3 * spread() as u32;
        let all = std::sync::Barrier::new(threads as usize);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    all.wait();
                    for _ in 0..1_000 {
                        tallies.offered(Priority::SHEDDABLE);
                        tallies.offered(Priority::from_u8(255));
                        tallies.fate(Fate::Ended);
                    }
                    all.wait();
                });
            }
        });
        let since = tallies.read().since(&before);
        assert_eq!(since.all(), 2_000 * u64::from(threads));
        assert_eq!(since.offered[255], 1_000 * threads);
        assert_eq!(since.of(Fate::Ended), 1_000 * u64::from(threads));
        assert_eq!(since.of(Fate::Shed), 0);

        let mut wrapped = Totals::default();
        wrapped.offered[3] = 2;
        let mut before = Totals::default();
        before.offered[3] = u32::MAX;
        assert_eq!(wrapped.since(&before).all(), 3);
    }
}
