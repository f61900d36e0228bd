use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use axiomatic_core::time::Clock;
use axiomatic_core::{Carrier, Classify, Mode, Refusable};
use tower_service::Service;

use super::{ResponseFuture, Timeout};

/// A service whose calls have a [`Timeout`].
///
/// Ready means that the inner service is. The wait for readiness has no
/// limit here: a call that has not begun can be refused by others, not given
/// up.
pub struct TimeoutService<S, E, B> {
    inner: S,
    timeout: Timeout,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B> TimeoutService<S, E, B> {
    pub(super) fn new(inner: S, timeout: Timeout, binding: B) -> Self {
        TimeoutService {
            inner,
            timeout,
            binding,
            error: PhantomData,
        }
    }

    /// The timeout of its calls.
    pub fn timeout(&self) -> &Timeout {
        &self.timeout
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, Req> Service<Req> for TimeoutService<S, E, B>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E> + Clone,
{
    type Response = S::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline(always)]
    fn call(&mut self, mut request: Req) -> Self::Future {
        if self.timeout.mode() == Mode::Off {
            return ResponseFuture::unlimited(self.inner.call(request));
        }
        let (now, lag) = match self.timeout.bearable_lag() {
            Some(lag) => (Clock::Coarse.now(), lag),
            None => (Clock::Precise.now(), 0),
        };
        let inherited = self.binding.deadline(&request);
        match self.timeout.admit_from(now, lag, inherited) {
            // The inner service stays ready, as after any call not made.
            Err(rejected) => ResponseFuture::refused(rejected),
            Ok(permit) => {
                if permit.changes_context() {
                    let context = permit.hand_inward(self.binding.context(&request));
                    self.binding.set_context(&mut request, context);
                }
                let inner = self.inner.call(request);
                ResponseFuture::limited(inner, permit, self.binding.clone())
            }
        }
    }
}

impl<S: Clone, E, B: Clone> Clone for TimeoutService<S, E, B> {
    fn clone(&self) -> Self {
        TimeoutService {
            inner: self.inner.clone(),
            timeout: self.timeout.clone(),
            binding: self.binding.clone(),
            error: PhantomData,
        }
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug> fmt::Debug for TimeoutService<S, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutService")
            .field("inner", &self.inner)
            .field("timeout", &self.timeout)
            .field("binding", &self.binding)
            .finish()
    }
}
