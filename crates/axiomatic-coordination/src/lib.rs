//! Patterns for the axiom of coordination: no step is atomic across two
//! machines.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`outbox`] | a database commits, and a broker must hear of it |
//! | [`inbox`] | a broker delivers twice, and a database must change once |
//! | [`idempotency`] | a client repeats a request, and its effects happen once |
//! | [`saga`] | several steps in several places all happen, or are all undone |
//!
//! This crate holds the protocols, over any database and any broker; crates
//! named for engines (`axiomatic-sqlite`) hold their SQL.
#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod crash_points;
pub mod idempotency;
pub mod inbox;
mod memory;
mod message_id;
pub mod outbox;
pub mod saga;
mod store_error;
mod timestamp;

pub use memory::{Memory, MemoryTransaction, TransactError};
pub use message_id::MessageId;
pub use store_error::{StoreError, Why};
pub use timestamp::Timestamp;
