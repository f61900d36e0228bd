use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Heed, Refusable, Rejected};
use pin_project::pin_project;

use super::Upstream;

/// The response of a client that keeps back what would be refused: a refusal,
/// or the answer, heeded.
#[pin_project]
pub struct ResponseFuture<F, E, B> {
    #[pin]
    state: State<F, B>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<F, B> {
    Refused(Rejected),
    Called {
        #[pin]
        inner: F,
        upstream: Upstream,
        binding: B,
    },
}

impl<F, E, B> ResponseFuture<F, E, B> {
    #[inline(always)]
    pub(super) fn refused(rejected: Rejected) -> Self {
        ResponseFuture {
            state: State::Refused(rejected),
            error: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn called(inner: F, upstream: Upstream, binding: B) -> Self {
        ResponseFuture {
            state: State::Called {
                inner,
                upstream,
                binding,
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
    B: Heed<Res>,
{
    type Output = Result<Res, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Refused(rejected) => Poll::Ready(Err((*rejected).into())),
            StateProjection::Called {
                inner,
                upstream,
                binding,
            } => {
                let result = ready!(inner.poll(cx)).map_err(Into::into);
                if let Some(level) = result.as_ref().ok().and_then(|it| binding.heed_level(it)) {
                    upstream.hear(upstream.now(), level);
                }
                Poll::Ready(result)
            }
        }
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
