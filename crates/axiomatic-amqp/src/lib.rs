//! The outbox and the inbox on RabbitMQ.
//!
//! | Module | Answers |
//! |---|---|
//! | [`outbox`] | when a message is published, and what it means that RabbitMQ says so |
//! | [`inbox`] | when a message is acknowledged, and whose it is while it is handled |
//!
//! The client is `lapin`, without TLS.
//!
//! # Features
//!
//! - `tracing` (default): events for what an operator should know. Their names
//!   stand in the project's TELEMETRY.md.
#![forbid(unsafe_code)]

mod connection;
pub mod inbox;
pub mod outbox;

pub use connection::{ConnectionSnapshot, ConnectionState, Server, ServerError};

/// The client: its types are part of this crate's.
pub use lapin;
