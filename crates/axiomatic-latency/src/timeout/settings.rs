use std::time::Duration;

use axiomatic_core::Mode;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::Setting;
use axiomatic_core::time::saturating_nanos;

/// The settings of a timeout, which change live; a call that races with a
/// change may see either.
pub(super) struct Settings {
    after: Setting,
    pub(super) mode: ModeCell,
}

impl Settings {
    pub(super) fn new(after: Duration) -> Self {
        Settings {
            after: Setting::new(saturating_nanos(after)),
            mode: ModeCell::new(Mode::Enforce),
        }
    }

    /// In nanoseconds.
    #[inline]
    pub(super) fn after(&self) -> u64 {
        self.after.load()
    }

    pub(super) fn set_after(&self, after: Duration) {
        self.after.store(saturating_nanos(after));
    }
}
