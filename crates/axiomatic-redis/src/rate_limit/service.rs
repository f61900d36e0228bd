use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use axiomatic_core::{Announce, Carrier, Refusable};
use tower_service::Service;

use super::core::AtOnce;
use super::future::{Held, ResponseFuture};
use super::{Gate, RedisRateLimiter};

/// A service whose calls are made if a [`RedisRateLimiter`] lets them.
///
/// It is always ready: what waits for Redis is the call, and not the instance.
/// So nothing that was readied waits, and a call readies a clone of its own
/// once it may be made.
pub struct RedisRateLimitService<S, E, B, G> {
    inner: S,
    limiter: RedisRateLimiter,
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B, G> RedisRateLimitService<S, E, B, G> {
    pub(super) fn new(inner: S, limiter: RedisRateLimiter, gate: G, binding: B) -> Self {
        RedisRateLimitService {
            inner,
            limiter,
            gate,
            binding,
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

impl<S, E, B, G, Req> Service<Req> for RedisRateLimitService<S, E, B, G>
where
    S: Service<Req> + Clone,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Announce<S::Response> + Clone,
    G: Gate<Req>,
{
    type Response = S::Response;
    type Error = E;
    type Future = ResponseFuture<S, Req, E, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (key, cost) = (self.gate.key(&request), self.gate.cost(&request));
        let deadline = self.binding.deadline(&request);
        let deadline = deadline.map(|deadline| deadline.instant());
        let at_once = self.limiter.at_once_before(deadline, key.as_bytes(), cost);
        let decided = match at_once {
            AtOnce::Decided(decided) => decided.map(Ok),
            // A round trip follows, of tens of microseconds at least; a box
            // takes a few hundredths of one.
            at_once => {
                let key: Box<str> = key.into();
                let limiter = self.limiter.clone();
                Ok(Err(Box::pin(async move {
                    limiter
                        .decide(key.as_bytes(), cost, at_once, deadline)
                        .await
                })))
            }
        };
        let held = Held {
            service: self.inner.clone(),
            request,
        };
        let is_announcing = self.gate.is_announcing();
        let announcing = is_announcing.then(|| (self.limiter.name(), self.binding.clone()));
        match decided {
            Ok(Ok(decision)) => ResponseFuture::admitted(held, decision, announcing),
            Ok(Err(asking)) => ResponseFuture::asking(held, asking, announcing),
            Err(rejected) => ResponseFuture::refused(rejected),
        }
    }
}

impl<S: Clone, E, B: Clone, G: Clone> Clone for RedisRateLimitService<S, E, B, G> {
    fn clone(&self) -> Self {
        RedisRateLimitService::new(
            self.inner.clone(),
            self.limiter.clone(),
            self.gate.clone(),
            self.binding.clone(),
        )
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, G: fmt::Debug> fmt::Debug
    for RedisRateLimitService<S, E, B, G>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimitService")
            .field("inner", &self.inner)
            .field("limiter", &self.limiter)
            .field("gate", &self.gate)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
