//! A bulkhead.

#[expect(
    clippy::module_inception,
    reason = "the mechanism has the pattern's name"
)]
mod bulkhead;
mod config;
mod error;
#[cfg(feature = "keyed")]
mod keyed;
mod unmetered;

use axiomatic_core::{BoxError, Plain};

pub use self::bulkhead::Bulkhead;
pub use crate::gate::{
    Ask, ByPartition, ByWeight, Gate, Limiter, Partition, PartitionSnapshot, Snapshot,
};
pub use crate::queue::Order;
pub use crate::slots::{Barging, Sharing};
pub use config::{Config, Partitions, WhenFull};
pub use error::ConfigError;
#[cfg(feature = "keyed")]
pub use keyed::{ByKey, KeyedBulkhead, KeyedBulkheadLayer};
pub use unmetered::Unmetered;

/// Leave for one call, borrowed from the bulkhead.
pub type Permit<'b> = crate::gate::Permit<'b, Unmetered>;

/// Leave for one call that outlives the borrow of the bulkhead, for futures and
/// for bodies of responses.
pub type OwnedPermit = crate::gate::OwnedPermit<Unmetered>;

/// A slot, or a place in the queue.
pub type Admission = crate::gate::Admission<Unmetered>;

/// A place in the queue: a future of the permit, or of the refusal.
pub type Waiting = crate::gate::Waiting<Unmetered>;

/// Puts a [`Bulkhead`] in front of a service, which refuses what finds no slot.
pub type BulkheadLayer<E = BoxError, B = Plain, G = Bulkhead> = crate::gate::LimitLayer<E, B, G>;

/// A service behind a [`Bulkhead`], which refuses what finds no slot.
pub type BulkheadService<S, E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::LimitService<S, E, B, G>;

/// The response of a [`BulkheadService`].
pub type ResponseFuture<F, E, B> = crate::gate::ResponseFuture<F, E, B, Unmetered>;

/// Puts a [`Bulkhead`] in front of a service, whose calls wait for a slot.
#[cfg(feature = "tokio")]
pub type QueuedBulkheadLayer<E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::QueuedLayer<E, B, G>;

/// A service behind a [`Bulkhead`], whose calls wait for a slot.
#[cfg(feature = "tokio")]
pub type QueuedBulkheadService<S, E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::QueuedService<S, E, B, G>;

/// The response of a [`QueuedBulkheadService`].
#[cfg(feature = "tokio")]
pub type QueuedResponseFuture<S, Req, E, B> =
    crate::gate::QueuedResponseFuture<S, Req, E, B, Unmetered>;

/// Puts a [`Bulkhead`] in front of a service that is ready once it has a slot.
pub type ReservingBulkheadLayer<E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::ReservingLayer<E, B, G>;

/// A service that is ready once it has a slot of a [`Bulkhead`].
pub type ReservingBulkheadService<S, E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::ReservingService<S, E, B, G>;
