//! Sagas in a [`Memory`].
//!
//! Each operation is one transaction. All but local work can only be done or
//! not be begun, and are done [at once](Memory::at_once): nothing has to be
//! taken back.

mod changing;
mod leasing;
mod lines;
#[cfg(feature = "tokio")]
mod local;
mod tables;
mod taking;

use std::fmt;
use std::time::Duration;

use super::change::{Append, Appended, Change};
use super::fault::Fault;
use super::id::{ExecutorId, Lease, SagaId};
use super::locks::{InLine, LockRequest, Locked};
use super::mail::{Mail, Posted};
use super::record::Stage;
use super::store::{
    Attended, Departing, Found, Loaded, Start, Started, Store, Summary, Swept, Taken, Worked,
};
use crate::outbox::{Bucket, WakeUps};
use crate::{Memory, MemoryTransaction, StoreError, TransactError};
use changing::Unworked;

#[cfg(feature = "tokio")]
pub use local::MemoryLocal;
pub(crate) use tables::SagaTables;

/// The sagas of a [`Memory`]: a [`Store`].
#[derive(Clone, Debug)]
pub struct MemorySagas {
    memory: Memory,
}

impl MemorySagas {
    /// Those of this database.
    pub fn new(memory: &Memory) -> Self {
        MemorySagas {
            memory: memory.clone(),
        }
    }

    /// The database.
    pub fn database(&self) -> &Memory {
        &self.memory
    }

    /// A saga as it stands, though the database be down, which is no step.
    #[cfg(feature = "trial")]
    pub(crate) fn peek(&self, saga: SagaId) -> Option<Found> {
        self.memory.peek(|tables| tables.sagas.find(saga))
    }

    /// All leases end, as if their time were over.
    #[cfg(feature = "trial")]
    pub(crate) fn end_leases(&self) {
        self.memory.peek(|tables| tables.sagas.end_leases());
    }
}

/// Work of a local step in a [`Memory`].
pub struct MemoryWork(Work);

type Work = Box<dyn FnOnce(&mut MemoryTransaction<'_>) -> Result<Change, Fault> + Send>;

impl MemoryWork {
    /// What is done in the transaction that appends the change.
    pub fn new(
        work: impl FnOnce(&mut MemoryTransaction<'_>) -> Result<Change, Fault> + Send + 'static,
    ) -> Self {
        MemoryWork(Box::new(work))
    }

    /// Does it.
    #[cfg(feature = "trial")]
    pub(crate) fn run(self, tx: &mut MemoryTransaction<'_>) -> Result<Change, Fault> {
        (self.0)(tx)
    }
}

impl fmt::Debug for MemoryWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWork").finish_non_exhaustive()
    }
}

impl Store for MemorySagas {
    type Work = MemoryWork;

    fn wake_ups(&self) -> WakeUps {
        self.memory.wake().wake_ups()
    }

    async fn attend(&self, executor: &ExecutorId, ttl: Duration) -> Result<Attended, StoreError> {
        self.memory
            .at_once(|at| at.tables.sagas.attend(executor, ttl, at.now))
    }

    async fn claim(
        &self,
        executor: &ExecutorId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        self.memory
            .at_once(|at| at.tables.sagas.claim(executor, wanted, ttl, at.now))
    }

    async fn release(
        &self,
        executor: &ExecutorId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        self.memory.at_once(|at| {
            at.tables.sagas.release(executor, leases, departing, at.now);
            // Others may take what was given back.
            at.wakes = true;
        })
    }

    async fn start(&self, start: &Start) -> Result<Started, StoreError> {
        self.memory.at_once(|at| {
            let started = at.tables.sagas.start(start, at.now);
            at.wakes = started == Started::Waits;
            started
        })
    }

    async fn take(
        &self,
        leases: &[Lease],
        at_most: usize,
        _: Duration,
    ) -> Result<Taken, StoreError> {
        self.memory
            .at_once(|at| at.tables.sagas.take(leases, at_most, at.now))
    }

    async fn load(&self, lease: &Lease, saga: SagaId) -> Result<Option<Loaded>, StoreError> {
        self.memory
            .at_once(|at| at.tables.sagas.load(lease, saga, at.now))
    }

    async fn append(&self, lease: &Lease, append: &Append) -> Result<Appended, StoreError> {
        self.memory.at_once(|at| {
            let (appended, is_due) = at.tables.sagas.append(lease, append, at.now);
            at.wakes = is_due;
            appended
        })
    }

    async fn append_with(
        &self,
        lease: &Lease,
        saga: SagaId,
        after: u64,
        work: MemoryWork,
    ) -> Result<Worked, StoreError> {
        let done = self
            .memory
            .transact(|tx| tx.append_with(lease, saga, after, work.0));
        match done {
            Ok(change) => Ok(Worked::Done(change)),
            Err(TransactError::Rejected(Unworked::Faulted(fault))) => Ok(Worked::Faulted(fault)),
            Err(TransactError::Rejected(Unworked::Lost)) => Ok(Worked::Lost),
            Err(TransactError::Rejected(Unworked::Conflict)) => Ok(Worked::Conflict),
            Err(
                TransactError::Rejected(Unworked::Crashed(error)) | TransactError::Store(error),
            ) => Err(error),
        }
    }

    async fn lock(&self, lease: &Lease, request: &LockRequest) -> Result<Locked, StoreError> {
        self.memory.at_once(|at| {
            let locked = at.tables.sagas.lock(lease, request, at.now);
            at.wakes = locked == Locked::Held;
            locked
        })
    }

    async fn line(&self, resource: &str) -> Result<Vec<InLine>, StoreError> {
        self.memory.at_once(|at| at.tables.sagas.line(resource))
    }

    async fn post(&self, saga: SagaId, mail: &Mail) -> Result<Posted, StoreError> {
        self.memory.at_once(|at| {
            let posted = at.tables.sagas.post(saga, mail, at.now);
            at.wakes = posted == Posted::Accepted;
            posted
        })
    }

    async fn find(&self, saga: SagaId) -> Result<Option<Found>, StoreError> {
        self.memory.at_once(|at| at.tables.sagas.find(saga))
    }

    async fn list(
        &self,
        stage: Stage,
        after: Option<SagaId>,
        at_most: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        self.memory
            .at_once(|at| at.tables.sagas.list(stage, after, at_most))
    }

    async fn count(&self) -> Result<[u64; 7], StoreError> {
        self.memory.at_once(|at| at.tables.sagas.places.counts)
    }

    async fn sweep(
        &self,
        retention: Duration,
        swept: Swept,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.memory
            .at_once(|at| at.tables.sagas.sweep(retention, swept, at_most, at.now))
    }
}
