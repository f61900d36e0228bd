//! The inbox of a database.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::inbox::{
    self as protocol, Delivery, Id, IdError, Quarantined, Snapshot, Waiting,
};
use axiomatic_coordination::{StoreError, Why};

use super::options::Options;
use super::rows::{self, Turn};
use super::tables::Tables;
use crate::database::Database;
use crate::schema::{self, INBOX};
use crate::wire::Param;

/// An inbox whose tables stand beside those of the work. Cheap to clone.
///
/// What takes a transaction takes one of the user's; see
/// [`Connected`](crate::Connected). It has to be READ COMMITTED, which is what
/// PostgreSQL's are unless it is said otherwise.
#[derive(Clone, Debug)]
pub struct Inbox {
    pub(super) protocol: protocol::Inbox,
    pub(super) tables: Arc<Tables>,
    database: Database,
    options: Options,
}

impl Inbox {
    /// The inbox of this database, which gets its tables if it has none, and
    /// the partitions that are missing. That a partition could not be made is
    /// no error: [`sweep`](Self::sweep) makes it later.
    ///
    /// # Errors
    ///
    /// [`Why::Incompatible`] if the tables are of another release; otherwise
    /// what PostgreSQL said.
    pub async fn new(
        database: &Database,
        inbox: protocol::Inbox,
        options: Options,
    ) -> Result<Self, StoreError> {
        database.prepare(&INBOX).await?;
        let inbox = Inbox {
            protocol: inbox,
            tables: Arc::new(Tables::new(database.schema())),
            database: database.clone(),
            options,
        };
        // Whoever lets no program make tables has it done elsewhere.
        if database.tables() == schema::Tables::Migrate {
            busy_or(inbox.make_partitions().await)?;
        }
        Ok(inbox)
    }

    /// Forgets messages that were seen longer ago than the retention, by
    /// dropping the partitions that hold nothing else, and makes those that
    /// will be needed; and forgets attempts at messages that nobody has
    /// brought again for as long.
    ///
    /// To be called by a timer, a few times in the width of a partition. Any
    /// number of processes may. If its future is dropped, each partition is
    /// dropped or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        match busy_or(self.make_partitions().await)? {
            Some(made) => swept.made = made,
            None => swept.is_held_up = true,
        }
        let age = [Param::new(micros(self.retention()))];
        let sql = &self.tables.sql;
        let old = self.database.query(&sql.old_partitions, &age).await?;
        for row in old {
            let name: String = row.get(0)?;
            let turn = Turn::Partitions.number(&self.tables.schema);
            let params = [
                Param::new(&*name),
                age[0].clone(),
                Param::new(turn),
                Param::new(self.patience()),
            ];
            let dropped = self.database.query(&sql.drop_partition, &params).await;
            match busy_or(dropped)? {
                Some(rows) => {
                    let is_gone = rows.first().map_or(Ok(false), |row| row.get(0))?;
                    swept.dropped.extend(is_gone.then(|| name.into()));
                }
                // Whoever is in the way of one is in the way of all.
                None => {
                    swept.is_held_up = true;
                    break;
                }
            }
        }
        self.database.query(&sql.sweep_starts, &age).await?;
        Ok(swept)
    }

    /// Makes the partitions that are missing, and returns how many it made.
    async fn make_partitions(&self) -> Result<usize, StoreError> {
        let width = self.options.width(self.retention());
        let ahead = i32::try_from(self.options.ahead.get()).unwrap_or(i32::MAX);
        let params = [
            Param::new(micros(width)),
            Param::new(ahead),
            Param::new(Turn::Partitions.number(&self.tables.schema)),
            Param::new(self.patience()),
        ];
        let made = self
            .database
            .query(&self.tables.sql.make_partitions, &params);
        let made: i32 = match made.await?.first() {
            Some(row) => row.get(0)?,
            None => 0,
        };
        Ok(usize::try_from(made).unwrap_or(0))
    }

    /// The messages in quarantine, the oldest first, at most this many.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn peek(&self, most: usize) -> Result<Vec<Quarantined>, StoreError> {
        let most = [limit(most)];
        let found = self.database.query(&self.tables.sql.peek, &most).await?;
        found.iter().map(rows::quarantined).collect()
    }

    /// The streams of which something is missing, the longest first, at most
    /// this many: what a timer hands to
    /// [`give_up_overdue`](Self::give_up_overdue), one after the other.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn waiting(&self, most: usize) -> Result<Vec<Waiting>, StoreError> {
        let (waiting, most) = (&self.tables.sql.waiting, [limit(most)]);
        let found = self.database.query(waiting, &most).await?;
        found.iter().map(rows::waits).collect()
    }

    /// The id of a delivery, by this inbox's rule.
    ///
    /// # Errors
    ///
    /// [`IdError`] if it has none.
    pub fn id_of(&self, delivery: &Delivery) -> Result<Id, IdError> {
        self.protocol.id_of(delivery)
    }

    /// For how long ids are remembered.
    pub fn retention(&self) -> Duration {
        self.protocol.retention()
    }

    /// What it has counted since it was made, whether or not the transactions
    /// committed.
    pub fn snapshot(&self) -> Snapshot {
        self.protocol.snapshot()
    }

    /// As PostgreSQL's `lock_timeout` has it, of which 0 is for ever.
    fn patience(&self) -> String {
        format!("{}ms", self.options.patience.as_millis().max(1))
    }
}

/// What a [sweep](Inbox::sweep) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The partitions that were dropped, by their names, the oldest first; the
    /// default partition, for times for which none was made, was emptied.
    pub dropped: Vec<Box<str>>,
    /// How many partitions were made.
    pub made: usize,
    /// A transaction that uses the inbox was in the way, so something is left
    /// to do: by the next sweep.
    pub is_held_up: bool,
}

/// Nothing if a lock was not to be had.
fn busy_or<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.why() == Why::Busy => Ok(None),
        Err(error) => Err(error),
    }
}

fn micros(time: Duration) -> i64 {
    // Half of it, since it is taken from a time.
    i64::try_from(time.as_micros()).map_or(i64::MAX / 2, |micros| micros.min(i64::MAX / 2))
}

fn limit(most: usize) -> Param {
    Param::new(i64::try_from(most).unwrap_or(i64::MAX))
}
