//! Several limits as one decision: tuples of gates, which take all or nothing.
//!
//! A limit that is full is found by a look at each, before anything is taken.
//! Between the look and the taking another may be faster: then who refuses has
//! what the others took given back. Meanwhile those may refuse somebody who
//! would have had it: it can be stricter for a moment, and never looser.
//!
//! Who waits for several is called when it is due by all of them. Each keeps its
//! bound for when it is due by that one: one that is paced, beside one whose
//! window ends later, may see several called together then.

use std::num::NonZeroU32;

use axiomatic_core::allowance::Allowance;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Reason, Rejected};

use super::gate::{Gate, Sealed, WaitingGate};

impl<A, B> Sealed for (A, B) {}

impl<A: Gate<Req>, B: Gate<Req>, Req> Gate<Req> for (A, B) {
    type Taken = (A::Taken, B::Taken);

    fn peek(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<(), Rejected> {
        self.0.peek(request, now, cost)?;
        self.1.peek(request, now, cost)
    }

    fn take(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<Self::Taken, Rejected> {
        // The first finds out by itself, and takes nothing if it refuses.
        self.1.peek(request, now, cost)?;
        let first = self.0.take(request, now, cost)?;
        match self.1.take(request, now, cost) {
            Ok(second) => Ok((first, second)),
            Err(rejected) => {
                self.0.give_back(request, first, now);
                Err(rejected)
            }
        }
    }

    fn give_back(&self, request: &Req, (first, second): Self::Taken, now: Instant) {
        self.0.give_back(request, first, now);
        self.1.give_back(request, second, now);
    }

    /// Of the one that has less left.
    fn left(&self, request: &Req, now: Instant) -> Allowance {
        let (first, second) = (self.0.left(request, now), self.1.left(request, now));
        if second.remaining() < first.remaining() {
            second
        } else {
            first
        }
    }

    fn turn_away(&self, reason: Reason) -> Rejected {
        self.0.turn_away(reason)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.0.rejected(reason)
    }

    fn clock(&self) -> &Clock {
        self.0.clock()
    }
}

impl<A: WaitingGate<Req>, B: WaitingGate<Req>, Req> WaitingGate<Req> for (A, B) {
    fn reserve(
        &self,
        request: &Req,
        now: Instant,
        until: Option<Instant>,
        cost: NonZeroU32,
    ) -> Result<(Self::Taken, Instant), Rejected> {
        let (first, due) = self.0.reserve(request, now, until, cost)?;
        match self.1.reserve(request, now, until, cost) {
            Ok((second, due_too)) => Ok(((first, second), due.max(due_too))),
            Err(rejected) => {
                self.0.cancel(first, now);
                Err(rejected)
            }
        }
    }

    fn cancel(&self, (first, second): Self::Taken, now: Instant) {
        self.0.cancel(first, now);
        self.1.cancel(second, now);
    }
}

impl<A, B, C> Sealed for (A, B, C) {}

/// As the first with a pair of the others.
impl<A: Gate<Req>, B: Gate<Req>, C: Gate<Req>, Req> Gate<Req> for (A, B, C) {
    type Taken = (A::Taken, (B::Taken, C::Taken));

    fn peek(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<(), Rejected> {
        nested(self).peek(request, now, cost)
    }

    fn take(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<Self::Taken, Rejected> {
        nested(self).take(request, now, cost)
    }

    fn give_back(&self, request: &Req, taken: Self::Taken, now: Instant) {
        nested(self).give_back(request, taken, now);
    }

    fn left(&self, request: &Req, now: Instant) -> Allowance {
        nested(self).left(request, now)
    }

    fn turn_away(&self, reason: Reason) -> Rejected {
        self.0.turn_away(reason)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.0.rejected(reason)
    }

    fn clock(&self) -> &Clock {
        self.0.clock()
    }
}

impl<A, B, C, Req> WaitingGate<Req> for (A, B, C)
where
    A: WaitingGate<Req>,
    B: WaitingGate<Req>,
    C: WaitingGate<Req>,
{
    fn reserve(
        &self,
        request: &Req,
        now: Instant,
        until: Option<Instant>,
        cost: NonZeroU32,
    ) -> Result<(Self::Taken, Instant), Rejected> {
        nested(self).reserve(request, now, until, cost)
    }

    fn cancel(&self, taken: Self::Taken, now: Instant) {
        WaitingGate::<Req>::cancel(&nested(self), taken, now);
    }
}

type Nested<'g, A, B, C> = (&'g A, (&'g B, &'g C));

fn nested<A, B, C>((a, b, c): &(A, B, C)) -> Nested<'_, A, B, C> {
    (a, (b, c))
}

impl<G> Sealed for &G {}

impl<G: Gate<Req>, Req> Gate<Req> for &G {
    type Taken = G::Taken;

    fn peek(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<(), Rejected> {
        (**self).peek(request, now, cost)
    }

    fn take(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<G::Taken, Rejected> {
        (**self).take(request, now, cost)
    }

    fn give_back(&self, request: &Req, taken: G::Taken, now: Instant) {
        (**self).give_back(request, taken, now);
    }

    fn left(&self, request: &Req, now: Instant) -> Allowance {
        (**self).left(request, now)
    }

    fn turn_away(&self, reason: Reason) -> Rejected {
        (**self).turn_away(reason)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        (**self).rejected(reason)
    }

    fn clock(&self) -> &Clock {
        (**self).clock()
    }
}

impl<G: WaitingGate<Req>, Req> WaitingGate<Req> for &G {
    fn reserve(
        &self,
        request: &Req,
        now: Instant,
        until: Option<Instant>,
        cost: NonZeroU32,
    ) -> Result<(G::Taken, Instant), Rejected> {
        (**self).reserve(request, now, until, cost)
    }

    fn cancel(&self, taken: G::Taken, now: Instant) {
        (**self).cancel(taken, now);
    }
}
