use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::Refusable;
use http::Response;
use pin_project::pin_project;

use super::Respond;
use super::wording::Wording;

/// The response future of [`RejectionService`](super::RejectionService).
#[pin_project]
pub struct ResponseFuture<Fut, E, F> {
    #[pin]
    state: State<Fut, E>,
    otherwise: F,
    wording: Wording,
}

#[pin_project(project = StateProjection)]
enum State<Fut, E> {
    Called(#[pin] Fut),
    /// Readiness failed; `None` once it has been answered.
    Failed(Option<E>),
}

impl<Fut, E, F> ResponseFuture<Fut, E, F> {
    pub(super) fn called(inner: Fut, otherwise: F, wording: Wording) -> Self {
        ResponseFuture {
            state: State::Called(inner),
            otherwise,
            wording,
        }
    }

    pub(super) fn failed(error: E, otherwise: F, wording: Wording) -> Self {
        ResponseFuture {
            state: State::Failed(Some(error)),
            otherwise,
            wording,
        }
    }
}

impl<Fut, S, E, F, B> Future for ResponseFuture<Fut, E, F>
where
    Fut: Future<Output = Result<Response<B>, S>>,
    S: Into<E>,
    E: Refusable,
    F: Respond<E, B>,
    B: From<&'static str>,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = match this.state.project() {
            StateProjection::Called(inner) => ready!(inner.poll(cx)).map_err(Into::into),
            StateProjection::Failed(error) => Err(error.take().expect("polled after completion")),
        };
        Poll::Ready(Ok(result.unwrap_or_else(|error| match error.rejected() {
            Some(rejected) => this.wording.respond(&rejected),
            None => this.otherwise.respond(error),
        })))
    }
}

impl<Fut, E, F> fmt::Debug for ResponseFuture<Fut, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
