use std::marker::PhantomData;
use std::num::NonZeroU32;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{Announcing, ByCost, RateLimitService, RateLimiter};

/// Puts a [`RateLimiter`] in front of a service, which refuses what is beyond
/// the limit.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol, `G`
/// the gate: a limiter, one by key, or several that decide as one.
pub struct RateLimitLayer<E = BoxError, B = Plain, G = RateLimiter> {
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(RateLimitLayer<G> { gate: G });

impl<S, E, B: Clone, G: Clone> Layer<S> for RateLimitLayer<E, B, G> {
    type Service = RateLimitService<S, E, B, G>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService::new(inner, self.gate.clone(), self.binding.clone())
    }
}

/// What both layers can be told about requests.
macro_rules! selecting {
    ($layer:ident) => {
        impl<E, B, G> $layer<E, B, G> {
            /// The same, where a request costs what this says.
            pub fn weighing<R, F>(self, cost_of: F) -> $layer<E, B, ByCost<G, F>>
            where
                F: Fn(&R) -> NonZeroU32,
            {
                $layer {
                    gate: ByCost::new(self.gate, cost_of),
                    binding: self.binding,
                    error: PhantomData,
                }
            }
        }
    };
}

selecting!(RateLimitLayer);

impl<E, B, G> RateLimitLayer<E, B, G> {
    /// The same, where the binding writes into each answer what is left to who
    /// asked: `axiomatic_http::Http` as `RateLimit` and `RateLimit-Policy`. What
    /// refusals say is up to who makes answers of them.
    pub fn announcing(self) -> RateLimitLayer<E, B, Announcing<G>> {
        RateLimitLayer {
            gate: Announcing::new(self.gate),
            binding: self.binding,
            error: PhantomData,
        }
    }
}

#[cfg(feature = "tokio")]
pub use waiting::WaitingRateLimitLayer;

#[cfg(feature = "tokio")]
mod waiting {
    use super::*;
    use crate::rate_limit::WaitingRateLimitService;

    /// Puts a [`RateLimiter`] in front of a service, whose calls wait until
    /// they are due.
    ///
    /// `E` is the error of the stack, `B` the binding that reads its protocol:
    /// deadlines come from there. `G` is the gate.
    pub struct WaitingRateLimitLayer<E = BoxError, B = Plain, G = RateLimiter> {
        gate: G,
        binding: B,
        error: PhantomData<fn() -> E>,
    }

    axiomatic_core::layer_parts!(WaitingRateLimitLayer<G> { gate: G });

    selecting!(WaitingRateLimitLayer);

    impl<S, E, B: Clone, G: Clone> Layer<S> for WaitingRateLimitLayer<E, B, G> {
        type Service = WaitingRateLimitService<S, E, B, G>;

        fn layer(&self, inner: S) -> Self::Service {
            WaitingRateLimitService::new(inner, self.gate.clone(), self.binding.clone())
        }
    }
}
