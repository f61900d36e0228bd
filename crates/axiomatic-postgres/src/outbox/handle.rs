//! The outbox of a database.

use std::sync::Arc;

use axiomatic_coordination::outbox::WakeUps;
use axiomatic_coordination::{StoreError, Why};

use super::backlog_gauge::BacklogGauge;
use super::leases;
use super::options::Options;
use super::plain;
use super::statements::Statements;
use super::waking::{self, Waking};
use crate::database::Database;
use crate::schema::OUTBOX;

/// The outbox of a database: what producers, relays and operators have.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(super) database: Database,
    pub(super) sql: Arc<Statements>,
    waking: Arc<Waking>,
    pub(super) backlog: BacklogGauge,
    pub(super) plainly: plain::Likely,
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
            waking: Arc::new(Waking::new(database, options.notify)),
            backlog: BacklogGauge::new(&options),
            plainly: plain::Likely::default(),
            options,
        })
    }

    /// There may be something to publish: wakes the relays of this process at
    /// once, and those of others [as the options say](super::Options::notify).
    /// To be called when a transaction has committed that enqueued. Cheap, and
    /// never waits.
    ///
    /// The first call begins a task which notifies the others, on a session
    /// that is not of the [`Database`]'s pool, and which ends with the last
    /// handle of the outbox. What it fails at is tried again; until then, and
    /// if the process ends before, they find it when they look next.
    pub fn wake(&self) {
        self.waking.wake();
    }

    /// Hears from now on when there may be something to publish: what relays
    /// of this process wait for.
    ///
    /// The first call begins a task which listens for what other processes
    /// [wake](Self::wake), on a session that is not of the [`Database`]'s pool,
    /// and which ends with the last handle of the outbox. Whenever it has
    /// connected anew it wakes everybody, since it may have missed something.
    pub fn wake_ups(&self) -> WakeUps {
        self.waking.wake_ups()
    }

    /// The channel of `LISTEN` and `NOTIFY`: `axiomatic:` and the schema, cut
    /// to PostgreSQL's 63 bytes. Whoever commits messages by SQL of its own may
    /// `NOTIFY` it, with nothing or anything to say.
    pub fn channel(&self) -> String {
        waking::channel(&self.database)
    }
}
