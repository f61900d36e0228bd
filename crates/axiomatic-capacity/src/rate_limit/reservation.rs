use std::fmt;
use std::sync::Arc;

use axiomatic_core::time::Instant;

use super::core::{Core, Taken};

/// Leave for one call from an instant on. Dropped, it stays reserved: who does
/// not make the call [cancels](Reservation::cancel).
#[must_use = "what is reserved is spent, unless it is cancelled"]
pub struct Reservation {
    core: Arc<Core>,
    taken: Taken,
}

impl Reservation {
    pub(super) fn new(core: Arc<Core>, taken: Taken) -> Self {
        Reservation { core, taken }
    }

    /// From when on the call may be made.
    pub fn ready_at(&self) -> Instant {
        self.taken.due
    }

    /// What the call costs.
    pub fn cost(&self) -> u32 {
        self.taken.cells
    }

    /// Gives back what was reserved, as far as those do not need it who
    /// reserved later: their times stay as they are. What was reserved under
    /// another quota, or before a server said to wait, is not given back.
    pub fn cancel(self, now: Instant) {
        self.core.give_back(now, self.taken);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("ready_at", &self.taken.due)
            .field("cost", &self.taken.cells)
            .finish_non_exhaustive()
    }
}
