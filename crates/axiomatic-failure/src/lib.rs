//! Patterns for the axiom of **failure**: parts fail, and fail together.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`circuit_breaker`] | Do not call what cannot answer |
//! | [`retry`] | Ask again, and never more than can be borne |
//!
//! # Features
//!
//! - `tokio` (default): the retry's tower adapter and [`retry::Retry::run`],
//!   whose timers are tokio's. The mechanisms need no runtime.
//! - `tracing` (default): an event for every transition and every retry.
//! - `subscribe` (default): subscriptions to transitions.
//! - `keyed` (default): breakers by key, in bounded memory.
//! - `metrics`: counters and gauges through the `metrics` facade.
//!
//! Names and units of both stand in the project's TELEMETRY.md.
#![forbid(unsafe_code)]

pub mod circuit_breaker;
pub mod retry;
