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

    #[inline]
    pub(super) fn after(&self) -> Duration {
        // ORDERING: Relaxed: a setting.
        Duration::from_nanos(self.after.load(Ordering::Relaxed))
    }

    pub(super) fn set_after(&self, after: Duration) {
        // ORDERING: Relaxed: a setting.
        self.after.store(saturating_nanos(after), Ordering::Relaxed);
    }
}
