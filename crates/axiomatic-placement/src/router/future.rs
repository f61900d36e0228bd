use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;
use tower_service::Service;

use super::error::NoNodes;

/// The response of a [`Router`](super::Router): readies its own clone of the
/// node's service, calls it, and waits for the answer.
#[pin_project]
pub struct ResponseFuture<S: Service<Req>, Req, E> {
    #[pin]
    state: State<S, S::Future, Req>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<S, F, Req> {
    /// The request is there until it is sent.
    Readying(S, Option<Req>),
    Calling(#[pin] F),
    /// There was no node any more.
    NoNodes,
}

impl<S: Service<Req>, Req, E> ResponseFuture<S, Req, E> {
    pub(super) fn readying(service: S, request: Req) -> Self {
        ResponseFuture {
            state: State::Readying(service, Some(request)),
            error: PhantomData,
        }
    }

    pub(super) fn failed() -> Self {
        ResponseFuture {
            state: State::NoNodes,
            error: PhantomData,
        }
    }
}

impl<S, Req, E> Future for ResponseFuture<S, Req, E>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: From<NoNodes>,
{
    type Output = Result<S::Response, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            match this.state.as_mut().project() {
                StateProjection::Readying(service, request) => {
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    let request = request.take().expect("polled after it was ready");
                    let call = service.call(request);
                    this.state.set(State::Calling(call));
                }
                StateProjection::Calling(call) => return call.poll(cx).map_err(Into::into),
                StateProjection::NoNodes => return Poll::Ready(Err(NoNodes.into())),
            }
        }
    }
}

impl<S: Service<Req>, Req, E> fmt::Debug for ResponseFuture<S, Req, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
