use std::marker::PhantomData;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{CircuitBreaker, CircuitBreakerService};

/// Puts a [`CircuitBreaker`] in front of a service, or one for each key.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol,
/// `G` the gate: the breaker, or what chooses one by key.
pub struct CircuitBreakerLayer<E = BoxError, B = Plain, G = CircuitBreaker> {
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(CircuitBreakerLayer<G> { gate: G });

impl<S, E, B: Clone, G: Clone> Layer<S> for CircuitBreakerLayer<E, B, G> {
    type Service = CircuitBreakerService<S, E, B, G>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService::new(inner, self.gate.clone(), self.binding.clone())
    }
}
