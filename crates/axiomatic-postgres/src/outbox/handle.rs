//! The outbox of a database.

use std::sync::Arc;

use axiomatic_coordination::outbox::{Wake, WakeUps};
use axiomatic_coordination::{StoreError, Why};

use super::leases;
use super::options::Options;
use super::statements::Statements;
use crate::database::Database;
use crate::schema::OUTBOX;

/// The outbox of a database: what producers, relays and operators have.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(super) database: Database,
    pub(super) sql: Arc<Statements>,
    pub(super) wake: Wake,
    pub(super) options: Options,
}

impl Outbox {
    /// The outbox of this database: makes its tables if they are missing, and
    /// divides its lanes as the options say.
    ///
    /// # Errors
    ///
    /// [`Why::Incompatible`] if the tables are of another release, or the
    /// lanes are divided otherwise while a relay runs, or one that did not
    /// depart may run still; otherwise what PostgreSQL said.
    pub async fn new(database: &Database, options: Options) -> Result<Outbox, StoreError> {
        database.prepare(&OUTBOX).await?;
        if !leases::divide(database, options.buckets).await? {
            return Err(StoreError::new(Why::Incompatible)
                .because("the outbox has another number of buckets, and relays that go by it"));
        }
        Ok(Outbox {
            database: database.clone(),
            sql: Arc::new(Statements::new(database.schema())),
            wake: Wake::new(),
            options,
        })
    }

    /// There may be something to publish: wakes the relays of this process at
    /// once, and those of others [as the options say](Options::notify). To be
    /// called when a transaction has committed that enqueued.
    pub fn wake(&self) {
        self.wake.wake();
    }

    /// Hears from now on when there may be something to publish: what relays
    /// wait for.
    pub fn wake_ups(&self) -> WakeUps {
        self.wake.wake_ups()
    }
}
