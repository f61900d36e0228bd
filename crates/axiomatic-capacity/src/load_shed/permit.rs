use std::fmt;
use std::ops::Deref;

use axiomatic_core::context::AdmissionLevel;
use axiomatic_core::{Outcome, Settle};

use super::shedder::{Core, HeldCore, Seen};

/// Leave for one call, borrowed from the shedder, and to be told what became of
/// it: how much is served in a second is how much can be borne. Dropped, it was
/// not served.
#[must_use = "a permit that is dropped says that its call was not served"]
pub struct Permit<'s>(Pending<&'s Core>);

/// Leave for one call that outlives the borrow, for futures and for bodies of
/// responses. Dropped, it was not served.
#[must_use = "a permit that is dropped says that its call was not served"]
pub struct OwnedPermit(Pending<HeldCore>);

struct Pending<C: Deref<Target = Core>> {
    core: C,
    seen: Seen,
}

impl<'s> Permit<'s> {
    #[inline(always)]
    pub(super) fn new(core: &'s Core, seen: Seen) -> Self {
        Permit(Pending { core, seen })
    }

    /// Tells what became of the call. What is answered was served; what failed,
    /// or was refused further in, was not.
    #[inline(always)]
    pub fn record(self, outcome: Outcome) {
        self.0.record(outcome);
    }
}

impl OwnedPermit {
    #[inline(always)]
    pub(super) fn new(core: HeldCore, seen: Seen) -> Self {
        OwnedPermit(Pending { core, seen })
    }

    /// Tells what became of the call. What is answered was served; what failed,
    /// or was refused further in, was not.
    #[inline(always)]
    pub fn record(self, outcome: Outcome) {
        self.0.record(outcome);
    }

    /// From which priority on requests are let in.
    pub(super) fn level(&self) -> AdmissionLevel {
        self.0.core.level()
    }
}

impl<C: Deref<Target = Core>> Pending<C> {
    #[inline(always)]
    fn record(self, outcome: Outcome) {
        self.core.record(self.seen, outcome);
    }
}

/// As a binding settles it: when the call is answered, or its body has ended.
impl Settle for OwnedPermit {
    #[inline(always)]
    fn settle(self, outcome: Outcome) {
        self.record(outcome);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnedPermit")
    }
}
