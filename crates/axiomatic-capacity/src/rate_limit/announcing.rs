use std::num::NonZeroU32;

use axiomatic_core::allowance::Allowance;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Reason, Rejected};

use super::gate::{Gate, Sealed};

/// A gate whose answers say what is left to who asked.
///
/// It is asked for apart from the binding that writes it: in front of a
/// client, a limit of one's own is not to stand in a server's answer.
#[derive(Copy, Clone, Debug)]
pub struct Announcing<G> {
    gate: G,
}

impl<G> Announcing<G> {
    pub(super) fn new(gate: G) -> Self {
        Announcing { gate }
    }

    /// The gate.
    pub fn gate(&self) -> &G {
        &self.gate
    }
}

impl<G> Sealed for Announcing<G> {}

impl<G: Gate<Req>, Req> Gate<Req> for Announcing<G> {
    type Taken = G::Taken;

    fn peek(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<(), Rejected> {
        self.gate.peek(request, now, cost)
    }

    #[inline(always)]
    fn take(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<G::Taken, Rejected> {
        self.gate.take(request, now, cost)
    }

    fn give_back(&self, request: &Req, taken: G::Taken, now: Instant) {
        self.gate.give_back(request, taken, now);
    }

    fn left(&self, request: &Req, now: Instant) -> Allowance {
        self.gate.left(request, now)
    }

    fn announced(&self, request: &Req, now: Instant) -> Option<Allowance> {
        Some(self.gate.left(request, now))
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
