use std::fmt;
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

impl TimeoutLayer<BoxError, Plain> {
    /// A layer over this timeout, for any request and response, with boxed
    /// errors.
    pub fn new(timeout: Timeout) -> Self {
        TimeoutLayer {
            timeout,
            binding: Plain,
            error: PhantomData,
        }
    }
}

impl<E, B> TimeoutLayer<E, B> {
    /// The same with another error type: one that gives up without
    /// allocating.
    pub fn with_error<F>(self) -> TimeoutLayer<F, B> {
        TimeoutLayer {
            timeout: self.timeout,
            binding: self.binding,
            error: PhantomData,
        }
    }

    /// The same with another binding. It is cloned for each service, and by
    /// layers that look at answers for each call: one that captures an `Arc`
    /// brings a contended count back.
    pub fn with_binding<C>(self, binding: C) -> TimeoutLayer<E, C> {
        TimeoutLayer {
            timeout: self.timeout,
            binding,
            error: PhantomData,
        }
    }
}

impl<S, E, B: Clone> Layer<S> for TimeoutLayer<E, B> {
    type Service = TimeoutService<S, E, B>;

    fn layer(&self, inner: S) -> Self::Service {
        TimeoutService::new(inner, self.timeout.clone(), self.binding.clone())
    }
}

impl<E, B: Clone> Clone for TimeoutLayer<E, B> {
    fn clone(&self) -> Self {
        TimeoutLayer {
            timeout: self.timeout.clone(),
            binding: self.binding.clone(),
            error: PhantomData,
        }
    }
}

impl<E, B: fmt::Debug> fmt::Debug for TimeoutLayer<E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutLayer")
            .field("timeout", &self.timeout)
            .field("binding", &self.binding)
            .finish()
    }
}
