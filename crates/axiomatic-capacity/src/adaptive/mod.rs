//! An adaptive limit: as many calls in flight as the dependency can bear, found
//! out by what calls take.

mod algorithm;
mod buckets;
mod config;
mod error;
mod limit;
mod metered;
mod snapshot;
mod window_cell;

use axiomatic_core::{BoxError, Plain};

pub use crate::bulkhead::{
    Ask, ByPartition, ByWeight, ConfigError, Gate, Limiter, Order, Partition, Partitions, Sharing,
    WhenFull,
};
pub use algorithm::{
    Aimd, AimdConfig, Bounds, Gradient2, Gradient2Config, LimitAlgorithm, Sample, Seeker,
    SeekerConfig, Step, Vegas, VegasConfig, Why,
};
pub use config::Config;
pub use error::AlgorithmError;
pub use limit::AdaptiveLimit;
pub use metered::Metered;
pub use snapshot::Snapshot;

/// Leave for one call, borrowed from the limit.
pub type Permit<'c> = crate::gate::Permit<'c, Metered>;

/// Leave for one call that outlives the borrow of the limit, for futures and
/// for bodies of responses.
pub type OwnedPermit = crate::gate::OwnedPermit<Metered>;

/// A slot, or a place in the queue.
pub type Admission = crate::gate::Admission<Metered>;

/// A place in the queue: a future of the permit, or of the refusal.
pub type Waiting = crate::gate::Waiting<Metered>;

/// Puts an [`AdaptiveLimit`] in front of a service, which refuses what finds no
/// slot.
pub type AdaptiveLimitLayer<E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::LimitLayer<E, B, G>;

/// A service behind an [`AdaptiveLimit`], which refuses what finds no slot.
pub type AdaptiveLimitService<S, E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::LimitService<S, E, B, G>;

/// The response of an [`AdaptiveLimitService`].
pub type ResponseFuture<F, E, B> = crate::gate::ResponseFuture<F, E, B, Metered>;

/// Puts an [`AdaptiveLimit`] in front of a service, whose calls wait for a slot.
#[cfg(feature = "tokio")]
pub type QueuedAdaptiveLimitLayer<E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::QueuedLayer<E, B, G>;

/// A service behind an [`AdaptiveLimit`], whose calls wait for a slot.
#[cfg(feature = "tokio")]
pub type QueuedAdaptiveLimitService<S, E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::QueuedService<S, E, B, G>;

/// The response of a [`QueuedAdaptiveLimitService`].
#[cfg(feature = "tokio")]
pub type QueuedResponseFuture<S, Req, E, B> =
    crate::gate::QueuedResponseFuture<S, Req, E, B, Metered>;

/// Puts an [`AdaptiveLimit`] in front of a service that is ready once it has a
/// slot.
pub type ReservingAdaptiveLimitLayer<E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::ReservingLayer<E, B, G>;

/// A service that is ready once it has a slot of an [`AdaptiveLimit`].
pub type ReservingAdaptiveLimitService<S, E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::ReservingService<S, E, B, G>;
