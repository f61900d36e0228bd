use std::fmt;
use std::num::NonZeroU32;

use axiomatic_core::{Reason, Rejected};

use super::gate::Sealed;
use super::{Admission, Ask, Gate, Limiter, OwnedPermit};
use crate::slots::COMMON;

/// A gate whose requests weigh what a function says.
#[derive(Copy, Clone)]
pub struct ByWeight<G, F> {
    gate: G,
    weight_of: F,
}

impl<G, F> ByWeight<G, F> {
    pub(crate) fn new(gate: G, weight_of: F) -> Self {
        ByWeight { gate, weight_of }
    }

    /// The gate.
    pub fn gate(&self) -> &G {
        &self.gate
    }
}

impl<G, F> Sealed for ByWeight<G, F> {}

impl<G, F, Req> Gate<Req> for ByWeight<G, F>
where
    G: Gate<Req>,
    F: Fn(&Req) -> NonZeroU32,
{
    type Meter = G::Meter;

    /// For the lightest request. One that weighs more is refused in its call.
    fn is_full(&self) -> bool {
        self.gate.is_full()
    }

    fn admit(&self, request: &Req, ask: Ask) -> Result<OwnedPermit<G::Meter>, Rejected> {
        self.gate
            .admit(request, ask.weighing((self.weight_of)(request)))
    }

    fn admit_or_wait(&self, request: &Req, ask: Ask) -> Result<Admission<G::Meter>, Rejected> {
        self.gate
            .admit_or_wait(request, ask.weighing((self.weight_of)(request)))
    }

    fn refuse(&self) -> Rejected {
        self.gate.refuse()
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.gate.rejected(reason)
    }
}

impl<G: fmt::Debug, F> fmt::Debug for ByWeight<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByWeight")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

/// One of the partitions of a bulkhead or of an adaptive limit. It belongs to
/// the one that named it: another takes it for the partition of the same
/// place, or for none.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition(pub(crate) u16);

/// A gate of which each request enters the partition that a function says, or
/// none.
#[derive(Copy, Clone)]
pub struct ByPartition<G, F> {
    gate: G,
    partition_of: F,
}

impl<G, F> ByPartition<G, F> {
    pub(crate) fn new(gate: G, partition_of: F) -> Self {
        ByPartition { gate, partition_of }
    }

    /// The gate.
    pub fn gate(&self) -> &G {
        &self.gate
    }
}

impl<G, F> Sealed for ByPartition<G, F> {}

impl<L, F, Req> Gate<Req> for ByPartition<L, F>
where
    L: Limiter,
    F: Fn(&Req) -> Option<Partition>,
{
    type Meter = L::Meter;

    /// Readiness knows no request, and so no partition.
    fn is_full(&self) -> bool {
        false
    }

    fn admit(&self, request: &Req, ask: Ask) -> Result<OwnedPermit<L::Meter>, Rejected> {
        let line = line((self.partition_of)(request));
        self.gate.handle().admit_in(line, ask)
    }

    fn admit_or_wait(&self, request: &Req, ask: Ask) -> Result<Admission<L::Meter>, Rejected> {
        let line = line((self.partition_of)(request));
        self.gate.handle().admit_or_wait_in(line, ask)
    }

    fn refuse(&self) -> Rejected {
        self.gate.handle().core.turn_away(Reason::Full)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.gate.handle().core.rejected(reason)
    }
}

fn line(partition: Option<Partition>) -> u16 {
    partition.map_or(COMMON, |partition| partition.0)
}

impl<G: fmt::Debug, F> fmt::Debug for ByPartition<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByPartition")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
