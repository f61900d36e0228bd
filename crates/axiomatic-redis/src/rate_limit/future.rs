use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Refusable, Rejected};
use pin_project::pin_project;
use tower_service::Service;

/// A wait for Redis.
type Asking = Pin<Box<dyn Future<Output = Result<(), Rejected>> + Send>>;

/// The response of a [`RateLimitService`](super::RateLimitService): a wait for
/// Redis, if it has to be asked, then for an instance that is ready, then the
/// inner call.
#[pin_project]
pub struct ResponseFuture<S: Service<Req>, Req, E> {
    /// Dropped before the inner call is over.
    held: Option<(S, Req)>,
    #[pin]
    state: State<S::Future>,
    error: PhantomData<fn() -> E>,
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

impl<S: Service<Req>, Req, E> ResponseFuture<S, Req, E> {
    pub(super) fn admitted(service: S, request: Req) -> Self {
        Self::new(Some((service, request)), State::Readying)
    }

    pub(super) fn refused(rejected: Rejected) -> Self {
        Self::new(None, State::Refused(rejected))
    }

    pub(super) fn asking(asking: Asking, service: S, request: Req) -> Self {
        Self::new(Some((service, request)), State::Asking(asking))
    }

    fn new(held: Option<(S, Req)>, state: State<S::Future>) -> Self {
        ResponseFuture {
            held,
            state,
            error: PhantomData,
        }
    }
}

impl<S, Req, E> Future for ResponseFuture<S, Req, E>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
{
    type Output = Result<S::Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Called(call) => {
                    let result = ready!(call.poll(cx));
                    this.state.set(State::Done);
                    return Poll::Ready(result.map_err(Into::into));
                }
                StateProjection::Asking(asking) => match ready!(asking.as_mut().poll(cx)) {
                    Ok(()) => State::Readying,
                    Err(rejected) => State::Refused(rejected),
                },
                StateProjection::Readying => {
                    let Some((service, _)) = this.held else {
                        unreachable!("it is there until the call is made");
                    };
                    if let Err(error) = ready!(service.poll_ready(cx)) {
                        *this.held = None;
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error.into()));
                    }
                    let Some((mut service, request)) = this.held.take() else {
                        unreachable!("it was there");
                    };
                    State::Called(service.call(request))
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

impl<S: Service<Req>, Req, E> fmt::Debug for ResponseFuture<S, Req, E> {
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
