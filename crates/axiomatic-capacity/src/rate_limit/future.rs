use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::allowance::Allowance;
use axiomatic_core::{Announce, Refusable, Rejected};
use pin_project::pin_project;

/// The response of a service behind a limit of its rate: a refusal, or the
/// inner call.
#[pin_project]
pub struct ResponseFuture<F, E, B> {
    #[pin]
    state: State<F>,
    /// What the answer is to say of what is left, and how.
    announced: Option<(B, Allowance)>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<F> {
    Refused(Rejected),
    Called(#[pin] F),
}

impl<F, E, B> ResponseFuture<F, E, B> {
    #[inline(always)]
    pub(super) fn refused(rejected: Rejected) -> Self {
        ResponseFuture {
            state: State::Refused(rejected),
            announced: None,
            error: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn called(inner: F, announced: Option<(B, Allowance)>) -> Self {
        ResponseFuture {
            state: State::Called(inner),
            announced,
            error: PhantomData,
        }
    }
}

impl<F, E, B, T, X> Future for ResponseFuture<F, E, B>
where
    F: Future<Output = Result<T, X>>,
    X: Into<E>,
    E: Refusable,
    B: Announce<T>,
{
    type Output = Result<T, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProjection::Called(inner) => {
                let mut answered = ready!(inner.poll(cx));
                if let (Ok(response), Some((binding, left))) = (&mut answered, this.announced) {
                    binding.announce(response, || *left);
                }
                Poll::Ready(answered.map_err(Into::into))
            }
            StateProjection::Refused(rejected) => Poll::Ready(Err((*rejected).into())),
        }
    }
}

impl<F, E, B> fmt::Debug for ResponseFuture<F, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(_) => "refused",
            State::Called(_) => "called",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
