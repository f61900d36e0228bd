use axiomatic_core::{Name, Rejected};
use std::time::Duration;

use super::ticket::Ticket;
use super::{CircuitBreaker, OwnedPermit};

/// What decides about a request: one breaker for all of them, or one for each
/// key. Implemented by [`CircuitBreaker`] and
/// [`ByKey`](super::ByKey); it is sealed.
pub trait Gate<Req>: Sealed {
    /// The refusal that any request would meet now.
    #[doc(hidden)]
    fn look(&self) -> Option<Refusal>;

    /// A refusal in words.
    #[doc(hidden)]
    fn rejected(&self, refusal: Refusal) -> Rejected;

    /// Whether a request's own slow threshold matters.
    #[doc(hidden)]
    fn measures_slowness(&self) -> bool;

    /// Asks for a request, with its own slow threshold if it has one.
    #[doc(hidden)]
    fn admit(&self, request: &Req, slow_after: Option<Duration>) -> Result<OwnedPermit, Rejected>;

    /// The name in refusals.
    #[doc(hidden)]
    fn name(&self) -> Name;
}

/// A refusal that was not yet told to anybody.
#[expect(unnameable_types, reason = "it passes between this module's own parts")]
#[derive(Copy, Clone, Debug)]
pub struct Refusal(pub(super) Ticket);

#[expect(unnameable_types, reason = "that nobody can name it is what seals")]
pub trait Sealed {}

impl Sealed for CircuitBreaker {}

impl<Req> Gate<Req> for CircuitBreaker {
    #[inline(always)]
    fn look(&self) -> Option<Refusal> {
        CircuitBreaker::look(self).map(Refusal)
    }

    #[inline]
    fn rejected(&self, refusal: Refusal) -> Rejected {
        CircuitBreaker::rejected(self, refusal.0)
    }

    #[inline(always)]
    fn measures_slowness(&self) -> bool {
        CircuitBreaker::measures_slowness(self)
    }

    #[inline(always)]
    fn admit(&self, _: &Req, slow_after: Option<Duration>) -> Result<OwnedPermit, Rejected> {
        self.admit_reading(|| self.now(), slow_after)
    }

    #[inline]
    fn name(&self) -> Name {
        CircuitBreaker::name(self)
    }
}
