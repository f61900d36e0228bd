use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Carrier, Classify, Complete, Reason, Refusable, Settle};
use tower_service::Service;

use super::{OwnedPermit, ResponseFuture, Throttler};

/// A service behind a [`Throttler`].
///
/// Readiness is the inner service's: whose turn it is to be refused shows when
/// it calls. A refused call leaves the inner service as ready as it was.
pub struct ThrottleService<S, E, B> {
    inner: S,
    is_readied: bool,
    throttler: Throttler,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B> ThrottleService<S, E, B> {
    pub(super) fn new(inner: S, throttler: Throttler, binding: B) -> Self {
        ThrottleService {
            inner,
            is_readied: false,
            throttler,
            binding,
            error: PhantomData,
        }
    }

    /// The throttler in front.
    pub fn throttler(&self) -> &Throttler {
        &self.throttler
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, Req> Service<Req> for ThrottleService<S, E, B>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E> + Complete<OwnedPermit, S::Response> + Clone,
{
    type Response = B::Response;
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
            return ResponseFuture::refused(self.throttler.rejected(Reason::NotReady));
        }
        // Reading a context may take a look into the request's extensions.
        let priority = || self.binding.context(&request).priority();
        match self.throttler.admit_asking(self.throttler.now(), priority) {
            Ok(permit) => {
                self.is_readied = false;
                let permit = PanicIsFailure(Some(permit));
                let inner = self.inner.call(request);
                ResponseFuture::called(inner, permit.release(), self.binding.clone())
            }
            Err(rejected) => ResponseFuture::refused(rejected),
        }
    }
}

/// Holds the permit while the inner service makes its future: a panic there
/// is the call's own, as one in the future is.
struct PanicIsFailure(Option<OwnedPermit>);

impl PanicIsFailure {
    #[inline]
    fn release(mut self) -> Option<OwnedPermit> {
        self.0.take()
    }
}

impl Drop for PanicIsFailure {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.panicked();
        }
    }
}

impl<S: Clone, E, B: Clone> Clone for ThrottleService<S, E, B> {
    fn clone(&self) -> Self {
        // Readiness belongs to the instance that was asked.
        ThrottleService::new(
            self.inner.clone(),
            self.throttler.clone(),
            self.binding.clone(),
        )
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug> fmt::Debug for ThrottleService<S, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottleService")
            .field("inner", &self.inner)
            .field("throttler", &self.throttler)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
