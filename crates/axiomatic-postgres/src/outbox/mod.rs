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
mod operating;
mod options;
mod outgoing;
mod producer;
mod row;
mod settle;
mod statements;
mod store;
mod tidy;
mod waking;

pub use axiomatic_coordination::outbox::Keep;

pub use self::buffered::{Buffered, Transaction};
pub use self::enqueue_error::EnqueueError;
pub use self::handle::Outbox;
#[cfg(feature = "metrics")]
pub use self::health::record_leases;
pub use self::health::{Health, Held, Holder, Who, owner_number};
pub use self::options::{Notify, Options, WhenFull};
