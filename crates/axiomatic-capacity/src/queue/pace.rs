//! How soon those who wait are served, one after the other.

use std::time::Duration;

use axiomatic_core::time::{Instant, saturating_nanos};

/// The time from one that is served to the next, while somebody waits: the
/// average of the last ones, of which each counts an eighth less than the one
/// after it.
#[derive(Default)]
pub(super) struct Pace {
    /// When one was served last; none if nobody has waited since.
    last: Option<Instant>,
    /// Eight times the average, in nanoseconds: so nothing is rounded off.
    eightfold: Option<u64>,
}

impl Pace {
    /// One that waited is served.
    pub(super) fn served(&mut self, now: Instant) {
        let last = self.last.replace(now);
        let Some(gap) = last.map(|last| saturating_nanos(now - last)) else {
            return;
        };
        self.eightfold = Some(match self.eightfold {
            None => gap.saturating_mul(8),
            Some(eightfold) => (eightfold - eightfold / 8).saturating_add(gap),
        });
    }

    /// Nobody waited. Until somebody came there was nobody to serve, so the
    /// time since the last one says nothing.
    pub(super) fn paused(&mut self) {
        self.last = None;
    }

    /// How long it takes to serve so many, where somebody has waited for so
    /// long. No time, while that is not known; and no less for each than it has
    /// taken by now since one was served last, where all is stuck.
    pub(super) fn of(&self, count: u32, stood: Duration, now: Instant) -> Duration {
        let Some(eightfold) = self.eightfold else {
            return Duration::ZERO;
        };
        let open = self.last.map_or(stood, |last| stood.min(now - last));
        let each = (eightfold / 8).max(saturating_nanos(open));
        Duration::from_nanos(each.saturating_mul(u64::from(count)))
    }
}
