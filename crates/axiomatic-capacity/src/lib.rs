//! Patterns for the axiom of **capacity**: every resource is finite.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`bulkhead`] | So many at a time, and what is slow takes nobody else's |
//! | [`adaptive`] | As many as can be borne, found out by what they take |
//! | [`rate_limit`] | So many in a time, and the rest is refused, shed or waits |
//! | [`load_shed`] | What cannot be served in time is refused, and what matters least first |
//!
//! The first two are made of the same slots, permits and layers, which stand here with
//! their own names and in the patterns' modules with the patterns'.
//!
//! # Features
//!
//! - `tokio` (default): the layers whose calls wait, whose timers are tokio's.
//!   The mechanisms need no runtime, nor do their queues.
//! - `tracing` (default): an event for every refusal and every new limit.
//! - `keyed` (default): bulkheads by key, in bounded memory, and exact rates by
//!   key. The table of rates by key is always there.
//! - `metrics`: counters and gauges through the `metrics` facade.
//!
//! Names and units of events and metrics stand in the project's TELEMETRY.md.
#![forbid(unsafe_code)]

pub mod adaptive;
pub mod bulkhead;
mod gate;
pub mod load_shed;
mod queue;
pub mod rate_limit;
mod slots;

pub use gate::{
    Admission, Ask, ByPartition, ByWeight, Gate, LimitLayer, LimitService, Limiter, OwnedPermit,
    Partition, PartitionSnapshot, Permit, ReservingLayer, ReservingService, ResponseFuture,
    Snapshot, Waiting,
};
#[cfg(feature = "tokio")]
pub use gate::{QueuedLayer, QueuedResponseFuture, QueuedService};
