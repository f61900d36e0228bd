use std::marker::PhantomData;
use std::num::NonZeroU32;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{ByPartition, ByWeight, LimitService, Limiter, Partition};

/// Puts a limit in front of a service, which refuses what finds no slot.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol, `G`
/// the gate: what has the slots.
pub struct LimitLayer<E = BoxError, B = Plain, G = crate::bulkhead::Bulkhead> {
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(LimitLayer<G> { gate: G });

impl<S, E, B: Clone, G: Clone> Layer<S> for LimitLayer<E, B, G> {
    type Service = LimitService<S, E, B, G>;

    fn layer(&self, inner: S) -> Self::Service {
        LimitService::new(inner, self.gate.clone(), self.binding.clone())
    }
}

/// What both layers can be told about requests.
macro_rules! selecting {
    ($layer:ident) => {
        impl<E, B, G> $layer<E, B, G> {
            /// The same, where a request takes as many slots as this says.
            pub fn weighing<R, F>(self, weight_of: F) -> $layer<E, B, ByWeight<G, F>>
            where
                F: Fn(&R) -> NonZeroU32,
            {
                $layer {
                    gate: ByWeight::new(self.gate, weight_of),
                    binding: self.binding,
                    error: PhantomData,
                }
            }

            /// The same, where a request enters the partition that this says,
            /// or none. To be said before [`weighing`](Self::weighing).
            pub fn partitioned<R, F>(self, partition_of: F) -> $layer<E, B, ByPartition<G, F>>
            where
                G: Limiter,
                F: Fn(&R) -> Option<Partition>,
            {
                $layer {
                    gate: ByPartition::new(self.gate, partition_of),
                    binding: self.binding,
                    error: PhantomData,
                }
            }
        }
    };
}

selecting!(LimitLayer);

#[cfg(feature = "tokio")]
pub use queued::QueuedLayer;

#[cfg(feature = "tokio")]
mod queued {
    use super::*;
    use crate::gate::QueuedService;

    /// Puts a limit in front of a service, and has wait what finds no slot.
    ///
    /// `E` is the error of the stack, `B` the binding that reads its protocol:
    /// priorities and deadlines come from there. `G` is the gate: what has the
    /// slots and the queue.
    pub struct QueuedLayer<E = BoxError, B = Plain, G = crate::bulkhead::Bulkhead> {
        gate: G,
        binding: B,
        error: PhantomData<fn() -> E>,
    }

    axiomatic_core::layer_parts!(QueuedLayer<G> { gate: G });

    selecting!(QueuedLayer);

    impl<S, E, B: Clone, G: Clone> Layer<S> for QueuedLayer<E, B, G> {
        type Service = QueuedService<S, E, B, G>;

        fn layer(&self, inner: S) -> Self::Service {
            QueuedService::new(inner, self.gate.clone(), self.binding.clone())
        }
    }
}

/// Puts a limit in front of a service that is ready once it has a slot for its
/// next call: backpressure, for what stands before it.
///
/// A service that is ready holds a slot, also while nobody calls it. That is
/// what [`LimitLayer`] and the queued layer avoid, and here it is asked for.
pub struct ReservingLayer<E = BoxError, B = Plain, G = crate::bulkhead::Bulkhead> {
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(ReservingLayer<G> { gate: G });

impl<S, E, B: Clone, G: Limiter + Clone> Layer<S> for ReservingLayer<E, B, G> {
    type Service = super::ReservingService<S, E, B, G>;

    fn layer(&self, inner: S) -> Self::Service {
        super::ReservingService::new(inner, self.gate.clone(), self.binding.clone())
    }
}
