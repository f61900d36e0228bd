use std::marker::PhantomData;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{Upstream, UpstreamService};

/// Keeps back what the other side would refuse, in front of a client.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol:
/// priorities of requests and levels of answers come from there. [`Plain`]
/// hears nothing, and so keeps nothing back.
pub struct UpstreamLayer<E = BoxError, B = Plain> {
    upstream: Upstream,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(UpstreamLayer { upstream: Upstream });

impl<S, E, B: Clone> Layer<S> for UpstreamLayer<E, B> {
    type Service = UpstreamService<S, E, B>;

    fn layer(&self, inner: S) -> Self::Service {
        UpstreamService::new(inner, self.upstream.clone(), self.binding.clone())
    }
}
