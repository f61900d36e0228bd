//! Patterns for the axiom of **latency**: every hop takes time, and the
//! slowest one decides.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`timeout`] | Nobody waits for ever |
//! | [`hedge`] | Nobody waits for the slowest of many |
//!
//! # Features
//!
//! - `tokio` (default): the tower adapters, whose timers are tokio's. The
//!   mechanisms need no runtime.
//! - `tracing` (default): an event for every call that is given up, and for
//!   every hedge.
//! - `metrics`: counters through the `metrics` facade.
//!
//! Names and units stand in the project's TELEMETRY.md.
#![forbid(unsafe_code)]

pub mod hedge;
pub mod timeout;
