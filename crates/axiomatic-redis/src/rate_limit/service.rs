use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::task::{Context, Poll};

use axiomatic_core::Refusable;
use tower_service::Service;

use super::core::AtOnce;
use super::{RedisRateLimiter, ResponseFuture};

/// A service whose calls are made if a [`RedisRateLimiter`] lets them.
///
/// It is always ready: what waits for Redis is the call, and not the instance.
/// So nothing that was readied waits, and a call readies a clone of its own
/// once it may be made.
pub struct RateLimitService<S, F, E> {
    inner: S,
    limiter: RedisRateLimiter,
    key_of: F,
    error: PhantomData<fn() -> E>,
}

impl<S, F, E> RateLimitService<S, F, E> {
    pub(super) fn new(inner: S, limiter: RedisRateLimiter, key_of: F) -> Self {
        RateLimitService {
            inner,
            limiter,
            key_of,
            error: PhantomData,
        }
    }

    /// What decides about its calls.
    pub fn limiter(&self) -> &RedisRateLimiter {
        &self.limiter
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, F, E, Req> Service<Req> for RateLimitService<S, F, E>
where
    S: Service<Req> + Clone,
    S::Error: Into<E>,
    E: Refusable,
    F: Fn(&Req) -> &str,
{
    type Response = S::Response;
    type Error = E;
    type Future = ResponseFuture<S, Req, E>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let key = (self.key_of)(&request);
        let cost = NonZeroU32::MIN;
        match self.limiter.at_once(key.as_bytes(), cost) {
            AtOnce::Decided(Ok(_)) => ResponseFuture::admitted(self.inner.clone(), request),
            AtOnce::Decided(Err(rejected)) => ResponseFuture::refused(rejected),
            // A round trip follows, of tens of microseconds at least; a box
            // takes a fiftieth of one.
            at_once => {
                let key: Box<str> = key.into();
                let limiter = self.limiter.clone();
                let asking = async move {
                    let decided = limiter.decide(key.as_bytes(), cost, at_once).await;
                    decided.map(drop)
                };
                ResponseFuture::asking(Box::pin(asking), self.inner.clone(), request)
            }
        }
    }
}

impl<S: Clone, F: Clone, E> Clone for RateLimitService<S, F, E> {
    fn clone(&self) -> Self {
        let (inner, key_of) = (self.inner.clone(), self.key_of.clone());
        RateLimitService::new(inner, self.limiter.clone(), key_of)
    }
}

impl<S: fmt::Debug, F, E> fmt::Debug for RateLimitService<S, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitService")
            .field("inner", &self.inner)
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}
