//! Operations of the store, each one statement but for local work and locks.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::{Bucket, Wake, WakeUps};
use axiomatic_coordination::saga::{
    Append, Appended, Attended, Departing, ExecutorId, Found, InLine, Lease, Loaded, LockRequest,
    Locked, Mail, Posted, SagaId, Stage, Start, Started, Store, Summary, Swept, Taken, Worked,
};
use axiomatic_coordination::{StoreError, Why};
use tokio::sync::Semaphore;

use super::batches::Batches;
use super::lines::Lines;
use super::rows::{self, at_most, micros};
use super::sql::Sql;
use super::work::SagaWork;
use super::write::{self, How, Outcome, What};
use crate::connected::Connected;
use crate::database::Database;
use crate::schema::SAGA;
use crate::wire::{Param, damaged};

/// The sagas of a database: a [`Store`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sagas {
    pub(super) database: Database,
    pub(super) sql: Arc<Sql>,
    pub(super) bell: Wake,
    /// How many may have a connection at once for as long as others like: local
    /// work, and who enters lines.
    pub(super) locals: Arc<Semaphore>,
    pub(super) lines: Lines,
    batches: Batches,
}

impl Sagas {
    /// Those of this database, which gets its tables if it has none.
    ///
    /// # Errors
    ///
    /// [`Why::Incompatible`](axiomatic_coordination::Why::Incompatible) if the
    /// tables are of another release; otherwise what PostgreSQL said.
    pub async fn new(database: &Database) -> Result<Self, StoreError> {
        database.prepare(&SAGA).await?;
        let sql = Arc::new(Sql::new(database.schema()));
        let bell = Wake::new();
        // One for leases, and one for what is written of other sagas.
        let locals = database.connections().saturating_sub(2).max(1);
        let locals = Arc::new(Semaphore::new(locals));
        let lines = Lines::new(database, &sql, &bell, &locals);
        Ok(Sagas {
            database: database.clone(),
            batches: Batches::new(database, &sql, &bell, &lines),
            lines,
            locals,
            sql,
            bell,
        })
    }

    /// Begins a saga in a transaction of the user's, with which it commits.
    /// Nobody holds it: whatever [`held`](Start::held) says is not written.
    ///
    /// When it has committed, [`wake`](Self::wake). If another transaction has
    /// begun a saga of this id and not yet ended, it is waited for.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the transaction is aborted, as after any other error.
    pub async fn start_in(
        &self,
        tx: &mut impl Connected,
        start: &Start,
    ) -> Result<Started, StoreError> {
        let mut start = start.clone();
        start.held = None;
        let what = What::Start(start);
        what.check()?;
        let how = How {
            is_fenced: false,
            patience: None,
        };
        let params = write::params(&[&what], how);
        let rows = tx.query(&self.sql.write, &params).await?;
        let outcomes = write::outcomes(&[&what], &rows)?;
        outcomes.into_iter().next().map_or_else(unanswered, started)
    }

    /// There may be something to do: wakes the executors of this process.
    /// Those of others see it when they look next. To be called when a
    /// transaction has committed that [began](Self::start_in) a saga. Cheap,
    /// and never waits.
    pub fn wake(&self) {
        self.bell.wake();
    }

    /// How many transactions this handle and its clones have committed for
    /// all their starts and changes.
    #[doc(hidden)]
    pub fn commits(&self) -> u64 {
        self.batches.commits()
    }
}

impl Store for Sagas {
    type Work = SagaWork;

    fn wake_ups(&self) -> WakeUps {
        self.bell.wake_ups()
    }

    async fn attend(&self, executor: &ExecutorId, ttl: Duration) -> Result<Attended, StoreError> {
        let params = [Param::new(executor.as_str()), Param::new(micros(ttl))];
        reach("postgres.saga.attend.asked");
        let rows = self.database.query(&self.sql.attend, &params).await?;
        reach("postgres.saga.attend.done");
        // Who attends is to hear in time what it holds.
        let _ = tokio::time::timeout(ttl / 10, self.lines.heal()).await;
        rows::attended(&rows, executor)
    }

    async fn claim(
        &self,
        executor: &ExecutorId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        let params = [
            Param::array(wanted.iter().map(|bucket| i32::from(bucket.0))),
            Param::new(executor.as_str()),
            Param::new(micros(ttl)),
        ];
        reach("postgres.saga.claim.asked");
        let rows = self.database.query(&self.sql.claim, &params).await?;
        reach("postgres.saga.claim.done");
        rows::claimed(&rows, executor)
    }

    async fn release(
        &self,
        executor: &ExecutorId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        let [buckets, epochs, owners] = rows::leases(leases);
        let params = [
            Param::new(executor.as_str()),
            buckets,
            epochs,
            owners,
            Param::new(departing == Departing::Yes),
        ];
        reach("postgres.saga.release.asked");
        self.database.query(&self.sql.release, &params).await?;
        reach("postgres.saga.release.done");
        // Others may take what is given back.
        self.bell.wake();
        Ok(())
    }

    async fn start(&self, start: &Start) -> Result<Started, StoreError> {
        let mut start = start.clone();
        start.held = start
            .held
            .filter(|(lease, _)| lease.bucket == start.saga.bucket());
        started(self.batches.write(What::Start(start)).await?)
    }

