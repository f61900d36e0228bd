use std::fmt;
use std::marker::PhantomData;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{CircuitBreaker, CircuitBreakerService};

/// Puts a [`CircuitBreaker`] in front of a service, or one for each key.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol,
/// `G` the breaker, or [`ByKey`](super::ByKey).
pub struct CircuitBreakerLayer<E = BoxError, B = Plain, G = CircuitBreaker> {
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<G> CircuitBreakerLayer<BoxError, Plain, G> {
    /// A layer over this breaker, for any request and response, with boxed
    /// errors.
    pub fn new(gate: G) -> Self {
        CircuitBreakerLayer {
            gate,
            binding: Plain,
            error: PhantomData,
        }
    }
}

impl<E, B, G> CircuitBreakerLayer<E, B, G> {
    /// The same with another error type: one that refuses without allocating.
    pub fn with_error<F>(self) -> CircuitBreakerLayer<F, B, G> {
        CircuitBreakerLayer {
            gate: self.gate,
            binding: self.binding,
            error: PhantomData,
        }
    }

    /// The same with another binding. It is cloned for each service, and by
    /// layers that look at answers for each call: one that captures an `Arc`
    /// brings a contended count back.
    pub fn with_binding<C>(self, binding: C) -> CircuitBreakerLayer<E, C, G> {
        CircuitBreakerLayer {
            gate: self.gate,
            binding,
            error: PhantomData,
        }
    }
}

impl<S, E, B: Clone, G: Clone> Layer<S> for CircuitBreakerLayer<E, B, G> {
    type Service = CircuitBreakerService<S, E, B, G>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService::new(inner, self.gate.clone(), self.binding.clone())
    }
}

impl<E, B: Clone, G: Clone> Clone for CircuitBreakerLayer<E, B, G> {
    fn clone(&self) -> Self {
        CircuitBreakerLayer {
            gate: self.gate.clone(),
            binding: self.binding.clone(),
            error: PhantomData,
        }
    }
}

impl<E, B: fmt::Debug, G: fmt::Debug> fmt::Debug for CircuitBreakerLayer<E, B, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerLayer")
            .field("gate", &self.gate)
            .field("binding", &self.binding)
            .finish()
    }
}
