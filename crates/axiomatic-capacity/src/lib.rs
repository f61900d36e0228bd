//! Patterns for the axiom of **capacity**: every resource is finite.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`adaptive`] | A limit that finds the capacity by itself |
#![forbid(unsafe_code)]

pub mod adaptive;
pub mod bulkhead;
mod gate;
mod queue;
mod slots;

pub use gate::{
    Admission, Ask, ByPartition, ByWeight, Gate, LimitLayer, LimitService, Limiter, OwnedPermit,
    Partition, PartitionSnapshot, Permit, ReservingLayer, ReservingService, ResponseFuture,
    Snapshot, Waiting,
};
#[cfg(feature = "tokio")]
pub use gate::{QueuedLayer, QueuedResponseFuture, QueuedService};
