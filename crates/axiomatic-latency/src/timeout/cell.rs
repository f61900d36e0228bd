use std::time::Duration;

use axiomatic_core::Mode;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::saturating_nanos;

/// The settings of a timeout, which change live.
///
/// Orderings all Relaxed: each is a number, and no other memory is read on
///           its strength. A call that races with a change may see either.
pub(super) struct Settings {
    after: AtomicU64,
    pub(super) mode: ModeCell,
}

impl Settings {
    pub(super) fn new(after: Duration) -> Self {
        Settings {
            after: AtomicU64::new(saturating_nanos(after)),
            mode: ModeCell::new(Mode::Enforce),
        }
    }

    /// In nanoseconds.
    #[inline]
    pub(super) fn after(&self) -> u64 {
        // ORDERING: Relaxed: a setting.
        self.after.load(Ordering::Relaxed)
    }

    pub(super) fn set_after(&self, after: Duration) {
        // ORDERING: Relaxed: a setting.
        self.after.store(saturating_nanos(after), Ordering::Relaxed);
    }
}

/// A count of calls that arrived expired, off the path of those that did not.
///
/// Layout    the count.
/// Invariant never decreases.
/// Writers   `count`. Readers `load`.
/// Orderings all Relaxed: a statistic.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
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
