use std::sync::Arc;

use axiomatic_core::context::Priority;
use axiomatic_core::luck_cell::Draws;
use axiomatic_core::sync::{AtomicU32, Ordering, spread, thread_index};

/// How many requests of each priority there were, and what became of them; and
/// the luck by which it did.
///
/// It is a handle, cheap to clone.
///
/// Layout    a line that most threads share, and one for each of the first
///           ones; in a line a count for each priority, one for each
///           fate, and the draws of each kind.
/// Invariant a line but the first is written by one live thread alone, so that
///           it needs no atomic step. Counts wrap; who reads them looks at
///           differences.
/// Writers   `offered`, `fate`, `luck`, `jitter` of who has the line. Readers
///           `read`.
/// Orderings all Relaxed: statistics. That the thread which has an index
///           after another sees what that one wrote is the business of the
///           lock by which indices change hands.
#[derive(Clone)]
pub(super) struct Tallies(Arc<[Line]>);

/// Apart from others by two cache lines, because processors fetch them in
/// pairs.
#[repr(align(128))]
struct Line {
    /// Who belongs to the share that is admitted.
    luck: Draws,
    /// By how much a wait is longer.
    jitter: Draws,
    fates: [AtomicU32; Fate::COUNT],
    offered: [AtomicU32; PRIORITIES],
}

/// Under loom classes are counted and not their levels, for a step of a model
/// must not be some hundred.
pub(super) const COARSER: u32 = if cfg!(axiomatic_loom) { 6 } else { 0 };
pub(super) const PRIORITIES: usize = 1 << (u8::BITS - COARSER);

/// What became of a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fate {
    /// It was refused, because of its priority.
    Shed,
    /// It was let in, and refused further in whatever its priority.
    TurnedAway,
    /// It was let in, and served: answered, as far as anybody tells.
    Served,
    /// It was refused before anybody asked for it, because it would be too
    /// late.
    Late,
}

impl Fate {
    const COUNT: usize = 4;
}

/// The line of the calling thread, looked for once for all that is done there.
#[derive(Copy, Clone)]
pub(super) struct Mine<'t> {
    line: &'t Line,
    /// No other thread writes there.
    is_alone: bool,
}

impl Line {
    fn new(seed: u64, at: usize) -> Self {
        Line {
            luck: Draws::new(seed, at),
            jitter: Draws::new(!seed, at),
            fates: [(); Fate::COUNT].map(|()| AtomicU32::new(0)),
            offered: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

impl Tallies {
    pub(super) fn new(seed: u64) -> Self {
        // Loom's threads may share an index, and shuttle's do.
        let is_modelled = cfg!(any(axiomatic_loom, axiomatic_shuttle));
        let lines = if is_modelled { 0 } else { spread() };
        Tallies((0..=lines).map(|at| Line::new(seed, at)).collect())
    }

    /// Where the calling thread counts. It belongs to no other, so it must not
    /// be handed on.
    #[inline(always)]
    pub(super) fn mine(&self) -> Mine<'_> {
        // Also of a thread that is ending, whose index is beyond all lines.
        match self.0.get(thread_index().wrapping_add(1)) {
            Some(line) => Mine {
                line,
                is_alone: true,
            },
            None => Mine {
                line: &self.0[0],
                is_alone: false,
            },
        }
    }

    /// All counts, since the beginning.
    pub(super) fn read(&self) -> Totals {
        let mut totals = Totals::default();
        for line in self.0.iter() {
            let fates = totals.fates.iter_mut().zip(&line.fates);
            for (total, count) in fates.chain(totals.offered.iter_mut().zip(&line.offered)) {
                // ORDERING: Relaxed: a statistic.
                *total = total.wrapping_add(count.load(Ordering::Relaxed));
            }
        }
        totals
    }
}

impl Mine<'_> {
    /// A request of this priority came.
    #[inline(always)]
    pub(super) fn offered(self, priority: Priority) {
        self.count(&self.line.offered[usize::from(priority.as_u8() >> COARSER)]);
    }

    /// This became of one.
    #[inline(always)]
    pub(super) fn fate(self, fate: Fate) {
        self.count(&self.line.fates[fate as usize]);
    }

    /// Where a request is among those of its priority.
    #[inline(always)]
    pub(super) fn luck(self) -> u64 {
        self.draw(&self.line.luck)
    }

    /// Where a wait is between the shortest and the longest.
    #[inline(always)]
    pub(super) fn jitter(self) -> u64 {
        self.draw(&self.line.jitter)
    }

    #[inline(always)]
    fn draw(self, draws: &Draws) -> u64 {
        if self.is_alone {
            draws.draw_alone()
        } else {
            draws.draw()
        }
    }

    #[inline(always)]
    fn count(self, count: &AtomicU32) {
        if self.is_alone {
            // ORDERING: Relaxed: a statistic, of this thread alone.
            let counted = count.load(Ordering::Relaxed);
            // ORDERING: Relaxed: as the load.
            count.store(counted.wrapping_add(1), Ordering::Relaxed);
        } else {
            // ORDERING: Relaxed: a statistic; no other memory is read on its
            // strength.
            count.fetch_add(1, Ordering::Relaxed);
        }
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
        let tallies = Tallies::new(0);
        let before = tallies.read();
        // All at once, or who comes after one that has ended has its line.
        let threads = 3 * spread() as u32;
        let all = std::sync::Barrier::new(threads as usize);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    all.wait();
                    for _ in 0..1_000 {
                        let mine = tallies.mine();
                        mine.offered(Priority::SHEDDABLE);
                        mine.offered(Priority::from_u8(255));
                        mine.fate(Fate::Served);
                    }
                    all.wait();
                });
            }
        });
        let since = tallies.read().since(&before);
        assert_eq!(since.all(), 2_000 * u64::from(threads));
        assert_eq!(since.offered[255], 1_000 * threads);
        assert_eq!(since.of(Fate::Served), 1_000 * u64::from(threads));
        assert_eq!(since.of(Fate::Shed), 0);

        let mut wrapped = Totals::default();
        wrapped.offered[3] = 2;
        let mut before = Totals::default();
        before.offered[3] = u32::MAX;
        assert_eq!(wrapped.since(&before).all(), 3);
    }
}
