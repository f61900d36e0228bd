//! Patterns for the axiom of **failure**: parts fail, and fail together.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`circuit_breaker`] | Do not call what cannot answer |
//!
//! # Features
//!
//! - `tracing` (default): an event for every transition.
//! - `subscribe` (default): subscriptions to transitions.
//! - `keyed` (default): breakers by key, in bounded memory.
//! - `metrics`: counters and gauges through the `metrics` facade.
//!
//! Names and units of both stand in the project's TELEMETRY.md.
#![forbid(unsafe_code)]

pub mod circuit_breaker;
