use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::{BoxError, Heed, Plain};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{RateLimitService, RateLimiter};

/// Puts a [`RateLimiter`] in front of a client, which learns from the answers
/// what the server allows.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol.
pub struct LearningRateLimitLayer<E = BoxError, B = Plain> {
    limiter: RateLimiter,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(LearningRateLimitLayer {
    limiter: RateLimiter
});

/// The limit, around a service that listens.
impl<S, E, B: Clone> Layer<S> for LearningRateLimitLayer<E, B> {
    type Service = RateLimitService<HeedingService<S, B>, E, B, RateLimiter>;

    fn layer(&self, inner: S) -> Self::Service {
        let heeding = HeedingService {
            inner,
            limiter: self.limiter.clone(),
            binding: self.binding.clone(),
        };
        RateLimitService::new(heeding, self.limiter.clone(), self.binding.clone())
    }
}

/// A service whose answers are listened to for what they say of limits.
#[derive(Clone)]
pub struct HeedingService<S, B> {
    inner: S,
    limiter: RateLimiter,
    binding: B,
}

impl<S, B> HeedingService<S, B> {
    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, Req> Service<Req> for HeedingService<S, B>
where
    S: Service<Req>,
    B: Heed<S::Response> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HeedingFuture<S::Future, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        HeedingFuture {
            inner: self.inner.call(request),
            limiter: self.limiter.clone(),
            binding: self.binding.clone(),
        }
    }
}

/// The response of a [`HeedingService`].
#[pin_project]
pub struct HeedingFuture<F, B> {
    #[pin]
    inner: F,
    limiter: RateLimiter,
    binding: B,
}

impl<F, B, T, X> Future for HeedingFuture<F, B>
where
    F: Future<Output = Result<T, X>>,
    B: Heed<T>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answered = ready!(this.inner.poll(cx));
        if let Ok(response) = &answered
            && let Some(heard) = this.binding.heed(response)
        {
            this.limiter.heed(this.limiter.clock().now(), &heard);
        }
        Poll::Ready(answered)
    }
}

impl<S: fmt::Debug, B> fmt::Debug for HeedingService<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeedingService")
            .field("inner", &self.inner)
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}

impl<F, B> fmt::Debug for HeedingFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeedingFuture")
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}
