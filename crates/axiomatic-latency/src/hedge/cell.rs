use axiomatic_core::Mode;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::saturating_nanos;

use super::Delay;
use super::delay::Source;

/// The settings of a hedge, which change live, one word at a time: a call that
/// races with an update may see some of the old and some of the new.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) mode: ModeCell,
    /// What is learned instead is [`LEARNED`].
    fixed: Nanos,
    shortest: Nanos,
    longest: Nanos,
}

const LEARNED: u64 = u64::MAX;

impl Settings {
    pub(super) fn new(delay: &Delay) -> Self {
        let settings = Settings {
            mode: ModeCell::new(Mode::Enforce),
            fixed: Nanos::new(LEARNED),
            shortest: Nanos::new(0),
            longest: Nanos::new(0),
        };
        settings.store(delay);
        settings
    }

    pub(super) fn store(&self, delay: &Delay) {
        if let Source::Fixed(fixed) = delay.source {
            self.fixed.store(saturating_nanos(fixed).min(LEARNED - 1));
        }
        self.shortest.store(saturating_nanos(delay.bounds.shortest));
        self.longest.store(saturating_nanos(delay.bounds.longest));
    }

    /// The delay in nanoseconds, if it is fixed or something was learned.
    #[inline(always)]
    pub(super) fn delay(&self, learned: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let delay = match self.fixed.load() {
            LEARNED => learned()?,
            fixed => fixed,
        };
        // Not by `clamp`, which panics if an update is seen by halves.
        Some(delay.min(self.longest.load()).max(self.shortest.load()))
    }
}

/// A duration.
///
/// Layout    nanoseconds.
/// Invariant none.
/// Writers   `store`. Readers `load`.
/// Orderings all Relaxed: a number.
#[derive(Debug)]
struct Nanos(AtomicU64);

impl Nanos {
    fn new(nanos: u64) -> Self {
        Nanos(AtomicU64::new(nanos))
    }

    #[inline(always)]
    fn load(&self) -> u64 {
        // ORDERING: Relaxed: a setting; no other memory is read on its
        // strength.
        self.0.load(Ordering::Relaxed)
    }

    fn store(&self, nanos: u64) {
        // ORDERING: Relaxed: a setting.
        self.0.store(nanos, Ordering::Relaxed);
    }
}

/// A count for the operator, off the path of calls that are not hedged.
///
/// Layout    the count.
/// Invariant never decreases.
/// Writers   `count`. Readers `load`.
/// Orderings all Relaxed: a statistic.
#[derive(Debug)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    pub(super) fn new() -> Self {
        Tally(AtomicU64::new(0))
    }

    pub(super) fn count(&self) {
        // ORDERING: Relaxed: a statistic; no other memory is read on its
        // strength.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> u64 {
        // ORDERING: Relaxed: a statistic.
        self.0.load(Ordering::Relaxed)
    }
}
