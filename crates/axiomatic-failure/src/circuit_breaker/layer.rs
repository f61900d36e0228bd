use std::fmt;
use std::marker::PhantomData;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{CircuitBreaker, CircuitBreakerService};

/// Puts a [`CircuitBreaker`] in front of a service.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol.
pub struct CircuitBreakerLayer<E = BoxError, B = Plain> {
    breaker: CircuitBreaker,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl CircuitBreakerLayer<BoxError, Plain> {
    /// A layer over this breaker, for any request and response, with boxed
    /// errors.
    pub fn new(breaker: CircuitBreaker) -> Self {
        CircuitBreakerLayer {
            breaker,
            binding: Plain,
            error: PhantomData,
        }
    }
}

impl<E, B> CircuitBreakerLayer<E, B> {
    /// The same with another error type: one that refuses without allocating.
    pub fn with_error<F>(self) -> CircuitBreakerLayer<F, B> {
        CircuitBreakerLayer {
            breaker: self.breaker,
            binding: self.binding,
            error: PhantomData,
        }
    }

    /// The same with another binding. It is cloned for each service, and by
    /// layers that look at answers for each call: one that captures an `Arc`
    /// brings a contended count back.
    pub fn with_binding<C>(self, binding: C) -> CircuitBreakerLayer<E, C> {
        CircuitBreakerLayer {
            breaker: self.breaker,
            binding,
            error: PhantomData,
        }
    }
}

impl<S, E, B: Clone> Layer<S> for CircuitBreakerLayer<E, B> {
    type Service = CircuitBreakerService<S, E, B>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService::new(inner, self.breaker.clone(), self.binding.clone())
    }
}

impl<E, B: Clone> Clone for CircuitBreakerLayer<E, B> {
    fn clone(&self) -> Self {
        CircuitBreakerLayer {
            breaker: self.breaker.clone(),
            binding: self.binding.clone(),
            error: PhantomData,
        }
    }
}

impl<E, B: fmt::Debug> fmt::Debug for CircuitBreakerLayer<E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerLayer")
            .field("breaker", &self.breaker)
            .field("binding", &self.binding)
            .finish()
    }
}
