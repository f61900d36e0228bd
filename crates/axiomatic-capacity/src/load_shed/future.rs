use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::context::AdmissionLevel;
use axiomatic_core::{Announce, Classify, Complete, Refusable, Settle};
use pin_project::pin_project;

use super::OwnedPermit;
use super::shedder::Refusal;

/// The response of a service behind a load shedder: a refusal, or the inner
/// call.
#[pin_project]
pub struct ResponseFuture<F, E, B> {
    #[pin]
    state: State<F, B>,
    error: PhantomData<fn() -> E>,
}

/// The inner call is dropped before its permit: until whatever it holds is
/// gone it is not over.
#[pin_project(project = StateProjection)]
enum State<F, B> {
    Refused(Refusal),
    Called {
        #[pin]
        inner: F,
        permit: Option<OwnedPermit>,
        binding: B,
        /// Whether the answer is to say what is admitted.
        announces: bool,
    },
}

impl<F, E, B> ResponseFuture<F, E, B> {
    #[inline(always)]
    pub(super) fn refused(refusal: Refusal) -> Self {
        ResponseFuture {
            state: State::Refused(refusal),
            error: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn called(inner: F, permit: OwnedPermit, binding: B, announces: bool) -> Self {
        ResponseFuture {
            state: State::Called {
                inner,
                permit: Some(permit),
                binding,
                announces,
            },
            error: PhantomData,
        }
    }
}

impl<F, E, B, Res, Err> Future for ResponseFuture<F, E, B>
where
    F: Future<Output = Result<Res, Err>>,
    Err: Into<E>,
    E: Refusable,
    B: Classify<Res, E> + Announce<Res> + Complete<OwnedPermit, Res>,
{
    type Output = Result<B::Response, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (inner, permit, binding, announces) = match self.project().state.project() {
            StateProjection::Refused(refusal) => return Poll::Ready(Err(refusal.say().into())),
            StateProjection::Called {
                inner,
                permit,
                binding,
                announces,
            } => (inner, permit, binding, *announces),
        };
        let mut result = ready!(inner.poll(cx)).map_err(Into::into);
        let outcome = binding.classify(result.as_ref());
        let Some(permit) = permit.take() else {
            panic!("polled after it was ready");
        };
        if let (Ok(response), true) = (&mut result, announces) {
            // That of now: calls are long in an overload.
            let level = permit.level();
            if level != AdmissionLevel::ALL {
                binding.announce_level(response, || level);
            }
        }
        Poll::Ready(match result {
            Ok(response) => Ok(binding.complete(permit, outcome, response)),
            Err(error) => {
                permit.settle(outcome);
                Err(error)
            }
        })
    }
}

impl<F, E, B> fmt::Debug for ResponseFuture<F, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(_) => "refused",
            State::Called { .. } => "called",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
