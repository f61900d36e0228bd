//! Counts, promises and turns, one word each. It is one file because each is
//! a dozen lines of code under its own contract.

use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::sync::{AtomicU32, AtomicU64, Ordering};
use axiomatic_core::time::{Instant, saturating_nanos};

use super::state::Generation;

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

/// When the window has to be read next: as long as too few bad results have
/// come to reach a rate, nobody reads it.
///
/// Two words. `count` numbers the bad results; each takes its number after it
/// was recorded, in one chain of exchanges, so whoever has number `n` sees
/// the records of all before. `due` is the number at which to read:
///
/// Layout    | 63..24 key | 23..0 number, its low bits |
/// Invariant under its key, no rate can be reached before the number. The key
///           names a stretch in which the window's total does not shrink, and
///           a set of rules. A late store is of an earlier number, and so
///           still true.
/// Writers   `number`, `wait_for`, `clear`.
/// Orderings `number` releases the record before it and acquires those of the
///           numbers before; `due` is Relaxed, being a promise that is true
///           whenever it is read.
pub(super) struct Patience {
    count: AtomicU64,
    due: AtomicU64,
}

/// The number of a bad result, with the key of the moment.
#[derive(Copy, Clone)]
pub(super) struct Numbered {
    number: u64,
    key: u64,
}

const NUMBER_BITS: u32 = 24;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
/// Half of what the low bits can tell apart: what lies further ahead than
/// this lies behind.
const FURTHEST: u64 = 1 << (NUMBER_BITS - 1);

impl Patience {
    pub(super) fn new() -> Self {
        Patience {
            count: AtomicU64::new(0),
            due: AtomicU64::new(0),
        }
    }

    /// Numbers a bad result that was recorded.
    pub(super) fn number(&self) -> u64 {
        // ORDERING: AcqRel: publishes the record of this result, observes
        // those of all with a smaller number; pairs with itself.
        self.count.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether the window has to be read at this number.
    pub(super) fn is_due(&self, number: u64, stretch: u64, rules: u8) -> Result<(), Numbered> {
        let key = (stretch << 8 | u64::from(rules)) & (u64::MAX >> NUMBER_BITS);
        // ORDERING: Relaxed: a promise that is true whenever it is read.
        let due = self.due.load(Ordering::Relaxed);
        let ahead = due.wrapping_sub(number) & NUMBER_MASK;
        if due >> NUMBER_BITS == key && (1..FURTHEST).contains(&ahead) {
            return Ok(());
        }
        Err(Numbered { number, key })
    }

    /// Promises that no rate is reached by fewer than `more` bad results
    /// after this one.
    pub(super) fn wait_for(&self, numbered: Numbered, more: u64) {
        let number = numbered.number.wrapping_add(more.min(FURTHEST - 1)) & NUMBER_MASK;
        // ORDERING: Relaxed: a promise that is true whenever it is read.
        self.due
            .store(numbered.key << NUMBER_BITS | number, Ordering::Relaxed);
    }

    /// Takes every promise back.
    pub(super) fn clear(&self) {
        // ORDERING: Relaxed: the next bad result reads the window.
        self.due.store(0, Ordering::Relaxed);
    }
}

/// The origin of a breaker's own time, an hour before its construction: so
/// that a generation lasts 36 years of use, whatever the clock began with.
///
/// An instant that lies before the origin, or thirty years after it, is of
/// another clock than the one the breaker was built with. Then that clock's
/// is the time from now on.
///
/// Orderings all Relaxed: a number; no other memory is read on its strength.
pub(super) struct Origin(AtomicU64);

const HOUR: u64 = 3_600 * 1_000_000_000;
const THIRTY_YEARS: u64 = 30 * 365 * 24 * HOUR;

impl Origin {
    /// What the breaker's time is at construction.
    pub(super) const BEGINNING: Instant = Instant::from_nanos(HOUR);

    pub(super) fn new(now: Instant) -> Self {
        Origin(AtomicU64::new(now.as_nanos()))
    }

    /// An instant in the breaker's own time.
    #[inline]
    pub(super) fn local(&self, now: Instant) -> Instant {
        // ORDERING: Relaxed: a number.
        let origin = self.0.load(Ordering::Relaxed);
        let nanos = now.as_nanos().wrapping_sub(origin).wrapping_add(HOUR);
        if nanos > THIRTY_YEARS {
            return self.begin_anew(origin, now);
        }
        Instant::from_nanos(nanos)
    }

    #[cold]
    fn begin_anew(&self, origin: u64, now: Instant) -> Instant {
        // ORDERING: Relaxed: a number. A lost race is another instant of that
        // other clock, which serves as well.
        let _ =
            self.0
                .compare_exchange(origin, now.as_nanos(), Ordering::Relaxed, Ordering::Relaxed);
        Self::BEGINNING
    }
}

/// Whose turn it is where only a share of the calls passes.
///
/// Layout    | 63..26 generation | 25..0 asked |
/// Invariant of the first `n` that ask in a generation, as long as the share
///           stays, exactly the share of `n`, rounded up, pass: the first
///           one always does.
/// Writers   `take`.
/// Orderings the count is all there is; the cell orders generations.
pub(super) struct Turns(AtomicU64);

const TURN_BITS: u32 = 64 - Generation::BITS;
const LAST_TURN: u64 = (1 << TURN_BITS) - 1;

impl Turns {
    pub(super) fn new() -> Self {
        Turns(AtomicU64::new(0))
    }

    /// Takes the next turn, and says whether it is one of those that pass.
    ///
    /// Linearises at the exchange; a lost race means that another took the
    /// turn. Lock-free.
    pub(super) fn take(&self, generation: Generation, share: Ratio) -> bool {
        // ORDERING: Relaxed: a count; the exchange fails on any stale value.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let is_first = word >> TURN_BITS != generation.number();
            let turn = if is_first { 0 } else { word & LAST_TURN };
            let next = generation.number() << TURN_BITS | (turn + 1) & LAST_TURN;
            // ORDERING: Relaxed: a count; no other memory is read on its
            // strength.
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => {
                    let share = u64::from(share.as_parts_per_million());
                    return turn * share % 1_000_000 < share;
                }
                Err(current) => word = current,
            }
        }
    }
}

/// When the controller of an adaptive breaker takes its next step.
///
/// Layout    | 63..0 an instant in nanoseconds |
/// Writers   `is_due`.
/// Orderings Relaxed: it says whose turn it is; what is read and stored in
///           the step has orderings of its own.
pub(super) struct Pace(AtomicU64);

impl Pace {
    pub(super) fn new() -> Self {
        Pace(AtomicU64::new(0))
    }

    /// Whether a step is due, for one caller a step. A step that lies further
    /// ahead than one can is of a clock that stepped back.
    pub(super) fn is_due(&self, now: Instant, every: Duration) -> bool {
        // ORDERING: Relaxed: a turn; the exchange fails on any stale value.
        let due = self.0.load(Ordering::Relaxed);
        let wait = due.saturating_sub(now.as_nanos());
        if wait > 0 && wait <= saturating_nanos(every) {
            return false;
        }
        // ORDERING: Relaxed: a turn. A lost race means that another took it.
        self.0
            .compare_exchange(
                due,
                (now + every).as_nanos(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
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
