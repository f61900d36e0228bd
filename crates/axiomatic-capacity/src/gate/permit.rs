use std::fmt;
use std::ops::Deref;

use axiomatic_core::{Outcome, Settle};

use super::core::HeldCore;
use super::{Core, Meter, Token};

/// Leave for one call, borrowed from what gave it. Dropped, it gives back what
/// the call had.
#[must_use = "a permit that is dropped has been given back"]
pub struct Permit<'c, M: Meter>(Pending<&'c Core<M>, M>);

/// Leave for one call that outlives the borrow, for futures and for bodies of
/// responses. Dropped, it gives back what the call had.
#[must_use = "a permit that is dropped has been given back"]
pub struct OwnedPermit<M: Meter>(Pending<HeldCore<M>, M>);

impl<'c, M: Meter> Permit<'c, M> {
    #[inline(always)]
    pub(crate) fn begin(core: &'c Core<M>, token: Token) -> Self {
        Permit(Pending::begin(core, token))
    }

    /// Of a call that began then.
    #[inline(always)]
    pub(crate) fn marked(core: &'c Core<M>, token: Token, mark: M::Mark) -> Self {
        Permit(Pending { core, token, mark })
    }

    #[inline(always)]
    pub(crate) fn inner(&self) -> &Pending<&'c Core<M>, M> {
        &self.0
    }
}

impl<M: Meter> OwnedPermit<M> {
    #[inline(always)]
    pub(crate) fn begin(core: HeldCore<M>, token: Token) -> Self {
        OwnedPermit(Pending::begin(core, token))
    }

    /// Of a call that began then.
    #[inline(always)]
    pub(crate) fn marked(core: HeldCore<M>, token: Token, mark: M::Mark) -> Self {
        OwnedPermit(Pending { core, token, mark })
    }

    #[inline(always)]
    pub(crate) fn inner(&self) -> &Pending<HeldCore<M>, M> {
        &self.0
    }
}

/// As a binding settles it: when the call is answered, or its body has ended.
impl<M: Meter> Settle for OwnedPermit<M> {
    #[inline(always)]
    fn settle(self, outcome: Outcome) {
        self.0.settle(outcome);
    }

    #[inline]
    fn cancelled(self) {
        self.0.cancelled();
    }
}

impl<M: Meter> fmt::Debug for Permit<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.0.token).finish()
    }
}

impl<M: Meter> fmt::Debug for OwnedPermit<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedPermit").field(&self.0.token).finish()
    }
}

/// What is given back once: what the two permits share.
pub(crate) struct Pending<C: Deref<Target = Core<M>>, M: Meter> {
    core: C,
    token: Token,
    mark: M::Mark,
}

impl<C: Deref<Target = Core<M>>, M: Meter> Pending<C, M> {
    #[inline(always)]
    fn begin(core: C, token: Token) -> Self {
        let mark = if token.is_seen() {
            M::begin(&core)
        } else {
            M::UNSEEN
        };
        Pending { core, token, mark }
    }

    /// The call has an answer.
    #[inline(always)]
    pub(crate) fn settle(self, outcome: Outcome) {
        if self.token.is_seen() {
            M::settle(&self.core, self.mark, outcome);
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn cancelled(self) {
        if self.token.is_seen() {
            M::cancelled(&self.core, self.mark);
        }
    }

    /// The core and the mark, of a call that is seen.
    #[inline(always)]
    pub(crate) fn seen(&self) -> Option<(&Core<M>, M::Mark)> {
        self.token.is_seen().then(|| (&*self.core, self.mark))
    }
}

impl<C: Deref<Target = Core<M>>, M: Meter> Drop for Pending<C, M> {
    #[inline(always)]
    fn drop(&mut self) {
        self.core.give_back(self.token);
    }
}
