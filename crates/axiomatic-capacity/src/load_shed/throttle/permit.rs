use std::fmt;

use axiomatic_core::shared::Held;
use axiomatic_core::time::Instant;
use axiomatic_core::{Outcome, Settle};

use super::core::Core;

/// Leave for one call, borrowed from the throttler.
///
/// Dropped without a verdict, the call counts as nothing: neither as made nor
/// as accepted.
#[must_use = "a permit that is dropped tells the throttler nothing"]
pub struct Permit<'t> {
    core: &'t Core,
    counts: bool,
}

/// Leave for one call that outlives the borrow of the throttler, for futures.
///
/// Dropped without a verdict, the call counts as nothing: neither as made nor
/// as accepted.
#[must_use = "a permit that is dropped tells the throttler nothing"]
pub struct OwnedPermit {
    core: Held<Core>,
    counts: bool,
}

impl<'t> Permit<'t> {
    #[inline(always)]
    pub(super) fn new(core: &'t Core, counts: bool) -> Self {
        Permit { core, counts }
    }

    /// Tells what became of the call, at `now`: whether it was accepted.
    #[inline(always)]
    pub fn record(self, now: Instant, outcome: Outcome) {
        if self.counts {
            self.core.record(now, outcome);
        }
    }
}

impl OwnedPermit {
    #[inline(always)]
    pub(super) fn new(core: Held<Core>, counts: bool) -> Self {
        OwnedPermit { core, counts }
    }

    /// Tells what became of the call, at `now`: whether it was accepted.
    #[inline(always)]
    pub fn record(self, now: Instant, outcome: Outcome) {
        if self.counts {
            self.core.record(now, outcome);
        }
    }
}

/// As a binding settles it, at the time that the throttler's clock shows.
impl Settle for OwnedPermit {
    #[inline]
    fn settle(self, outcome: Outcome) {
        if self.counts && outcome != Outcome::Ignored {
            self.core.record(self.core.now(), outcome);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
