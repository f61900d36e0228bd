use std::fmt;
use std::marker::PhantomData;

use axiomatic_core::BoxError;
use tower_layer::Layer;

use super::{RateLimitService, RedisRateLimiter};

/// Asks a [`RedisRateLimiter`] before each call, by the key of its request.
///
/// `F` is the function that borrows the key, `E` the error of the stack. All
/// services of a layer, and of its clones, share the limiter.
pub struct RateLimitLayer<F, E = BoxError> {
    limiter: RedisRateLimiter,
    key_of: F,
    error: PhantomData<fn() -> E>,
}

impl<F> RateLimitLayer<F> {
    pub(super) fn new(limiter: RedisRateLimiter, key_of: F) -> Self {
        RateLimitLayer {
            limiter,
            key_of,
            error: PhantomData,
        }
    }
}

impl<F, E> RateLimitLayer<F, E> {
    /// The same with another error type, that of the stack: one of your own
    /// refuses without allocating.
    pub fn with_error<G>(self) -> RateLimitLayer<F, G> {
        RateLimitLayer {
            limiter: self.limiter,
            key_of: self.key_of,
            error: PhantomData,
        }
    }
}

impl<S, F: Clone, E> Layer<S> for RateLimitLayer<F, E> {
    type Service = RateLimitService<S, F, E>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService::new(inner, self.limiter.clone(), self.key_of.clone())
    }
}

impl<F: Clone, E> Clone for RateLimitLayer<F, E> {
    fn clone(&self) -> Self {
        RateLimitLayer {
            limiter: self.limiter.clone(),
            key_of: self.key_of.clone(),
            error: PhantomData,
        }
    }
}

impl<F, E> fmt::Debug for RateLimitLayer<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}
