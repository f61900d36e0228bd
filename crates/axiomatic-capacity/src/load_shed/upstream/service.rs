use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Carrier, Heed, Reason, Refusable};
use tower_service::Service;

use super::{ResponseFuture, Upstream};

/// A client that keeps back what the other side would refuse.
///
/// Its readiness is the inner service's, since what is kept back depends on the
/// request. A refused call leaves the inner service as ready as it was.
pub struct UpstreamService<S, E, B> {
    inner: S,
    is_readied: bool,
    upstream: Upstream,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B> UpstreamService<S, E, B> {
    pub(super) fn new(inner: S, upstream: Upstream, binding: B) -> Self {
        UpstreamService {
            inner,
            is_readied: false,
            upstream,
            binding,
            error: PhantomData,
        }
    }

    /// What is known of the other side.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, Req> Service<Req> for UpstreamService<S, E, B>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Heed<S::Response> + Clone,
{
    type Response = S::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E, B>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.is_readied = false;
        ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
        self.is_readied = true;
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        if !self.is_readied {
            return ResponseFuture::refused(self.upstream.rejected(Reason::NotReady));
        }
        let priority = self.binding.context(&request).priority();
        match self.upstream.admit(self.upstream.now(), priority) {
            Ok(()) => {
                self.is_readied = false;
                let inner = self.inner.call(request);
                ResponseFuture::called(inner, self.upstream.clone(), self.binding.clone())
            }
            Err(rejected) => ResponseFuture::refused(rejected),
        }
    }
}

impl<S: Clone, E, B: Clone> Clone for UpstreamService<S, E, B> {
    fn clone(&self) -> Self {
        // Readiness belongs to the instance that was asked.
        UpstreamService::new(
            self.inner.clone(),
            self.upstream.clone(),
            self.binding.clone(),
        )
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug> fmt::Debug for UpstreamService<S, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamService")
            .field("inner", &self.inner)
            .field("upstream", &self.upstream)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
