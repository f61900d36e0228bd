use axiomatic_core::Mode;
use axiomatic_core::sync::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::state::Generation;

/// Failures in a row, with no success between them.
///
/// Layout    | 63..26 generation | 25..0 failures |
/// Invariant the generation never decreases.
/// Writers   `failed`, `succeeded`.
/// Orderings the count is all there is; the cell orders generations.
pub(super) struct Streak(AtomicU64);

const STREAK_BITS: u32 = 64 - Generation::BITS;
const LONGEST_STREAK: u64 = (1 << STREAK_BITS) - 1;

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

/// How many more failures it takes at least until a rate can be reached: as
/// long as there are more than one to go, nobody has to read the window.
///
/// Layout    | 63..24 key | 23..0 bad results to go |
/// Invariant under the key it was computed for, no condition can be met by
///           fewer bad results than are to go. The key names a stretch in
///           which the window's total does not shrink, and a set of rules.
/// Writers   `endure`, `expect`. A stale promise is never kept: it is made by
///           an exchange from the word that was found before the window was
///           read.
/// Orderings all Relaxed: a promise that is seen late is one already counted
///           down by others, and only ends earlier.
pub(super) struct Patience(AtomicU64);

/// What was found when patience had ended.
#[derive(Copy, Clone)]
pub(super) struct Ended {
    found: u64,
    key: u64,
}

const TO_GO_BITS: u32 = 24;
const MOST_TO_GO: u64 = (1 << TO_GO_BITS) - 1;

impl Patience {
    pub(super) fn new() -> Self {
        Patience(AtomicU64::new(0))
    }

    /// Counts a bad result down. Once none is left, or the key is another,
    /// the window has to be read.
    pub(super) fn endure(&self, position: u64, rules: u8) -> Result<(), Ended> {
        let key = (position << 8 | u64::from(rules)) & (u64::MAX >> TO_GO_BITS);
        // ORDERING: Relaxed: a count; the exchange fails on any stale value.
        let mut found = self.0.load(Ordering::Relaxed);
        loop {
            if found >> TO_GO_BITS != key || found & MOST_TO_GO <= 1 {
                return Err(Ended { found, key });
            }
            // ORDERING: Relaxed: a count; no other memory is read on its
            // strength. A lost race is another bad result: lock-free.
            match self.0.compare_exchange_weak(
                found,
                found - 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(current) => found = current,
            }
        }
    }

    /// Promises that it takes this many more bad results. A lost race is
    /// harmless: patience then ends earlier.
    pub(super) fn expect(&self, ended: Ended, to_go: u64) {
        let promised = ended.key << TO_GO_BITS | to_go.min(MOST_TO_GO);
        // ORDERING: Relaxed: a count; no other memory is read on its
        // strength.
        let _ =
            self.0
                .compare_exchange(ended.found, promised, Ordering::Relaxed, Ordering::Relaxed);
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

/// The mode, switchable at run time.
pub(super) struct ModeCell(AtomicU8);

impl ModeCell {
    pub(super) fn new(mode: Mode) -> Self {
        ModeCell(AtomicU8::new(mode as u8))
    }

    #[inline]
    pub(super) fn is_off(&self) -> bool {
        // ORDERING: Relaxed: a switch; a call that races with it may see
        // either.
        self.0.load(Ordering::Relaxed) == Mode::Off as u8
    }

    pub(super) fn load(&self) -> Mode {
        // ORDERING: Relaxed: a switch.
        match self.0.load(Ordering::Relaxed) {
            0 => Mode::Enforce,
            1 => Mode::Shadow,
            _ => Mode::Off,
        }
    }

    pub(super) fn store(&self, mode: Mode) {
        // ORDERING: Relaxed: a switch.
        self.0.store(mode as u8, Ordering::Relaxed);
    }
}
