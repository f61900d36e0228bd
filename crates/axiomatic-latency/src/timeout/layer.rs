use std::marker::PhantomData;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{Timeout, TimeoutService};

/// Gives the calls of a service a [`Timeout`].
///
/// `E` is the error of the stack, `B` the binding that reads its protocol.
pub struct TimeoutLayer<E = BoxError, B = Plain> {
    timeout: Timeout,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(TimeoutLayer { timeout: Timeout });

impl<S, E, B: Clone> Layer<S> for TimeoutLayer<E, B> {
    type Service = TimeoutService<S, E, B>;

    fn layer(&self, inner: S) -> Self::Service {
        TimeoutService::new(inner, self.timeout.clone(), self.binding.clone())
    }
}
