use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll, ready};

use axiomatic_core::context::AdmissionLevel;
use axiomatic_core::{BoxError, Refusable};
use http::Response;
use tower_service::Service;

use super::wording::Wording;
use super::{InternalError, Respond, ResponseFuture};

/// The service of [`RejectionLayer`](super::RejectionLayer).
///
/// It is ready when the inner service is. A readiness that failed is an
/// answer like any other, so it is kept until there is a request to answer:
/// this service then is ready, and the call does not reach the inner one.
pub struct RejectionService<S, E = BoxError, F = InternalError, L = fn() -> AdmissionLevel> {
    inner: S,
    otherwise: F,
    level: L,
    wording: Wording,
    unready: Option<E>,
}

impl<S, E, F, L> RejectionService<S, E, F, L> {
    pub(super) fn new(inner: S, otherwise: F, level: L, wording: Wording) -> Self {
        RejectionService {
            inner,
            otherwise,
            level,
            wording,
            unready: None,
        }
    }
}

impl<S, E, F, L, R, B> Service<R> for RejectionService<S, E, F, L>
where
    S: Service<R, Response = Response<B>>,
    S::Error: Into<E>,
    E: Refusable,
    F: Respond<E, B> + Clone,
    L: Fn() -> AdmissionLevel + Clone,
    B: From<&'static str>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future, E, F, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.unready.is_none() {
            let readiness = ready!(self.inner.poll_ready(cx));
            self.unready = readiness.err().map(Into::into);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (otherwise, level) = (self.otherwise.clone(), self.level.clone());
        let wording = self.wording.clone();
        match self.unready.take() {
            Some(error) => ResponseFuture::failed(error, otherwise, level, wording),
            None => {
                let inner = self.inner.call(request);
                ResponseFuture::called(inner, otherwise, level, wording)
            }
        }
    }
}

// Readiness belongs to the value that was asked: a clone starts without.
impl<S: Clone, E, F: Clone, L: Clone> Clone for RejectionService<S, E, F, L> {
    fn clone(&self) -> Self {
        let (otherwise, level) = (self.otherwise.clone(), self.level.clone());
        RejectionService::new(self.inner.clone(), otherwise, level, self.wording.clone())
    }
}

impl<S: fmt::Debug, E, F, L> fmt::Debug for RejectionService<S, E, F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectionService")
            .field("inner", &self.inner)
            .field("unready", &self.unready.is_some())
            .finish_non_exhaustive()
    }
}
