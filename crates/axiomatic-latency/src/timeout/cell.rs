use std::time::Duration;

use axiomatic_core::Mode;
use axiomatic_core::sync::{AtomicU8, AtomicU64, Ordering};
use axiomatic_core::time::saturating_nanos;

/// The settings of a timeout, which change live.
///
/// Orderings all Relaxed: each is a number, and no other memory is read on
///           its strength. A call that races with a change may see either.
pub(super) struct Settings {
    after: AtomicU64,
    mode: AtomicU8,
}

impl Settings {
    pub(super) fn new(after: Duration) -> Self {
        Settings {
            after: AtomicU64::new(saturating_nanos(after)),
            mode: AtomicU8::new(Mode::Enforce as u8),
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

    #[inline]
    pub(super) fn mode(&self) -> Mode {
        // ORDERING: Relaxed: a switch.
        match self.mode.load(Ordering::Relaxed) {
            0 => Mode::Enforce,
            1 => Mode::Shadow,
            _ => Mode::Off,
        }
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        // ORDERING: Relaxed: a switch.
        self.mode.store(mode as u8, Ordering::Relaxed);
    }
}
