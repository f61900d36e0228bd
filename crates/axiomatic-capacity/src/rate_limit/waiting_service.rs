use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Carrier, Refusable, Rejected};
use pin_project::pin_project;
use tower_service::Service;

use super::WaitingGate;
use super::waiting::Waiting;

/// A service behind a limit of its rate, whose calls wait until they are due.
///
/// It is always ready: what waits is the call, in the order in which calls were
/// made and with the deadline of its request, and not the instance. So nothing
/// that was readied waits, and a call readies a clone of its own once it is
/// due. Who cannot be due in time is refused at once.
pub struct WaitingRateLimitService<S, E, B, G> {
    inner: S,
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B, G> WaitingRateLimitService<S, E, B, G> {
    pub(super) fn new(inner: S, gate: G, binding: B) -> Self {
        WaitingRateLimitService {
            inner,
            gate,
            binding,
            error: PhantomData,
        }
    }

    /// What has the limit.
    pub fn gate(&self) -> &G {
        &self.gate
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, G, Req> Service<Req> for WaitingRateLimitService<S, E, B, G>
where
    S: Service<Req> + Clone,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req>,
    G: WaitingGate<Req> + Clone,
{
    type Response = S::Response;
    type Error = E;
    type Future = WaitingResponseFuture<S, Req, E, G>;

    #[inline(always)]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let deadline = self.binding.deadline(&request);
        let until = deadline.map(|deadline| deadline.instant());
        let waiting = Waiting::begin(&self.gate, &request, until, NonZeroU32::MIN);
        WaitingResponseFuture {
            state: match waiting {
                Ok(waiting) => State::Waiting(waiting),
                Err(rejected) => State::Refused(rejected),
            },
            held: Some((self.inner.clone(), request)),
            error: PhantomData,
        }
    }
}

/// The response of a [`WaitingRateLimitService`]: a wait until it is due, then
/// for an instance that is ready, then the inner call.
#[pin_project]
pub struct WaitingResponseFuture<S: Service<Req>, Req, E, G: WaitingGate<Req>> {
    /// What the inner call is made of, until it is.
    held: Option<(S, Req)>,
    #[pin]
    state: State<S::Future, Req, G>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<F, Req, G: WaitingGate<Req>> {
    Refused(Rejected),
    /// Until it is due, and then until the instance is ready.
    Waiting(#[pin] Waiting<G, Req>),
    Called(#[pin] F),
    Done,
}

impl<S, Req, E, G> Future for WaitingResponseFuture<S, Req, E, G>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    G: WaitingGate<Req>,
{
    type Output = Result<S::Response, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Called(inner) => {
                    return inner.poll(cx).map(|answered| answered.map_err(Into::into));
                }
                StateProjection::Waiting(mut waiting) => {
                    ready!(waiting.as_mut().poll(cx));
                    let Some((service, _)) = this.held else {
                        unreachable!("it is taken for the call");
                    };
                    if let Err(error) = ready!(service.poll_ready(cx)) {
                        *this.held = None;
                        // Dropped, it gives back what was not used.
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error.into()));
                    }
                    let Some((mut service, request)) = this.held.take() else {
                        unreachable!("it was looked at");
                    };
                    waiting.used();
                    let inner = service.call(request);
                    this.state.set(State::Called(inner));
                }
                StateProjection::Refused(rejected) => {
                    let error = (*rejected).into();
                    *this.held = None;
                    this.state.set(State::Done);
                    return Poll::Ready(Err(error));
                }
                StateProjection::Done => panic!("polled after it was ready"),
            }
        }
    }
}

impl<S: Clone, E, B: Clone, G: Clone> Clone for WaitingRateLimitService<S, E, B, G> {
    fn clone(&self) -> Self {
        WaitingRateLimitService::new(self.inner.clone(), self.gate.clone(), self.binding.clone())
    }
}

impl<S, E, B, G> fmt::Debug for WaitingRateLimitService<S, E, B, G>
where
    S: fmt::Debug,
    B: fmt::Debug,
    G: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingRateLimitService")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

impl<S: Service<Req>, Req, E, G: WaitingGate<Req>> fmt::Debug
    for WaitingResponseFuture<S, Req, E, G>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(_) => "refused",
            State::Waiting(_) => "waiting",
            State::Called(_) => "called",
            State::Done => "done",
        };
        f.debug_struct("WaitingResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
