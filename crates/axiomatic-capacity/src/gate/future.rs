use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Classify, Complete, Refusable, Rejected, Settle};
use pin_project::pin_project;

use super::{Meter, OwnedPermit};

/// The response of a limited service: a refusal, or the inner call with its
/// slot.
#[pin_project]
pub struct ResponseFuture<F, E, B, M: Meter> {
    #[pin]
    state: State<F, B, M>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<F, B, M: Meter> {
    Refused(Rejected),
    Called(#[pin] Call<F, B, M>),
}

/// A call under way: what all services here end in.
///
/// Dropped in this order: whatever the inner call holds is gone when its slot
/// is given back.
#[pin_project]
pub(super) struct Call<F, B, M: Meter> {
    #[pin]
    inner: F,
    slot: Slot<M>,
    binding: B,
}

/// None once the call is over, also if its future is kept.
struct Slot<M: Meter>(Option<OwnedPermit<M>>);

impl<M: Meter> Drop for Slot<M> {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.cancelled();
        }
    }
}

impl<F, E, B, M: Meter> ResponseFuture<F, E, B, M> {
    #[inline]
    pub(super) fn refused(rejected: Rejected) -> Self {
        ResponseFuture {
            state: State::Refused(rejected),
            error: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn called(inner: F, permit: OwnedPermit<M>, binding: B) -> Self {
        ResponseFuture {
            state: State::Called(Call::new(inner, permit, binding)),
            error: PhantomData,
        }
    }
}

impl<F, B, M: Meter> Call<F, B, M> {
    #[inline(always)]
    pub(super) fn new(inner: F, permit: OwnedPermit<M>, binding: B) -> Self {
        Call {
            inner,
            slot: Slot(Some(permit)),
            binding,
        }
    }

    /// Polls the inner call. Once it is answered the permit goes where the
    /// binding says, or back.
    #[inline(always)]
    pub(super) fn poll<E, Res, Err>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<B::Response, E>>
    where
        F: Future<Output = Result<Res, Err>>,
        Err: Into<E>,
        B: Classify<Res, E> + Complete<OwnedPermit<M>, Res>,
    {
        let call = self.project();
        let result = ready!(call.inner.poll(cx)).map_err(Into::into);
        let outcome = call.binding.classify(result.as_ref());
        let Some(permit) = call.slot.0.take() else {
            panic!("polled after it was ready");
        };
        Poll::Ready(match result {
            Ok(response) => Ok(call.binding.complete(permit, outcome, response)),
            Err(error) => {
                permit.settle(outcome);
                Err(error)
            }
        })
    }
}

impl<F, E, B, M, Res, Err> Future for ResponseFuture<F, E, B, M>
where
    F: Future<Output = Result<Res, Err>>,
    Err: Into<E>,
    E: Refusable,
    M: Meter,
    B: Classify<Res, E> + Complete<OwnedPermit<M>, Res>,
{
    type Output = Result<B::Response, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Called(call) => call.poll(cx),
            StateProjection::Refused(rejected) => Poll::Ready(Err((*rejected).into())),
        }
    }
}

impl<F, E, B, M: Meter> fmt::Debug for ResponseFuture<F, E, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Refused(rejected) => rejected.fmt(f),
            State::Called(call) => f
                .debug_struct("ResponseFuture")
                .field("is_under_way", &call.slot.0.is_some())
                .finish_non_exhaustive(),
        }
    }
}
