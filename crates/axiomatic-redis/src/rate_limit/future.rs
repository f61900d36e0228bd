use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Announce, Name, Refusable, Rejected};
use pin_project::pin_project;
use tower_service::Service;

use super::Decision;

/// A wait for Redis. It is boxed, since a client's own future has no name: next to
/// a round trip of 30 µs and more, the box and the copy of the key take 0.2 µs.
/// What a lease pays or refuses makes none.
pub(super) type Asking = Pin<Box<dyn Future<Output = Result<Decision, Rejected>> + Send>>;

/// The response of a [`RedisRateLimitService`](super::RedisRateLimitService): a
/// wait for Redis, if it has to be asked, then for an instance that is ready,
/// then the inner call.
#[pin_project]
pub struct ResponseFuture<S: Service<Req>, Req, E, B> {
    /// What the inner call is made of, until it is.
    held: Option<Held<S, Req>>,
    /// Who writes what is left, and by which name, if anybody does.
    announcing: Option<(Name, B)>,
    /// What is left, once that is known.
    decision: Option<Decision>,
    #[pin]
    state: State<S::Future>,
    error: PhantomData<fn() -> E>,
}

/// What the inner call is made of.
pub(super) struct Held<S, Req> {
    pub(super) service: S,
    pub(super) request: Req,
}

#[pin_project(project = StateProjection)]
enum State<F> {
    Refused(Rejected),
    Asking(Asking),
    /// Until the instance is ready.
    Readying,
    Called(#[pin] F),
    Done,
}

impl<S: Service<Req>, Req, E, B> ResponseFuture<S, Req, E, B> {
    pub(super) fn admitted(
        held: Held<S, Req>,
        decision: Decision,
        announcing: Option<(Name, B)>,
    ) -> Self {
        ResponseFuture {
            held: Some(held),
            announcing,
            decision: Some(decision),
            state: State::Readying,
            error: PhantomData,
        }
    }

    pub(super) fn asking(
        held: Held<S, Req>,
        asking: Asking,
        announcing: Option<(Name, B)>,
    ) -> Self {
        ResponseFuture {
            held: Some(held),
            announcing,
            decision: None,
            state: State::Asking(asking),
            error: PhantomData,
        }
    }

    pub(super) fn refused(rejected: Rejected) -> Self {
        ResponseFuture {
            held: None,
            announcing: None,
            decision: None,
            state: State::Refused(rejected),
            error: PhantomData,
        }
    }
}

impl<S, Req, E, B> Future for ResponseFuture<S, Req, E, B>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Announce<S::Response>,
{
    type Output = Result<S::Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Called(call) => {
                    let mut result = ready!(call.poll(cx)).map_err(Into::into);
                    this.state.set(State::Done);
                    if let (Some((name, binding)), Ok(response)) = (&this.announcing, &mut result) {
                        let left = this.decision.and_then(|decision| decision.allowance(*name));
                        if let Some(allowance) = left {
                            binding.announce(response, || allowance);
                        }
                    }
                    return Poll::Ready(result);
                }
                StateProjection::Asking(asking) => match ready!(asking.as_mut().poll(cx)) {
                    Ok(decision) => {
                        *this.decision = Some(decision);
                        State::Readying
                    }
                    Err(rejected) => State::Refused(rejected),
                },
                StateProjection::Readying => {
                    let Some(held) = this.held else {
                        unreachable!("it is there until the call is made");
                    };
                    if let Err(error) = ready!(held.service.poll_ready(cx)) {
                        *this.held = None;
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error.into()));
                    }
                    let Some(mut held) = this.held.take() else {
                        unreachable!("it was there");
                    };
                    State::Called(held.service.call(held.request))
                }
                StateProjection::Refused(rejected) => {
                    let error = (*rejected).into();
                    *this.held = None;
                    this.state.set(State::Done);
                    return Poll::Ready(Err(error));
                }
                StateProjection::Done => panic!("polled after it was ready"),
            };
            this.state.set(next);
        }
    }
}

impl<S: Service<Req>, Req, E, B> fmt::Debug for ResponseFuture<S, Req, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(_) => "refused",
            State::Asking(_) => "asking",
            State::Readying => "readying",
            State::Called(_) => "called",
            State::Done => "done",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
