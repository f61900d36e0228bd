use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::Refusable;
use axiomatic_core::context::AdmissionLevel;
use http::Response;
use pin_project::pin_project;

use super::Respond;
use super::wording::Wording;
use crate::fields;

/// The response future of [`RejectionService`](super::RejectionService).
#[pin_project]
pub struct ResponseFuture<Fut, E, F, L = fn() -> AdmissionLevel> {
    #[pin]
    state: State<Fut, E>,
    otherwise: F,
    level: L,
    wording: Wording,
}

#[pin_project(project = StateProjection)]
enum State<Fut, E> {
    Called(#[pin] Fut),
    /// Readiness failed; `None` once it has been answered.
    Failed(Option<E>),
}

impl<Fut, E, F, L> ResponseFuture<Fut, E, F, L> {
    pub(super) fn called(inner: Fut, otherwise: F, level: L, wording: Wording) -> Self {
        ResponseFuture {
            state: State::Called(inner),
            otherwise,
            level,
            wording,
        }
    }

    pub(super) fn failed(error: E, otherwise: F, level: L, wording: Wording) -> Self {
        ResponseFuture {
            state: State::Failed(Some(error)),
            otherwise,
            level,
            wording,
        }
    }
}

impl<Fut, S, E, F, L, B> Future for ResponseFuture<Fut, E, F, L>
where
    Fut: Future<Output = Result<Response<B>, S>>,
    S: Into<E>,
    E: Refusable,
    F: Respond<E, B>,
    L: Fn() -> AdmissionLevel,
    B: From<&'static str>,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = match this.state.project() {
            StateProjection::Called(inner) => ready!(inner.poll(cx)).map_err(Into::into),
            StateProjection::Failed(error) => Err(error.take().expect("polled after completion")),
        };
        Poll::Ready(Ok(result.unwrap_or_else(|error| {
            let mut response = match error.rejected() {
                Some(rejected) => this.wording.respond(&rejected),
                None => this.otherwise.respond(error),
            };
            fields::announce_level(response.headers_mut(), (this.level)());
            response
        })))
    }
}

impl<Fut, E, F, L> fmt::Debug for ResponseFuture<Fut, E, F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
