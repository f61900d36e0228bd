//! How many requests are in flight: at each node, and everywhere.

use axiomatic_core::sync::{AtomicU64, Ordering, spread, thread_index};

/// The requests in flight at one node, those included that are only trying
/// whether there is room.
///
/// Layout    the count, alone on two cache lines, because processors fetch
///           them in pairs.
/// Invariant at least the requests that are placed there.
/// Writers   `enter`, `give_up`, `leave`. Readers `held`.
/// Orderings `leave` releases, `enter` acquires: whoever takes the place of
///           another sees the [`Total`] without it.
///
/// One step each, so there is no loop and nothing to lose: wait-free, and the
/// step is the linearisation point.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct InFlight(AtomicU64);

impl InFlight {
    pub(super) fn new() -> Self {
        InFlight(AtomicU64::new(0))
    }

    /// Takes a place, and says how many are taken now. Whoever hears that it is
    /// one too many gives it up again.
    #[inline(always)]
    pub(super) fn enter(&self) -> u64 {
        // ORDERING: Acquire: observes what was counted before the place became
        // free; pairs with the Release in `leave`.
        self.0.fetch_add(1, Ordering::Acquire) + 1
    }

    /// Gives up a place that is one too many.
    pub(super) fn give_up(&self) {
        // ORDERING: Relaxed: nothing was done in between. As a step between a
        // `leave` and an `enter` it does not keep the one from the other.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request has ended.
    #[inline(always)]
    pub(super) fn leave(&self) {
        // ORDERING: Release: publishes that the total counts one less; pairs
        // with the Acquire in `enter`.
        self.0.fetch_sub(1, Ordering::Release);
    }

    pub(super) fn held(&self) -> u64 {
        // ORDERING: Relaxed: only ever a reason to look elsewhere, and a
        // statistic.
        self.0.load(Ordering::Relaxed)
    }
}

/// The requests in flight at all nodes together.
///
/// It would cost as much again as the node's own count, were it one word. So
/// each thread counts for itself what it began and what it ended, with plain
/// stores, and who wants to know adds up.
///
/// Layout    a line for each of the first threads, and a last one that all
///           others share; on each what was begun and what was ended, which
///           only ever grow.
/// Invariant a line but the last is written by one live thread alone. What is
///           read is never more than there was at some moment of the reading:
///           what was begun is added up first. Then each request that is
///           counted was counted before that moment, and so was all that had
///           ended before it. It may be less, by those that both began and
///           ended during the reading.
/// Writers   `begin`, `end`. Readers `read`, `begun`.
/// Orderings `begin` releases, `read` acquires: who sees a request sees what
///           its thread had ended before. `InFlight` takes `end` along. That
///           the thread which has an index after another sees what that one
///           wrote is the business of the lock by which indices change hands.
#[derive(Debug)]
pub(super) struct Total {
    /// The last one is shared; there is always that one.
    lines: Box<[Line]>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Line {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Line {
    fn new() -> Self {
        Line {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }
}

impl Total {
    pub(super) fn new() -> Self {
        // Shuttle's threads share an index; loom's have one each.
        let lines = if cfg!(axiomatic_shuttle) { 0 } else { spread() };
        Total {
            lines: (0..=lines).map(|_| Line::new()).collect(),
        }
    }

    /// A request begins.
    #[inline(always)]
    pub(super) fn begin(&self) {
        match self.own() {
            Ok(line) => {
                // ORDERING: Relaxed: this thread alone writes it.
                let begun = line.begun.load(Ordering::Relaxed);
                // ORDERING: Release: publishes what this thread ended before;
                // pairs with the Acquire in `begun`.
                line.begun.store(begun.wrapping_add(1), Ordering::Release);
            }
            // ORDERING: Release: as the store.
            Err(shared) => drop(shared.begun.fetch_add(1, Ordering::Release)),
        }
    }

    /// A request has ended, in whichever thread. To be told before its node.
    #[inline(always)]
    pub(super) fn end(&self) {
        match self.own() {
            Ok(line) => {
                // ORDERING: Relaxed: this thread alone writes it.
                let ended = line.ended.load(Ordering::Relaxed);
                // ORDERING: Relaxed: published by the `leave` or the `begin`
                // that comes next.
                line.ended.store(ended.wrapping_add(1), Ordering::Relaxed);
            }
            // ORDERING: Relaxed: as the store.
            Err(shared) => drop(shared.ended.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// How many are in flight, that of the caller included, who has begun one.
    #[inline(always)]
    pub(super) fn read(&self) -> u64 {
        let begun = self.begun();
        // ORDERING: Relaxed: after what was begun, by the Acquire there.
        let ended = self
            .lines
            .iter()
            .map(|line| line.ended.load(Ordering::Relaxed));
        let ended = ended.fold(0, u64::wrapping_add);
        // Those that began and ended meanwhile are only among the ended.
        let between = begun.wrapping_sub(ended) as i64;
        between.max(0) as u64
    }

    /// How many were begun, ever.
    #[inline(always)]
    pub(super) fn begun(&self) -> u64 {
        // ORDERING: Acquire: observes what had ended before these began; pairs
        // with the Release in `begin`.
        let begun = self
            .lines
            .iter()
            .map(|line| line.begun.load(Ordering::Acquire));
        begun.fold(0, u64::wrapping_add)
    }

    /// The line of this thread, or the one that is shared.
    #[inline(always)]
    fn own(&self) -> Result<&Line, &Line> {
        let last = self.lines.len() - 1;
        let index = thread_index();
        if index < last {
            Ok(&self.lines[index])
        } else {
            Err(&self.lines[last])
        }
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_one_thread_begins_another_may_end() {
        let total = Total::new();
        let threads = 3 * total.lines.len();
        let all = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    all.wait();
                    (0..100).for_each(|_| total.begin());
                    all.wait();
                });
            }
        });
        assert_eq!(total.read(), 100 * threads as u64);
        (0..100 * threads).for_each(|_| total.end());
        assert_eq!(total.read(), 0);
        assert_eq!(total.begun(), 100 * threads as u64);
    }
}
