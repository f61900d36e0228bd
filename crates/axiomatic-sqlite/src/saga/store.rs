//! What the protocol asks, on the threads of the database: what is only read
//! on the one that reads, and what changes something as one of the
//! transactions that share a commit.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::{Bucket, WakeUps};
use axiomatic_coordination::saga::{
    Append, Appended, Attended, Departing, ExecutorId, Found, InLine, Lease, Loaded, LockRequest,
    Locked, Mail, Posted, SagaId, Stage, Start, Started, Store, Summary, Swept, Taken, Worked,
};

use super::due::{self, Take};
use super::row::unreadable;
use super::work::{SagaWork, Undone};
use super::{SAGA, append, leases, lock, look, mail, start, sweep};
use crate::database::Database;
use crate::error::store_error;
use crate::transaction::Transaction;
use crate::writer::RunError;

/// The sagas of a database: what the protocol's [`Store`] asks for, beside the
/// tables of the work.
///
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sagas {
    database: Database,
}

impl Sagas {
    /// Those of this database, which gets tables if it has none. Blocks until
    /// that is done.
    ///
    /// # Errors
    ///
    /// As [`Database::open`].
    pub fn new(database: &Database) -> Result<Self, StoreError> {
        database.prepare(SAGA)?;
        Ok(Sagas {
            database: database.clone(),
        })
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Begins a saga in a transaction of the user's, if that commits: it then
    /// waits for whoever has its bucket, and the executors of this process are
    /// woken. Of [`Start::held`] nothing is written.
    ///
    /// The transaction is one of this database's [`Writer`](crate::Writer).
    ///
    /// # Errors
    ///
    /// What SQLite or the disk said. Nothing of the saga was written then, and
    /// the transaction can go on unless it says otherwise.
    pub fn start_in(&self, tx: &mut Transaction<'_>, start: &Start) -> Result<Started, StoreError> {
        start::start(tx, start, None).map_err(store_error)
    }

    /// Changes something. If that errs, nothing of it is done.
    async fn change<T>(
        &self,
        change: impl Fn(&mut Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
    {
        Ok(self.database.writer().run_repeatable(change).await?)
    }

    /// Reads sagas. Values that are none of ours are damage.
    async fn look<T>(
        &self,
        look: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
    {
        let read = self.database.read(move |reader| match look(reader) {
            Ok(seen) => Ok(Ok(seen)),
            Err(error) => unreadable(error).map(Err),
        });
        read.await?
    }
}

impl Store for Sagas {
    type Work = SagaWork;

    fn wake_ups(&self) -> WakeUps {
        self.database.sagas().wake_ups()
    }

    async fn attend(&self, executor: &ExecutorId, ttl: Duration) -> Result<Attended, StoreError> {
        let executor = executor.clone();
        self.change(move |tx| leases::attend(tx, &executor, ttl))
            .await
    }

    async fn claim(
        &self,
        executor: &ExecutorId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        let (executor, wanted) = (executor.clone(), wanted.to_vec());
        self.change(move |tx| leases::claim(tx, &executor, &wanted, ttl))
            .await
    }

    async fn release(
        &self,
        executor: &ExecutorId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        let (executor, leases) = (executor.clone(), leases.to_vec());
        self.change(move |tx| {
            leases::release(tx, &executor, &leases, departing)?;
            // Others of this process may take what is given back.
            tx.wake_sagas();
            Ok(())
        })
        .await
    }

    async fn start(&self, start: &Start) -> Result<Started, StoreError> {
        let start = start.clone();
        self.change(move |tx| start::start(tx, &start, start.held.as_ref()))
            .await
    }

    async fn take(
        &self,
        leases: &[Lease],
        at_most: usize,
        pause: Duration,
    ) -> Result<Taken, StoreError> {
        let take = Arc::new(Take {
            leases: leases.to_vec(),
            at_most,
            pause,
        });
        // Mostly nothing is due, and then nobody waits for those who write.
        let look = Arc::clone(&take);
        let answer = self.database.read(move |reader| look.answer(reader));
        if let Some(taken) = answer.await? {
            return Ok(taken);
        }
        self.change(move |tx| take.take(tx)).await
    }

    async fn load(&self, lease: &Lease, saga: SagaId) -> Result<Option<Loaded>, StoreError> {
        let lease = lease.clone();
        self.look(move |reader| due::load(reader, &lease, saga))
            .await
    }

    async fn append(&self, lease: &Lease, append: &Append) -> Result<Appended, StoreError> {
        let (lease, append) = (lease.clone(), append.clone());
        self.change(move |tx| append::append(tx, &lease, &append))
            .await
    }

    async fn append_with(
        &self,
        lease: &Lease,
        saga: SagaId,
        after: u64,
        work: SagaWork,
    ) -> Result<Worked, StoreError> {
        let lease = lease.clone();
        let once =
            move |tx: &mut Transaction<'_>| append::append_with(tx, &lease, saga, after, work);
        match self.database.writer().run(once).await {
            Ok(change) => Ok(Worked::Done(change)),
            Err(RunError::Rejected(Undone::Faulted(fault))) => Ok(Worked::Faulted(fault)),
            Err(RunError::Rejected(Undone::Lost)) => Ok(Worked::Lost),
            Err(RunError::Rejected(Undone::Conflict)) => Ok(Worked::Conflict),
            Err(RunError::Rejected(Undone::Store(error))) => Err(store_error(error)),
            Err(RunError::Store(error)) => Err(error),
        }
    }

    async fn lock(&self, lease: &Lease, request: &LockRequest) -> Result<Locked, StoreError> {
        let (lease, request) = (lease.clone(), request.clone());
        self.change(move |tx| lock::lock(tx, &lease, &request))
            .await
    }

    async fn line(&self, resource: &str) -> Result<Vec<InLine>, StoreError> {
        let resource = resource.to_owned();
        self.look(move |reader| lock::line(reader, &resource)).await
    }

    async fn post(&self, saga: SagaId, mail: &Mail) -> Result<Posted, StoreError> {
        let mail = mail.clone();
        self.change(move |tx| mail::post(tx, saga, &mail)).await
    }

    async fn find(&self, saga: SagaId) -> Result<Option<Found>, StoreError> {
        self.look(move |reader| look::find(reader, saga)).await
    }

    async fn list(
        &self,
        stage: Stage,
        after: Option<SagaId>,
        at_most: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        self.look(move |reader| look::list(reader, stage, after, at_most))
            .await
    }

    async fn count(&self) -> Result<[u64; 7], StoreError> {
        self.look(look::count).await
    }

    async fn sweep(
        &self,
        retention: Duration,
        swept: Swept,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.change(move |tx| sweep::sweep(tx, retention, swept, at_most))
            .await
    }
}
