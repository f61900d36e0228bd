use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Classify, Complete, Refusable, Rejected, Settle};
use pin_project::{pin_project, pinned_drop};

use super::OwnedPermit;

/// The response of a [`ThrottleService`](super::ThrottleService):
/// a refusal, or the inner call with its permit.
#[pin_project]
pub struct ResponseFuture<F, E, B> {
    #[pin]
    state: State<F, B>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<F, B> {
    Refused(Rejected),
    Called(#[pin] Call<F, B>),
}

/// A call under way.
#[pin_project(PinnedDrop)]
struct Call<F, B> {
    #[pin]
    inner: F,
    permit: Option<OwnedPermit>,
    binding: B,
    /// Whether the inner future is being polled. If it still is when we are
    /// dropped, now or after someone caught the panic, the call panicked.
    is_polling: bool,
}

impl<F, E, B> ResponseFuture<F, E, B> {
    #[inline]
    pub(super) fn refused(rejected: Rejected) -> Self {
        ResponseFuture {
            state: State::Refused(rejected),
            error: PhantomData,
        }
    }

    #[inline]
    pub(super) fn called(inner: F, permit: Option<OwnedPermit>, binding: B) -> Self {
        ResponseFuture {
            state: State::Called(Call {
                inner,
                permit,
                binding,
                is_polling: false,
            }),
            error: PhantomData,
        }
    }
}

impl<F, E, B, Res, Err> Future for ResponseFuture<F, E, B>
where
    F: Future<Output = Result<Res, Err>>,
    Err: Into<E>,
    E: Refusable,
    B: Classify<Res, E> + Complete<OwnedPermit, Res>,
{
    type Output = Result<B::Response, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = match self.project().state.project() {
            StateProjection::Refused(rejected) => return Poll::Ready(Err((*rejected).into())),
            StateProjection::Called(call) => call.project(),
        };
        *call.is_polling = true;
        let polled = call.inner.poll(cx);
        *call.is_polling = false;
        let result = ready!(polled).map_err(Into::into);

        let outcome = call.binding.classify(result.as_ref());
        let permit = call.permit.take();
        Poll::Ready(match (result, permit) {
            (Ok(response), Some(permit)) => Ok(call.binding.complete(permit, outcome, response)),
            (Err(error), permit) => {
                if let Some(permit) = permit {
                    permit.settle(outcome);
                }
                Err(error)
            }
            (Ok(_), None) => panic!("polled after it was ready"),
        })
    }
}

#[pinned_drop]
impl<F, B> PinnedDrop for Call<F, B> {
    fn drop(self: Pin<&mut Self>) {
        let call = self.project();
        if let Some(permit) = call.permit.take() {
            if *call.is_polling {
                Settle::panicked(permit);
            } else {
                Settle::cancelled(permit);
            }
        }
    }
}

impl<F, E, B> fmt::Debug for ResponseFuture<F, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(rejected) => return rejected.fmt(f),
            State::Called(call) => call.permit.is_some(),
        };
        f.debug_struct("ResponseFuture")
            .field("is_under_way", &state)
            .finish_non_exhaustive()
    }
}
