//! The outbox, the inbox, idempotent requests and sagas in SQLite.
//!
//! A [`Database`] is one file with a thread that writes it. Its [`Writer`]
//! executes transactions of many callers and commits them together.
//!
//! | Module | Holds |
//! |---|---|
//! | [`outbox`] | messages that leave with the transaction they were written in |
//! | [`inbox`] | messages whose effect happens once |
//! | [`idempotency`] | requests whose effects and answers stand together |
//! | [`saga`] | steps that are done once, or undone |
#![forbid(unsafe_code)]

mod database;
mod error;
pub mod idempotency;
pub mod inbox;
mod options;
pub mod outbox;
pub mod saga;
mod schema;
mod transaction;
mod writer;

pub use database::Database;
pub use error::store_error;
pub use options::{Durability, Options, WhenFull};
pub use outbox::EnqueueError;
pub use schema::Tables;
pub use transaction::Transaction;
pub use writer::{RunError, Writer};
