use std::fmt;

use axiomatic_core::time::Instant;

use super::core::{Core, Taken};

/// Leave for one call. What it cost is spent, whatever becomes of this: only
/// who does not make the call gives it back.
pub struct Permit<'l> {
    core: &'l Core,
    taken: Taken,
}

impl<'l> Permit<'l> {
    #[inline(always)]
    pub(super) fn new(core: &'l Core, taken: Taken) -> Self {
        Permit { core, taken }
    }

    /// What the call costs.
    pub fn cost(&self) -> u32 {
        self.taken.cells
    }

    /// Gives back what the call cost, because it is not made: all of it, as
    /// far as others do not stand on it who came since. What was granted under
    /// another quota, or before a server said to wait, is not given back.
    pub fn give_back(self, now: Instant) {
        self.core.give_back(now, self.taken);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("cost", &self.taken.cells)
            .finish_non_exhaustive()
    }
}
