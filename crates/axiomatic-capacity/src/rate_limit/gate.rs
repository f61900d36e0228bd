use std::fmt;
use std::num::NonZeroU32;

use axiomatic_core::allowance::Allowance;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Reason, Rejected};

use super::RateLimiter;
use super::core::Taken;

/// What a layer asks about a request: a limiter, one by key, either with a
/// cost, or several that decide as one, as a tuple. It is sealed.
///
/// All of a tuple's limiters admit, or none of them is asked anything: who
/// would refuse is found before anything is taken, and who refuses all the
/// same, because another was faster, has the others given back what they took.
pub trait Gate<Req>: Sealed {
    /// What was taken, to be given back.
    #[doc(hidden)]
    type Taken;

    /// Whether it would be refused. Takes nothing.
    #[doc(hidden)]
    fn peek(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<(), Rejected>;

    /// Takes what a request costs, if it is there.
    #[doc(hidden)]
    fn take(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<Self::Taken, Rejected>;

    /// Gives back what was not used of what a request took.
    #[doc(hidden)]
    fn give_back(&self, request: &Req, taken: Self::Taken, now: Instant);

    /// What is left to who sent such a request.
    #[doc(hidden)]
    fn left(&self, request: &Req, now: Instant) -> Allowance;

    /// What is told of that in an answer: nothing, unless it was asked for.
    #[doc(hidden)]
    #[inline(always)]
    fn announced(&self, request: &Req, now: Instant) -> Option<Allowance> {
        let _ = (request, now);
        None
    }

    /// A refusal that is counted.
    #[doc(hidden)]
    fn turn_away(&self, reason: Reason) -> Rejected;

    /// A refusal in words that is counted as nothing.
    #[doc(hidden)]
    fn rejected(&self, reason: Reason) -> Rejected;

    /// Whose time it is.
    #[doc(hidden)]
    fn clock(&self) -> &Clock;
}

/// A gate that grants ahead. A call of a tuple is due when it is by all of its
/// limits, and each of them keeps its bound for when it would have been by that
/// one. It is sealed.
pub trait WaitingGate<Req>: Gate<Req> {
    /// Takes what a request costs, now or for later, as the limit is
    /// configured and not later than `until`; and says from when on it is good.
    #[doc(hidden)]
    fn reserve(
        &self,
        request: &Req,
        now: Instant,
        until: Option<Instant>,
        cost: NonZeroU32,
    ) -> Result<(Self::Taken, Instant), Rejected>;

    /// Gives back what was reserved, when the request is gone.
    #[doc(hidden)]
    fn cancel(&self, taken: Self::Taken, now: Instant);
}

#[expect(unnameable_types, reason = "that nobody can name it is what seals")]
pub trait Sealed {}

impl Sealed for RateLimiter {}

impl<Req> Gate<Req> for RateLimiter {
    type Taken = Taken;

    fn peek(&self, _: &Req, now: Instant, cost: NonZeroU32) -> Result<(), Rejected> {
        self.0.peek(now, cost.get())
    }

    #[inline(always)]
    fn take(&self, _: &Req, now: Instant, cost: NonZeroU32) -> Result<Taken, Rejected> {
        self.0.admit(now, cost.get())
    }

    fn give_back(&self, _: &Req, taken: Taken, now: Instant) {
        self.0.give_back(now, taken);
    }

    fn left(&self, _: &Req, now: Instant) -> Allowance {
        self.0.standing(now).allowance(self.0.name)
    }

    fn turn_away(&self, reason: Reason) -> Rejected {
        self.0.turn_away(reason)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.0.rejected(reason)
    }

    #[inline(always)]
    fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

impl<Req> WaitingGate<Req> for RateLimiter {
    #[inline]
    fn reserve(
        &self,
        _: &Req,
        now: Instant,
        until: Option<Instant>,
        cost: NonZeroU32,
    ) -> Result<(Taken, Instant), Rejected> {
        let taken = self.0.reserve(now, &self.0.ask(now, until, cost))?;
        Ok((taken, taken.due))
    }

    fn cancel(&self, taken: Taken, now: Instant) {
        self.0.give_back(now, taken);
    }
}

/// A gate whose requests cost what a function says.
#[derive(Copy, Clone)]
pub struct ByCost<G, F> {
    gate: G,
    cost_of: F,
}

impl<G, F> ByCost<G, F> {
    pub(super) fn new(gate: G, cost_of: F) -> Self {
        ByCost { gate, cost_of }
    }

    /// The gate.
    pub fn gate(&self) -> &G {
        &self.gate
    }
}

impl<G, F> Sealed for ByCost<G, F> {}

impl<G, F, Req> Gate<Req> for ByCost<G, F>
where
    G: Gate<Req>,
    F: Fn(&Req) -> NonZeroU32,
{
    type Taken = G::Taken;

    fn peek(&self, request: &Req, now: Instant, _: NonZeroU32) -> Result<(), Rejected> {
        self.gate.peek(request, now, (self.cost_of)(request))
    }

    #[inline(always)]
    fn take(&self, request: &Req, now: Instant, _: NonZeroU32) -> Result<G::Taken, Rejected> {
        self.gate.take(request, now, (self.cost_of)(request))
    }

    fn give_back(&self, request: &Req, taken: G::Taken, now: Instant) {
        self.gate.give_back(request, taken, now);
    }

    fn left(&self, request: &Req, now: Instant) -> Allowance {
        self.gate.left(request, now)
    }

    fn turn_away(&self, reason: Reason) -> Rejected {
        self.gate.turn_away(reason)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.gate.rejected(reason)
    }

    #[inline(always)]
    fn clock(&self) -> &Clock {
        self.gate.clock()
    }
}

impl<G, F, Req> WaitingGate<Req> for ByCost<G, F>
where
    G: WaitingGate<Req>,
    F: Fn(&Req) -> NonZeroU32,
{
    fn reserve(
        &self,
        request: &Req,
        now: Instant,
        until: Option<Instant>,
        _: NonZeroU32,
    ) -> Result<(G::Taken, Instant), Rejected> {
        self.gate
            .reserve(request, now, until, (self.cost_of)(request))
    }

    fn cancel(&self, taken: G::Taken, now: Instant) {
        self.gate.cancel(taken, now);
    }
}

impl<G: fmt::Debug, F> fmt::Debug for ByCost<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByCost")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
