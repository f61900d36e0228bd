//! What the futures of services with permits have in common, that is all but
//! the permit. Not public API.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::{Classify, Complete, Refusable, Rejected, Settle};
use pin_project::{pin_project, pinned_drop};

/// The response of a service that asks for a permit: a refusal, or the inner
/// call with its permit `P`, which is settled when the call is answered, or as
/// the binding says. Patterns name it by an alias.
#[pin_project]
pub struct ResponseFuture<F, E, B, P: Settle> {
    #[pin]
    state: State<F, B, P>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<F, B, P: Settle> {
    Refused(Rejected),
    Called(#[pin] Call<F, B, P>),
}

/// A call under way.
#[pin_project(PinnedDrop)]
struct Call<F, B, P: Settle> {
    #[pin]
    inner: F,
    permit: Option<P>,
    binding: B,
    /// Whether the inner future is being polled. If it still is when we are
    /// dropped, now or after someone caught the panic, the call panicked.
    is_polling: bool,
}

impl<F, E, B, P: Settle> ResponseFuture<F, E, B, P> {
    /// A refusal.
    #[doc(hidden)]
    #[inline]
    pub fn refused(rejected: Rejected) -> Self {
        ResponseFuture {
            state: State::Refused(rejected),
            error: PhantomData,
        }
    }

    /// The inner call that this makes, with its permit.
    #[doc(hidden)]
    #[inline]
    pub fn calling(permit: P, call: impl FnOnce() -> F, binding: B) -> Self {
        let mut guarded = PanicIsFailure(Some(permit));
        let inner = call();
        ResponseFuture {
            state: State::Called(Call {
                inner,
                permit: guarded.0.take(),
                binding,
                is_polling: false,
            }),
            error: PhantomData,
        }
    }
}

/// Holds the permit while the inner service makes its future: a panic there
/// is the call's own, as one in the future is.
struct PanicIsFailure<P: Settle>(Option<P>);

impl<P: Settle> Drop for PanicIsFailure<P> {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            Settle::panicked(permit);
        }
    }
}

impl<F, E, B, P, Res, Err> Future for ResponseFuture<F, E, B, P>
where
    F: Future<Output = Result<Res, Err>>,
    Err: Into<E>,
    E: Refusable,
    P: Settle,
    B: Classify<Res, E> + Complete<P, Res>,
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
impl<F, B, P: Settle> PinnedDrop for Call<F, B, P> {
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

impl<F, E, B, P: Settle> fmt::Debug for ResponseFuture<F, E, B, P> {
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
