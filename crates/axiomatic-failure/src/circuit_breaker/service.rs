use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Carrier, Classify, Complete, Pattern, Reason, Refusable, Rejected, Settle};
use tower_service::Service;

use super::ticket::Ticket;
use super::{CircuitBreaker, OwnedPermit, ResponseFuture};

/// A service behind a [`CircuitBreaker`].
///
/// Ready means: a call now would be refused at once, or the inner service is
/// ready for it. So an open breaker does not wait for a dependency that hangs
/// while it becomes ready, and a call after an unpolled readiness is refused
/// rather than passed to a service that is not ready. The wait that such a
/// refusal names is the one at the time of `poll_ready`: a call that follows
/// at once, as it should, reads no second clock.
pub struct CircuitBreakerService<S, E, B> {
    inner: S,
    readiness: Readiness,
    breaker: CircuitBreaker,
    binding: B,
    error: PhantomData<fn() -> E>,
}

/// What the last `poll_ready` found.
#[derive(Copy, Clone)]
enum Readiness {
    Unknown,
    /// The inner service is ready, and stays so until it is called: a
    /// refused call leaves it.
    Inner,
    /// A call would be refused, and the inner service was not asked. The
    /// refusal is kept, so that a call reads the clock once.
    Refusal(Ticket),
}

impl<S, E, B> CircuitBreakerService<S, E, B> {
    pub(super) fn new(inner: S, breaker: CircuitBreaker, binding: B) -> Self {
        CircuitBreakerService {
            inner,
            readiness: Readiness::Unknown,
            breaker,
            binding,
            error: PhantomData,
        }
    }

    /// The breaker in front.
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, Req> Service<Req> for CircuitBreakerService<S, E, B>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E> + Complete<OwnedPermit, S::Response> + Clone,
{
    type Response = B::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        if let Readiness::Inner = self.readiness {
            return Poll::Ready(Ok(()));
        }
        self.readiness = Readiness::Unknown;
        self.readiness = match self.breaker.look() {
            Some(refused) => Readiness::Refusal(refused),
            None => {
                ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
                Readiness::Inner
            }
        };
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        // That the breaker may admit by now does not make the inner service
        // ready.
        match self.readiness {
            Readiness::Inner => {}
            Readiness::Refusal(refused) => {
                self.readiness = Readiness::Unknown;
                return ResponseFuture::refused(self.breaker.rejected(refused));
            }
            Readiness::Unknown => {
                let not_ready = Rejected::new(Pattern::CircuitBreaker, Reason::NotReady);
                return ResponseFuture::refused(not_ready.with_name(self.breaker.name()));
            }
        }
        // Reading a context may take a look into the request's extensions.
        let slow_after = if self.breaker.measures_slowness() {
            self.binding.context(&request).slow_after()
        } else {
            None
        };
        let now = || self.breaker.now();
        match self.breaker.admit_reading(now, slow_after) {
            Ok(permit) => {
                self.readiness = Readiness::Unknown;
                let permit = PanicIsFailure::guard(permit);
                let inner = self.inner.call(request);
                ResponseFuture::called(inner, permit.release(), self.binding.clone())
            }
            Err(rejected) => ResponseFuture::refused(rejected),
        }
    }
}

/// Holds the permit while the inner service makes its future: a panic there
/// is the call's own, as one in the future is.
struct PanicIsFailure(Option<OwnedPermit>);

impl PanicIsFailure {
    #[inline]
    fn guard(permit: OwnedPermit) -> Self {
        PanicIsFailure(Some(permit))
    }

    #[inline]
    fn release(mut self) -> Option<OwnedPermit> {
        self.0.take()
    }
}

impl Drop for PanicIsFailure {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            Settle::panicked(permit);
        }
    }
}

impl<S: Clone, E, B: Clone> Clone for CircuitBreakerService<S, E, B> {
    fn clone(&self) -> Self {
        CircuitBreakerService {
            inner: self.inner.clone(),
            // Readiness belongs to the instance that was asked.
            readiness: Readiness::Unknown,
            breaker: self.breaker.clone(),
            binding: self.binding.clone(),
            error: PhantomData,
        }
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug> fmt::Debug for CircuitBreakerService<S, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerService")
            .field("inner", &self.inner)
            .field("breaker", &self.breaker)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
