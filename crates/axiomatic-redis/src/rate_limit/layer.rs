use std::marker::PhantomData;
use std::num::NonZeroU32;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{Announcing, ByCost, RedisRateLimitService, RedisRateLimiter};

/// Asks a [`RedisRateLimiter`] before each call, by the key of its request.
///
/// `E` is the error of the stack, `B` the binding, which writes what is left
/// into answers, and `G` says the key and the cost of a request. All services of
/// a layer, and of its clones, share the limiter.
pub struct RedisRateLimitLayer<E = BoxError, B = Plain, G = ()> {
    limiter: RedisRateLimiter,
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(RedisRateLimitLayer<G> {
    limiter: RedisRateLimiter,
    gate: G
});

impl<E, B, G> RedisRateLimitLayer<E, B, G> {
    /// The same, where a request costs what this says.
    pub fn weighing<Req, C>(self, cost_of: C) -> RedisRateLimitLayer<E, B, ByCost<G, C>>
    where
        C: Fn(&Req) -> NonZeroU32,
    {
        RedisRateLimitLayer {
            limiter: self.limiter,
            gate: ByCost::new(self.gate, cost_of),
            binding: self.binding,
            error: PhantomData,
        }
    }

    /// The same, where the binding writes into an answer what is left to who
    /// asked, if Redis said it: `axiomatic_http::Http` as `RateLimit` and
    /// `RateLimit-Policy`. Calls that a lease or a local share let pass know
    /// nothing of the whole.
    pub fn announcing(self) -> RedisRateLimitLayer<E, B, Announcing<G>> {
        RedisRateLimitLayer {
            limiter: self.limiter,
            gate: Announcing::new(self.gate),
            binding: self.binding,
            error: PhantomData,
        }
    }
}

impl<S, E, B: Clone, G: Clone> Layer<S> for RedisRateLimitLayer<E, B, G> {
    type Service = RedisRateLimitService<S, E, B, G>;

    fn layer(&self, inner: S) -> Self::Service {
        RedisRateLimitService::new(
            inner,
            self.limiter.clone(),
            self.gate.clone(),
            self.binding.clone(),
        )
    }
}
