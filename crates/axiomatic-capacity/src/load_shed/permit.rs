use std::fmt;
use std::ops::Deref;

use axiomatic_core::context::AdmissionLevel;
use axiomatic_core::{Outcome, Settle};

use super::shedder::{Core, HeldCore, Seen};

/// Leave for one call, borrowed from the shedder. Dropped, it tells that the
/// call is over: how many are over in a second is how many can be borne.
#[must_use = "a permit that is dropped tells that its call is over"]
pub struct Permit<'s>(#[expect(dead_code, reason = "for its drop")] Pending<&'s Core>);

/// Leave for one call that outlives the borrow, for futures and for bodies of
/// responses. Dropped, it tells that the call is over.
#[must_use = "a permit that is dropped tells that its call is over"]
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
}

impl OwnedPermit {
    #[inline(always)]
    pub(super) fn new(core: HeldCore, seen: Seen) -> Self {
        OwnedPermit(Pending { core, seen })
    }

    /// From which priority on requests are let in.
    pub(super) fn level(&self) -> AdmissionLevel {
        self.0.core.level()
    }
}

/// As a binding settles it: when the call is answered, or its body has ended.
/// Whatever became of it, it is over.
impl Settle for OwnedPermit {
    #[inline(always)]
    fn settle(self, _: Outcome) {}
}

impl<C: Deref<Target = Core>> Drop for Pending<C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.core.end(self.seen);
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
