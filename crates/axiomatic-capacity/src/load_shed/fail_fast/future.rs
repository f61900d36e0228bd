use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use axiomatic_core::{Name, Reason, Refusable};
use pin_project::pin_project;

use super::FailFast;

/// The response of a service that fails fast: a refusal, or the inner call.
#[pin_project]
pub struct ResponseFuture<F, E> {
    #[pin]
    state: State<F>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<F> {
    /// In parts: a rejection that was just put together would be copied in
    /// other pieces than it was written in, and a processor waits for that.
    Refused(Name, Reason),
    Called(#[pin] F),
}

impl<F, E> ResponseFuture<F, E> {
    #[inline]
    pub(super) fn refused(by: Name, reason: Reason) -> Self {
        ResponseFuture {
            state: State::Refused(by, reason),
            error: PhantomData,
        }
    }

    #[inline]
    pub(super) fn called(inner: F) -> Self {
        ResponseFuture {
            state: State::Called(inner),
            error: PhantomData,
        }
    }
}

impl<F, E, T, X> Future for ResponseFuture<F, E>
where
    F: Future<Output = Result<T, X>>,
    X: Into<E>,
    E: Refusable,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Called(inner) => inner.poll(cx).map_err(Into::into),
            StateProjection::Refused(by, reason) => {
                Poll::Ready(Err(FailFast::rejected(*by, *reason).into()))
            }
        }
    }
}

impl<F, E> fmt::Debug for ResponseFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(..) => "refused",
            State::Called(_) => "called",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
