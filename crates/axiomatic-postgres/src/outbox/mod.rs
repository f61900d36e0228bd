//! The outbox in PostgreSQL: messages commit with the business, and wait in
//! the same database until a relay has published them.

mod backlog_gauge;
mod buffered;
mod enqueue_error;
mod fetch;
mod handle;
mod health;
mod leases;
mod operate;
mod operations;
mod options;
mod outgoing;
mod producer;
mod row;
mod settle;
mod statements;
mod store;
mod tidy;
mod waking;

#[doc = include_str!("../../docs/operating-the-outbox.md")]
pub mod operating {}

pub use axiomatic_coordination::outbox::Keep;

pub use self::buffered::{Buffered, Transaction};
pub use self::enqueue_error::EnqueueError;
pub use self::handle::Outbox;
#[cfg(feature = "metrics")]
pub use self::health::record_leases;
pub use self::health::{Health, Held, Holder, Who, owner_number};
pub use self::options::{Notify, Options, WhenFull};
use crate::schema::OUTBOX;

/// The SQL that makes the outbox's tables in the schema of these options, for
/// those who let no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let options = axiomatic_postgres::Options::new().schema("shop_messaging")?;
/// let script = axiomatic_postgres::outbox::schema(&options);
/// # assert!(script.contains("shop_messaging"));
/// # Ok::<_, axiomatic_postgres::InvalidSchema>(())
/// ```
///
/// Version 1, but for the name of the schema:
///
/// ```sql
#[doc = include_str!("../schema/outbox_1.sql")]
/// ```
#[must_use]
pub fn schema(options: &crate::Options) -> String {
    OUTBOX.to_sql(&options.schema)
}
