//! Patterns whose state processes share through Redis.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`rate_limit`] | One quota for all processes, and a contract for when Redis is away |
//!
//! The client is the `redis` crate, without TLS: a program that needs it turns
//! on that crate's feature and builds the [`redis::Client`] itself. A cluster is
//! reached through the node that has the slot of the prefix.
//!
//! # Features
//!
//! - `tracing` (default): an event for every refusal and every question without
//!   an answer.
//! - `metrics`: counters through the `metrics` facade.
//!
//! Names and units of events and metrics stand in the project's TELEMETRY.md.
#![forbid(unsafe_code)]

pub mod rate_limit;

/// The client: its types are part of this crate's.
pub use redis;
