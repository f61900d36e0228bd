//! The outbox, the inbox, idempotent requests and sagas in PostgreSQL.
//!
//! A [`Database`] is a handful of connections of this crate's own, for relays,
//! operators, claims and executors, and the schema in which its tables are.
//! Producers, consumers and handlers work in transactions of theirs, of
//! tokio-postgres or, with the feature `sqlx`, of sqlx ([`Connected`]).
#![forbid(unsafe_code)]

// What tests of a private part share with those of the whole.
#[cfg(test)]
extern crate self as axiomatic_postgres;

mod connected;
mod database;
mod error;
pub mod idempotency;
pub mod inbox;
mod options;
pub mod outbox;
pub mod saga;
mod schema;
mod session;
mod wire;

pub use connected::Connected;
pub use database::Database;
#[cfg(feature = "sqlx")]
pub use error::sqlx_store_error;
pub use error::store_error;
pub use options::{InvalidSchema, Options};
pub use schema::Tables;
