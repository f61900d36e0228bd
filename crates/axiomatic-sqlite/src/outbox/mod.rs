//! The outbox in SQLite.

mod enqueue_error;
mod outgoing;
mod producer;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::Wake;

pub use self::enqueue_error::EnqueueError;
pub(crate) use self::outgoing::Outgoing;
use crate::database::Database;
pub use crate::schema::outbox as schema;

/// How an outbox is kept.
#[derive(Copy, Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {}

/// The outbox of a database.
#[derive(Clone, Debug)]
pub struct Outbox {
    database: Database,
    wake: Wake,
    options: Options,
}

impl Outbox {
    /// The outbox of this database.
    ///
    /// # Errors
    ///
    /// None yet.
    pub fn new(database: &Database, options: Options) -> Result<Outbox, StoreError> {
        Ok(Outbox {
            database: database.clone(),
            wake: database.wake().clone(),
            options,
        })
    }
}
