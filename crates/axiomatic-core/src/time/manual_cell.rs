use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Instant, saturating_nanos};

/// A clock that stands still until a test moves it. Clones share the hand.
///
/// It uses std's atomics even under loom: a test's clock is not part of what
/// a model explores.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows one hour after the origin, like a live one at its
    /// first use.
    pub fn new() -> Self {
        ManualClock(Arc::new(AtomicU64::new(3_600 * 1_000_000_000)))
    }

    /// What the hand shows.
    pub fn now(&self) -> Instant {
        // ORDERING: Relaxed: a number; no other memory is read on its strength.
        Instant::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Moves the hand forward.
    pub fn advance(&self, by: Duration) {
        // ORDERING: Relaxed: a number; no other memory is read on its strength.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(now.saturating_add(saturating_nanos(by)))
            });
    }

    /// Puts the hand anywhere, also back.
    pub fn set(&self, to: Instant) {
        // ORDERING: Relaxed: a number; no other memory is read on its strength.
        self.0.store(to.as_nanos(), Ordering::Relaxed);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}
