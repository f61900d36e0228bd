use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Classify, Complete, Reason, Refusable};
use tower_service::Service;

use super::{Ask, Gate, OwnedPermit, ResponseFuture};

/// A service behind a limit, which refuses what finds no slot.
///
/// A slot is taken in `call`, and never by being ready: a clone that is ready
/// and idle keeps nobody out. Ready means: a call now would be refused at once,
/// or the inner service is ready for it. A refused call leaves the inner
/// service as ready as it was.
pub struct LimitService<S, E, B, G> {
    inner: S,
    readiness: Readiness,
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

/// What the last `poll_ready` found.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Readiness {
    Unasked,
    Inner,
    /// Every slot was taken, and the inner service was not asked.
    Full,
}

impl<S, E, B, G> LimitService<S, E, B, G> {
    pub(super) fn new(inner: S, gate: G, binding: B) -> Self {
        LimitService {
            inner,
            readiness: Readiness::Unasked,
            gate,
            binding,
            error: PhantomData,
        }
    }

    /// What has the slots.
    pub fn gate(&self) -> &G {
        &self.gate
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, G, Req> Service<Req> for LimitService<S, E, B, G>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Classify<S::Response, E> + Complete<OwnedPermit<G::Meter>, S::Response> + Clone,
    G: Gate<Req>,
{
    type Response = B::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E, B, G::Meter>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.readiness = Readiness::Unasked;
        self.readiness = if self.gate.is_full() {
            Readiness::Full
        } else {
            ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
            Readiness::Inner
        };
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        match self.readiness {
            Readiness::Inner => {}
            // That there may be a slot by now does not make the inner service
            // ready.
            Readiness::Full => {
                self.readiness = Readiness::Unasked;
                return ResponseFuture::refused(self.gate.refuse());
            }
            Readiness::Unasked => {
                return ResponseFuture::refused(self.gate.rejected(Reason::NotReady));
            }
        }
        match self.gate.admit(&request, Ask::default()) {
            Ok(permit) => {
                self.readiness = Readiness::Unasked;
                // A panic in here drops the permit.
                ResponseFuture::called(self.inner.call(request), permit, self.binding.clone())
            }
            Err(rejected) => ResponseFuture::refused(rejected),
        }
    }
}

impl<S: Clone, E, B: Clone, G: Clone> Clone for LimitService<S, E, B, G> {
    fn clone(&self) -> Self {
        // Readiness belongs to the instance that was asked.
        LimitService::new(self.inner.clone(), self.gate.clone(), self.binding.clone())
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, G: fmt::Debug> fmt::Debug for LimitService<S, E, B, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitService")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
