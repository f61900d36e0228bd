use std::marker::PhantomData;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{ThrottleService, Throttler};

/// Puts a [`Throttler`] in front of a service.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol:
/// priorities from requests, outcomes from answers.
pub struct ThrottleLayer<E = BoxError, B = Plain> {
    throttler: Throttler,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(ThrottleLayer {
    throttler: Throttler
});

impl<S, E, B: Clone> Layer<S> for ThrottleLayer<E, B> {
    type Service = ThrottleService<S, E, B>;

    fn layer(&self, inner: S) -> Self::Service {
        ThrottleService::new(inner, self.throttler.clone(), self.binding.clone())
    }
}
