//! The outbox and the inbox in PostgreSQL.
//!
//! A [`Database`] is a handful of connections of this crate's own, for relays
//! and operators, and the schema in which its tables are. Producers and
//! consumers work in transactions of theirs, of tokio-postgres or, with the
//! feature `sqlx`, of sqlx ([`Connected`]).
#![forbid(unsafe_code)]

mod connected;
mod database;
mod error;
pub mod inbox;
mod options;
pub mod outbox;
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
