use axiomatic_core::{Reason, Rejected};

use super::{Ask, Handle, Meter, OwnedPermit, Waiting};

/// What a layer asks about a request: a bulkhead or an adaptive limit, one for
/// each key, one of the partitions, or either with a weight. It is sealed.
pub trait Gate<Req>: Sealed {
    /// What is measured of its calls.
    #[doc(hidden)]
    type Meter: Meter;

    /// Whether any request would be refused now that does not wait.
    #[doc(hidden)]
    fn is_full(&self) -> bool;

    /// Asks for a slot that is free.
    #[doc(hidden)]
    fn admit(&self, request: &Req, ask: Ask) -> Result<OwnedPermit<Self::Meter>, Rejected>;

    /// Asks for a slot, or for a place in the queue.
    #[doc(hidden)]
    fn admit_or_wait(&self, request: &Req, ask: Ask) -> Result<Admission<Self::Meter>, Rejected>;

    /// Refuses a request that met a full gate.
    #[doc(hidden)]
    fn refuse(&self) -> Rejected;

    /// A refusal in words that is counted as nothing.
    #[doc(hidden)]
    fn rejected(&self, reason: Reason) -> Rejected;
}

/// A bulkhead, or an adaptive limit. It is sealed.
pub trait Limiter: Sealed {
    /// What is measured of its calls.
    #[doc(hidden)]
    type Meter: Meter;

    #[doc(hidden)]
    fn handle(&self) -> &Handle<Self::Meter>;
}

impl<L: Limiter, Req> Gate<Req> for L {
    type Meter = L::Meter;

    #[inline(always)]
    fn is_full(&self) -> bool {
        let handle = self.handle();
        handle.core.is_full(handle.line)
    }

    #[inline(always)]
    fn admit(&self, _: &Req, ask: Ask) -> Result<OwnedPermit<L::Meter>, Rejected> {
        self.handle().admit(ask)
    }

    #[inline(always)]
    fn admit_or_wait(&self, _: &Req, ask: Ask) -> Result<Admission<L::Meter>, Rejected> {
        self.handle().admit_or_wait(ask)
    }

    fn refuse(&self) -> Rejected {
        self.handle().core.turn_away(Reason::Full)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.handle().core.rejected(reason)
    }
}

/// A slot, or a place in the queue.
#[derive(Debug)]
pub enum Admission<M: Meter> {
    /// There was one.
    Admitted(OwnedPermit<M>),
    /// There was none, and it is waited for.
    Waiting(Waiting<M>),
}

#[expect(unnameable_types, reason = "that nobody can name it is what seals")]
pub trait Sealed {}
