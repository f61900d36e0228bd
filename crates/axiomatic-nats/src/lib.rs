//! The outbox and the inbox on NATS JetStream.
//!
//! | Module | Answers |
//! |---|---|
//! | [`outbox`] | when a message is published, and what it means that JetStream says so |
//! | [`inbox`] | when a message is acknowledged, and whose it is while it is handled |
//!
//! The client is `async-nats`, with JetStream and without TLS, nkeys or
//! websockets: a program that needs them turns on that crate's features and
//! connects the client itself. It is given here as a
//! [`Context`](async_nats::jetstream::Context), which also knows a domain.
//!
//! # Features
//!
//! - `tracing` (default): events for what an operator should know of a stream,
//!   and for messages that were not handled. Their names stand in the project's
//!   TELEMETRY.md.
#![forbid(unsafe_code)]

pub mod inbox;
pub mod outbox;
mod telemetry;

/// The client: its types are part of this crate's.
pub use async_nats;
