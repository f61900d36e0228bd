//! What the patterns made of slots share, from the decision to the layers: a
//! bulkhead and an adaptive limit differ in who sets the limit and in what is
//! measured, and in nothing that a call sees.

mod ask;
mod core;
mod error;
mod excess_cell;
mod future;
#[expect(
    clippy::module_inception,
    reason = "the trait is what the module is about"
)]
mod gate;
mod handle;
mod layer;
mod meter;
mod permit;
#[cfg(feature = "tokio")]
mod queued;
mod reserving;
mod selectors;
mod service;
mod settings;
mod snapshot;
mod telemetry;
mod token;
mod waiting;

pub use ask::Ask;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use gate::{Admission, Gate, Limiter};
#[cfg(feature = "tokio")]
pub use layer::QueuedLayer;
pub use layer::{LimitLayer, ReservingLayer};
pub use permit::{OwnedPermit, Permit};
#[cfg(feature = "tokio")]
pub use queued::{QueuedResponseFuture, QueuedService};
pub use reserving::ReservingService;
pub use selectors::{ByPartition, ByWeight, Partition};
pub use service::LimitService;
pub use settings::{Partitions, WhenFull};
pub use snapshot::{PartitionSnapshot, Snapshot};
pub use waiting::Waiting;

pub(crate) use self::core::{Core, Parts};
pub(crate) use gate::Sealed;
pub(crate) use handle::Handle;
pub(crate) use meter::Meter;
pub(crate) use settings::Settings;
pub(crate) use token::Token;
