use axiomatic_core::sync::{AtomicU32, AtomicU64, Ordering};

use super::generation::Generation;

/// Failures in a row, with no success between them.
///
/// Layout    | 63..26 generation | 25..0 failures |
/// Invariant the generation never decreases.
/// Writers   `failed`, `succeeded`.
/// Orderings the count is all there is; the cell orders generations.
pub(super) struct Streak(AtomicU64);

const STREAK_BITS: u32 = 64 - Generation::BITS;
pub(super) const LONGEST_STREAK: u64 = (1 << STREAK_BITS) - 1;

impl Streak {
    pub(super) fn new() -> Self {
        Streak(AtomicU64::new(0))
    }

    /// Counts a failure and says how many there are now; none, if the
    /// generation is over.
    ///
    /// Linearises at the exchange; a lost race means that another result was
    /// counted first. Lock-free.
    pub(super) fn failed(&self, generation: Generation) -> u64 {
        // ORDERING: Relaxed: a count; the exchange fails on any stale value.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let counted = word >> STREAK_BITS;
            let failures = match counted.cmp(&generation.number()) {
                std::cmp::Ordering::Greater => return 0,
                std::cmp::Ordering::Equal => ((word & LONGEST_STREAK) + 1).min(LONGEST_STREAK),
                std::cmp::Ordering::Less => 1,
            };
            let next = generation.number() << STREAK_BITS | failures;
            // ORDERING: Relaxed: a count; no other memory is read on its
            // strength.
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return failures,
                Err(current) => word = current,
            }
        }
    }

    /// Ends the streak. Where there is none, nothing is written, so that
    /// successes share the line.
    #[inline]
    pub(super) fn succeeded(&self, generation: Generation) {
        // ORDERING: Relaxed: a failure not yet seen here came after this
        // success.
        let word = self.0.load(Ordering::Relaxed);
        if word & LONGEST_STREAK != 0 && word >> STREAK_BITS == generation.number() {
            // ORDERING: Relaxed: a count. A lost race is a failure that came
            // after this success, or a success that did the work.
            let _ = self.0.compare_exchange(
                word,
                word & !LONGEST_STREAK,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }
}

/// How often in a row the breaker has opened without a stable time between.
/// It only scales a duration, so it is written after the transition that it
/// counts, and may lag by one.
pub(super) struct Reopenings(AtomicU32);

impl Reopenings {
    pub(super) fn new() -> Self {
        Reopenings(AtomicU32::new(0))
    }

    pub(super) fn load(&self) -> u32 {
        // ORDERING: Relaxed: a number that scales a duration.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn store(&self, reopenings: u32) {
        // ORDERING: Relaxed: a number that scales a duration.
        self.0.store(reopenings, Ordering::Relaxed);
    }
}

/// A count for the operator, off the hot path.
pub(super) struct Statistic(AtomicU64);

impl Statistic {
    pub(super) fn new() -> Self {
        Statistic(AtomicU64::new(0))
    }

    pub(super) fn count(&self) {
        // ORDERING: Relaxed: a statistic; no other memory is read on its
        // strength.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> u64 {
        // ORDERING: Relaxed: a statistic; no other memory is read on its
        // strength.
        self.0.load(Ordering::Relaxed)
    }
}
