use std::marker::PhantomData;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{FailFast, FailFastService};

/// Refuses calls for a service that has not been ready for too long.
///
/// `E` is the error of the stack. `B` is the binding that layers have in common:
/// this one reads nothing of a protocol.
pub struct FailFastLayer<E = BoxError, B = Plain> {
    fail_fast: FailFast,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(FailFastLayer {
    fail_fast: FailFast
});

impl<S, E, B> Layer<S> for FailFastLayer<E, B> {
    type Service = FailFastService<S, E>;

    fn layer(&self, inner: S) -> Self::Service {
        FailFastService::new(inner, self.fail_fast.clone())
    }
}
