use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use axiomatic_core::{Classify, Complete, Reason, Refusable, Rejected};
use tower_service::Service;

use super::{Admission, Ask, Limiter, OwnedPermit, ResponseFuture, Waiting};

/// A service that is ready once it has a slot for its next call.
///
/// It waits in the queue of the limit, among the others. If the limit's own
/// `max_wait` is over when it is next, or it has no place to wait in, it is
/// ready, and the call is refused. There is no timer: while no slot is given
/// back it waits on. A clone has no slot until it was asked for itself.
pub struct ReservingService<S, E, B, G: Limiter> {
    inner: S,
    reserved: Reserved<G>,
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

enum Reserved<G: Limiter> {
    Nothing,
    Place(Waiting<G::Meter>),
    Slot(OwnedPermit<G::Meter>),
    /// With a slot, and the inner service is ready.
    Ready(OwnedPermit<G::Meter>),
    Refusal(Rejected),
}

impl<S, E, B, G: Limiter> ReservingService<S, E, B, G> {
    pub(super) fn new(inner: S, gate: G, binding: B) -> Self {
        ReservingService {
            inner,
            reserved: Reserved::Nothing,
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

    /// Gives back the slot that it has, or its place in the queue: for one that
    /// will not be called after all.
    pub fn disarm(&mut self) {
        self.reserved = Reserved::Nothing;
    }
}

impl<S, E, B, G, Req> Service<Req> for ReservingService<S, E, B, G>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Classify<S::Response, E> + Complete<OwnedPermit<G::Meter>, S::Response> + Clone,
    G: Limiter,
{
    type Response = B::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E, B, G::Meter>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        loop {
            self.reserved = match std::mem::replace(&mut self.reserved, Reserved::Nothing) {
                Reserved::Nothing => match self.gate.handle().admit_or_wait(Ask::default()) {
                    Ok(Admission::Admitted(permit)) => Reserved::Slot(permit),
                    Ok(Admission::Waiting(waiting)) => Reserved::Place(waiting),
                    Err(rejected) => Reserved::Refusal(rejected),
                },
                Reserved::Place(mut waiting) => match Pin::new(&mut waiting).poll(cx) {
                    Poll::Ready(Ok(permit)) => Reserved::Slot(permit),
                    Poll::Ready(Err(rejected)) => Reserved::Refusal(rejected),
                    Poll::Pending => {
                        self.reserved = Reserved::Place(waiting);
                        return Poll::Pending;
                    }
                },
                Reserved::Slot(permit) | Reserved::Ready(permit) => {
                    // Asked anew each time: one that fails after it was ready
                    // says so, and then the slot is given back.
                    let readiness = self.inner.poll_ready(cx).map_err(Into::into)?;
                    self.reserved = match readiness {
                        Poll::Ready(()) => Reserved::Ready(permit),
                        Poll::Pending => Reserved::Slot(permit),
                    };
                    return readiness.map(Ok);
                }
                Reserved::Refusal(rejected) => {
                    self.reserved = Reserved::Refusal(rejected);
                    return Poll::Ready(Ok(()));
                }
            };
        }
    }

    fn call(&mut self, request: Req) -> Self::Future {
        match std::mem::replace(&mut self.reserved, Reserved::Nothing) {
            Reserved::Ready(permit) => {
                // That it was ready and idle is nothing that a call took.
                let permit = permit.restarted();
                ResponseFuture::called(self.inner.call(request), permit, self.binding.clone())
            }
            Reserved::Refusal(rejected) => ResponseFuture::refused(rejected),
            otherwise => {
                self.reserved = otherwise;
                let not_ready = self.gate.handle().core.rejected(Reason::NotReady);
                ResponseFuture::refused(not_ready)
            }
        }
    }
}

impl<S: Clone, E, B: Clone, G: Limiter + Clone> Clone for ReservingService<S, E, B, G> {
    fn clone(&self) -> Self {
        ReservingService::new(self.inner.clone(), self.gate.clone(), self.binding.clone())
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, G: Limiter + fmt::Debug> fmt::Debug
    for ReservingService<S, E, B, G>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReservingService")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