    async fn take(
        &self,
        leases: &[Lease],
        sagas: usize,
        pause: Duration,
    ) -> Result<Taken, StoreError> {
        let [buckets, epochs, owners] = rows::leases(leases);
        let [stages, kinds, subjects] = rows::legible();
        let params = [
            buckets,
            epochs,
            owners,
            Param::new(at_most(sagas)),
            Param::new(micros(pause)),
            stages,
            kinds,
            subjects,
        ];
        reach("postgres.saga.take.asked");
        let rows = self.database.query(&self.sql.take, &params).await?;
        reach("postgres.saga.take.done");
        rows::taken(&rows, leases)
    }

    async fn load(&self, lease: &Lease, saga: SagaId) -> Result<Option<Loaded>, StoreError> {
        let [bucket, epoch, owner] = rows::lease(lease);
        let params = [bucket, epoch, owner, Param::new(saga.0)];
        reach("postgres.saga.load.asked");
        let rows = self.database.query(&self.sql.load, &params).await?;
        reach("postgres.saga.load.done");
        match rows.is_empty() {
            true => Ok(None),
            false => rows::loaded(&rows, std::slice::from_ref(lease)).map(Some),
        }
    }

    async fn append(&self, lease: &Lease, append: &Append) -> Result<Appended, StoreError> {
        if lease.bucket != append.saga.bucket() {
            return Ok(Appended::Lost);
        }
        let what = What::Append(lease.clone(), append.clone());
        match self.batches.write(what).await? {
            Outcome::Held => Ok(Appended::Held),
            Outcome::Lost => Ok(Appended::Lost),
            Outcome::Conflict => Ok(Appended::Conflict),
            other => Err(damaged(format!("a change is {other:?}"))),
        }
    }

    async fn append_with(
        &self,
        lease: &Lease,
        saga: SagaId,
        after: u64,
        work: SagaWork,
    ) -> Result<Worked, StoreError> {
        if lease.bucket != saga.bucket() {
            return Ok(Worked::Lost);
        }
        self.work(lease, saga, after, work).await
    }

    async fn lock(&self, lease: &Lease, request: &LockRequest) -> Result<Locked, StoreError> {
        if lease.bucket != request.saga.bucket() {
            return Ok(Locked::Lost);
        }
        self.lines.enter(lease, request).await
    }

    async fn line(&self, resource: &str) -> Result<Vec<InLine>, StoreError> {
        self.lines.of(resource).await
    }

    async fn post(&self, saga: SagaId, mail: &Mail) -> Result<Posted, StoreError> {
        let params = [
            Param::new(saga.0),
            Param::new(mail.id),
            Param::new(mail.subject.as_str()),
            Param::new(&*mail.name),
            Param::new(&mail.data[..]),
        ];
        reach("postgres.saga.post.asked");
        let rows = self.database.query(&self.sql.post, &params).await?;
        reach("postgres.saga.post.done");
        self.bell.wake();
        rows::posted(&rows)
    }

    async fn find(&self, saga: SagaId) -> Result<Option<Found>, StoreError> {
        let params = [Param::new(saga.0)];
        let rows = self.database.query(&self.sql.find, &params).await?;
        match rows.is_empty() {
            true => Ok(None),
            false => rows::found(&rows).map(|(_, found)| Some(found)),
        }
    }

    async fn list(
        &self,
        stage: Stage,
        after: Option<SagaId>,
        sagas: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        let mut params = vec![Param::new(stage.as_str()), Param::new(at_most(sagas))];
        let sql = match after {
            Some(SagaId(after)) => {
                params.push(Param::new(after));
                &self.sql.behind
            }
            None => &self.sql.first,
        };
        let rows = self.database.query(sql, &params).await?;
        rows.iter().map(rows::summary).collect()
    }

    async fn count(&self) -> Result<[u64; 7], StoreError> {
        rows::counted(&self.database.query(&self.sql.count, &[]).await?)
    }

    async fn sweep(
        &self,
        retention: Duration,
        swept: Swept,
        sagas: usize,
    ) -> Result<usize, StoreError> {
        let params = [
            Param::new(micros(retention)),
            Param::new(swept == Swept::Archived),
            Param::new(at_most(sagas)),
        ];
        reach("postgres.saga.sweep.asked");
        let rows = self.database.query(&self.sql.sweep, &params).await?;
        reach("postgres.saga.sweep.done");
        let gone: i64 = rows::only(&rows)?.get(0)?;
        Ok(usize::try_from(gone).unwrap_or(0))
    }
}

/// What became of a start, in whoever's transaction.
fn started(outcome: Outcome) -> Result<Started, StoreError> {
    match outcome {
        Outcome::Held => Ok(Started::Held),
        Outcome::Waits => Ok(Started::Waits),
        Outcome::Before => Ok(Started::Before),
        Outcome::Other => Ok(Started::Other),
        // There is nothing wrong with it: asked again it begins.
        Outcome::Gone => Err(StoreError::new(Why::Busy).because("it was deleted at the same time")),
        other => Err(damaged(format!("a start is {other:?}"))),
    }
}

fn unanswered() -> Result<Started, StoreError> {
    Err(damaged("a start was not answered".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_of_what_is_just_swept_can_be_asked_again() {
        let busy = started(Outcome::Gone).expect_err("nobody knows of it");
        assert_eq!(busy.why(), Why::Busy);
        assert!(busy.why().is_transient());
        let damaged = started(Outcome::Conflict).expect_err("that is of appends");
        assert_eq!(damaged.why(), Why::Corrupt);
    }
}
