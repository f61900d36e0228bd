use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, saturating_nanos};

/// Who keeps the histogram, and when it wants to be looked after: one record
/// among those that find it due claims it, halves and estimates, and says when
/// it is due again. The others go on.
#[derive(Debug)]
pub(super) struct Keeper {
    due: Due,
    notes: NoteCells,
}

/// When the keeper is due.
///
/// Layout    nanoseconds since the origin of time; [`COLD`] while there is too
///           little for an estimate, [`CLAIMED`] while somebody is at it.
/// Invariant between `claim` and `release` there is one keeper.
/// Writers   `claim`, `release`. Readers `is_due`.
/// Orderings `release` releases the notes and what was taken from the
///           tallies, `claim` acquires them.
#[derive(Debug)]
struct Due(AtomicU64);

const COLD: u64 = 0;
const CLAIMED: u64 = u64::MAX;

/// What keepers tell one another.
///
/// Layout    the fields of [`Notes`], times in nanoseconds.
/// Invariant only the keeper reads and writes them.
/// Writers   `store`. Readers `load`.
/// Orderings all Relaxed: published by [`Due`].
#[derive(Debug)]
struct NoteCells {
    began: AtomicU64,
    half_life_began: AtomicU64,
    calls: AtomicU64,
}

#[derive(Copy, Clone, Debug)]
pub(super) struct Notes {
    /// Whether there were estimates.
    pub(super) is_warm: bool,
    /// When the first call came of those that make the estimates.
    pub(super) began: Instant,
    pub(super) half_life_began: Instant,
    /// How many calls there are; while it is cold, as far as keepers counted.
    pub(super) calls: u64,
}

/// When a keeper is due again.
#[derive(Copy, Clone, Debug)]
pub(super) enum Again {
    /// With the next call: there are too few.
    AtOnce,
    At(Instant),
}

impl Keeper {
    pub(super) fn new() -> Self {
        Keeper {
            due: Due(AtomicU64::new(COLD)),
            notes: NoteCells {
                began: AtomicU64::new(0),
                half_life_began: AtomicU64::new(0),
                calls: AtomicU64::new(0),
            },
        }
    }

    /// Whether it is due at `now`, or lies further ahead than it is ever set:
    /// then the clock has stepped back.
    #[inline(always)]
    pub(super) fn is_due(&self, now: Instant, furthest: u64) -> bool {
        // Of what lies behind, and of `COLD`, the distance is very large.
        let ahead = self
            .due
            .glance()
            .wrapping_sub(now.as_nanos().wrapping_add(1));
        ahead >= furthest
    }

    /// Becomes the keeper, unless there is one.
    pub(super) fn claim(&self) -> Option<Notes> {
        let due = self.due.glance();
        let claimed = due != CLAIMED && self.due.claim(due);
        claimed.then(|| self.notes.load(due != COLD))
    }

    /// Ends being the keeper.
    pub(super) fn release(&self, notes: Notes, again: Again) {
        self.notes.store(notes);
        self.due.release(match again {
            Again::AtOnce => COLD,
            Again::At(due) => due.as_nanos().clamp(COLD + 1, CLAIMED - 1),
        });
    }
}

impl Due {
    #[inline(always)]
    fn glance(&self) -> u64 {
        // ORDERING: Relaxed: on its strength only a claim is tried.
        self.0.load(Ordering::Relaxed)
    }

    /// Linearises at the exchange; a lost race means that another is the
    /// keeper: wait-free.
    fn claim(&self, due: u64) -> bool {
        // ORDERING: Acquire: observes the notes and what was taken from the
        // tallies; pairs with the Release in `release`. Relaxed on failure:
        // then nothing is done.
        self.0
            .compare_exchange(due, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    fn release(&self, due: u64) {
        // ORDERING: Release: publishes the notes and what was taken from the
        // tallies; pairs with the Acquire in `claim`.
        self.0.store(due, Ordering::Release);
    }
}

impl NoteCells {
    fn load(&self, is_warm: bool) -> Notes {
        // ORDERING: Relaxed: after the claim.
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Notes {
            is_warm,
            began: Instant::from_nanos(load(&self.began)),
            half_life_began: Instant::from_nanos(load(&self.half_life_began)),
            calls: load(&self.calls),
        }
    }

    fn store(&self, notes: Notes) {
        // ORDERING: Relaxed: before the release.
        let store = |cell: &AtomicU64, value| cell.store(value, Ordering::Relaxed);
        store(&self.began, notes.began.as_nanos());
        store(&self.half_life_began, notes.half_life_began.as_nanos());
        store(&self.calls, notes.calls);
    }
}

/// An estimate at hand.
///
/// Layout    nanoseconds; all ones if there is none.
/// Invariant none.
/// Writers   `set`, by the keeper. Readers `load`.
/// Orderings all Relaxed: a number.
#[derive(Debug)]
pub(super) struct Estimate(AtomicU64);

const NONE: u64 = u64::MAX;

impl Estimate {
    pub(super) fn none() -> Self {
        Estimate(AtomicU64::new(NONE))
    }

    #[inline(always)]
    pub(super) fn load(&self) -> Option<u64> {
        // ORDERING: Relaxed: a number; no other memory is read on its
        // strength.
        match self.0.load(Ordering::Relaxed) {
            NONE => None,
            nanos => Some(nanos),
        }
    }

    pub(super) fn set(&self, estimate: Option<Duration>) {
        let nanos = estimate.map_or(NONE, saturating_nanos);
        // ORDERING: Relaxed: a number.
        self.0.store(nanos, Ordering::Relaxed);
    }
}
