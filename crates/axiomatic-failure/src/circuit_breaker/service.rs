use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Carrier, Classify, Complete, Pattern, Reason, Refusable, Rejected};
use tower_service::Service;

use super::gate::{Gate, Refusal};
use super::{CircuitBreaker, OwnedPermit, ResponseFuture};

/// A service behind a [`CircuitBreaker`], or behind one for each key.
///
/// Ready means: a call now would be refused at once, or the inner service is
/// ready for it. So an open breaker does not wait for a dependency that hangs
/// while it becomes ready, and a call after an unpolled readiness is refused
/// rather than passed to a service that is not ready. The wait that such a
/// refusal names is the one at the time of `poll_ready`: a call that follows
/// at once, as it should, reads no second clock.
///
/// A refused call leaves the inner service as ready as it was. It is asked
/// anew each time: one that fails after it was ready says so.
pub struct CircuitBreakerService<S, E, B, G = CircuitBreaker> {
    inner: S,
    readiness: Readiness,
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

/// What the last `poll_ready` found.
#[derive(Copy, Clone)]
enum Readiness {
    Unknown,
    Inner,
    /// A call would be refused, and the inner service was not asked. The
    /// refusal is kept, so that a call reads the clock once.
    Refusal(Refusal),
}

impl<S, E, B, G> CircuitBreakerService<S, E, B, G> {
    pub(super) fn new(inner: S, gate: G, binding: B) -> Self {
        CircuitBreakerService {
            inner,
            readiness: Readiness::Unknown,
            gate,
            binding,
            error: PhantomData,
        }
    }

    /// The breaker in front, or what chooses one by key.
    pub fn gate(&self) -> &G {
        &self.gate
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, G, Req> Service<Req> for CircuitBreakerService<S, E, B, G>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E> + Complete<OwnedPermit, S::Response> + Clone,
    G: Gate<Req>,
{
    type Response = B::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.readiness = Readiness::Unknown;
        self.readiness = match self.gate.look() {
            Some(refusal) => Readiness::Refusal(refusal),
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
            Readiness::Refusal(refusal) => {
                self.readiness = Readiness::Unknown;
                return ResponseFuture::refused(self.gate.rejected(refusal));
            }
            Readiness::Unknown => {
                let not_ready = Rejected::new(Pattern::CircuitBreaker, Reason::NotReady);
                return ResponseFuture::refused(not_ready.with_name(self.gate.name()));
            }
        }
        // Reading a context may take a look into the request's extensions.
        let slow_after = if self.gate.measures_slowness() {
            self.binding.context(&request).slow_after()
        } else {
            None
        };
        match self.gate.admit(&request, slow_after) {
            Ok(permit) => {
                self.readiness = Readiness::Unknown;
                let inner = &mut self.inner;
                ResponseFuture::calling(permit, || inner.call(request), self.binding.clone())
            }
            Err(rejected) => ResponseFuture::refused(rejected),
        }
    }
}

impl<S: Clone, E, B: Clone, G: Clone> Clone for CircuitBreakerService<S, E, B, G> {
    fn clone(&self) -> Self {
        // Readiness belongs to the instance that was asked.
        CircuitBreakerService::new(self.inner.clone(), self.gate.clone(), self.binding.clone())
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, G: fmt::Debug> fmt::Debug
    for CircuitBreakerService<S, E, B, G>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerService")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
