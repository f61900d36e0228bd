//! A store whose answers can be kept back: what is between two of its
//! operations is made long enough for others.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::outbox::{Bucket, WakeUps};
use axiomatic_coordination::saga::{
    Append, Appended, Attended, Departing, ExecutorId, Found, InLine, Lease, Loaded, LockRequest,
    Locked, Mail, MemorySagas, MemoryWork, Posted, SagaId, Stage, Start, Started, Store, Summary,
    Swept, Taken, Worked,
};
use axiomatic_coordination::{Memory, StoreError, Why};
use tokio::sync::Notify;

/// An operation at which there is a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum At {
    /// Before a saga begins.
    Start,
    /// A saga that begins is on its way: whoever sent it may go away.
    Starting,
    /// A saga has begun, and the answer is lost.
    Unanswered,
    /// A saga was to begin, and the question is lost.
    Unasked,
    /// Before something is written.
    Append,
    /// A saga has begun, and the answer is late.
    Started,
    /// Before a saga is parked.
    Park,
    /// When something is written after which nobody has it.
    LetGo,
    /// Before leases are prolonged.
    Attend,
    /// When leases were prolonged.
    Attended,
    /// Local work is done, and its answer is lost.
    Work,
    /// Before buckets are claimed.
    Claim,
    /// When sagas were taken.
    Take,
}

#[derive(Clone, Debug)]
pub(super) struct Gated {
    inner: MemorySagas,
    gate: Arc<Mutex<Closed>>,
    refused: Arc<Mutex<Refused>>,
    /// How often one was parked.
    parked: Arc<Mutex<u32>>,
}

/// What the store refuses of which saga.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Refused {
    #[default]
    Nothing,
    /// All but that it is parked.
    Lines(SagaId),
    /// Local work.
    Work(SagaId),
}

type Closed = Option<(At, Arc<Gate>)>;

/// Whoever comes to it says so, and waits.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) arrived: Notify,
    pub(super) opened: Notify,
}

impl Gate {
    async fn pass(&self) {
        self.arrived.notify_one();
        self.opened.notified().await;
    }
}

impl Gated {
    pub(super) fn new() -> Self {
        Gated {
            inner: MemorySagas::new(&Memory::new()),
            gate: Arc::default(),
            refused: Arc::default(),
            parked: Arc::default(),
        }
    }

    /// This is refused from now on.
    pub(super) fn refuse(&self, refused: Refused) {
        *self.refused.lock().unwrap() = refused;
    }

    pub(super) fn parked(&self) -> u32 {
        *self.parked.lock().unwrap()
    }

    fn refuses(&self, refused: Refused) -> Result<(), StoreError> {
        match *self.refused.lock().unwrap() == refused {
            true => Err(StoreError::new(Why::Refused)),
            false => Ok(()),
        }
    }

    pub(super) fn database(&self) -> &Memory {
        self.inner.database()
    }

    /// Who comes there next waits.
    pub(super) fn close(&self, at: At) -> Arc<Gate> {
        let gate = Arc::<Gate>::default();
        *self.gate.lock().unwrap() = Some((at, Arc::clone(&gate)));
        gate
    }

    fn closed(&self, at: At) -> Option<Arc<Gate>> {
        let mut closed = self.gate.lock().unwrap();
        match &*closed {
            Some((other, _)) if *other == at => closed.take().map(|(_, gate)| gate),
            _ => None,
        }
    }

    async fn pass(&self, at: At) {
        if let Some(gate) = self.closed(at) {
            gate.pass().await;
        }
    }

    /// As [`pass`](Self::pass), where something is lost if the gate is closed.
    async fn lose(&self, at: At) -> Result<(), StoreError> {
        if let Some(gate) = self.closed(at) {
            gate.pass().await;
            return Err(StoreError::new(Why::Unavailable));
        }
        Ok(())
    }
}

impl Store for Gated {
    type Work = MemoryWork;

    fn wake_ups(&self) -> WakeUps {
        self.inner.wake_ups()
    }

    async fn attend(&self, executor: &ExecutorId, ttl: Duration) -> Result<Attended, StoreError> {
        self.pass(At::Attend).await;
        let attended = self.inner.attend(executor, ttl).await?;
        self.pass(At::Attended).await;
        Ok(attended)
    }

    async fn claim(
        &self,
        executor: &ExecutorId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        self.pass(At::Claim).await;
        self.inner.claim(executor, wanted, ttl).await
    }

    async fn release(
        &self,
        executor: &ExecutorId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        self.inner.release(executor, leases, departing).await
    }

    async fn start(&self, start: &Start) -> Result<Started, StoreError> {
        if start.held.is_some() {
            self.pass(At::Start).await;
            self.lose(At::Unasked).await?;
            if let Some(gate) = self.closed(At::Starting) {
                let (inner, start) = (self.inner.clone(), start.clone());
                let arriving = tokio::spawn(async move {
                    gate.pass().await;
                    inner.start(&start).await
                });
                return arriving.await.expect("no panic");
            }
        }
        let started = self.inner.start(start).await?;
        if start.held.is_some() {
            self.lose(At::Unanswered).await?;
            self.pass(At::Started).await;
        }
        Ok(started)
    }

    async fn take(
        &self,
        leases: &[Lease],
        at_most: usize,
        pause: Duration,
    ) -> Result<Taken, StoreError> {
        let taken = self.inner.take(leases, at_most, pause).await?;
        if !taken.sagas.is_empty() {
            self.pass(At::Take).await;
        }
        Ok(taken)
    }

    async fn load(&self, lease: &Lease, saga: SagaId) -> Result<Option<Loaded>, StoreError> {
        self.inner.load(lease, saga).await
    }

    async fn append(&self, lease: &Lease, append: &Append) -> Result<Appended, StoreError> {
        if append.change.stage == Stage::Parked {
            self.pass(At::Park).await;
            *self.parked.lock().unwrap() += 1;
        } else {
            self.refuses(Refused::Lines(append.saga))?;
        }
        if !append.change.records.is_empty() {
            // On its way: whoever sent it may go away, and it comes.
            if let Some(gate) = self.closed(At::Append) {
                let (inner, lease, append) = (self.inner.clone(), lease.clone(), append.clone());
                let arriving = tokio::spawn(async move {
                    gate.pass().await;
                    inner.append(&lease, &append).await
                });
                return arriving.await.expect("no panic");
            }
        }
        let appended = self.inner.append(lease, append).await?;
        if append.change.wake != axiomatic_coordination::saga::Wake::Held {
            self.pass(At::LetGo).await;
        }
        Ok(appended)
    }

    async fn append_with(
        &self,
        lease: &Lease,
        saga: SagaId,
        after: u64,
        work: MemoryWork,
    ) -> Result<Worked, StoreError> {
        self.refuses(Refused::Work(saga))?;
        let worked = self.inner.append_with(lease, saga, after, work).await;
        self.lose(At::Work).await?;
        worked
    }

    async fn lock(&self, lease: &Lease, request: &LockRequest) -> Result<Locked, StoreError> {
        self.inner.lock(lease, request).await
    }

    async fn line(&self, resource: &str) -> Result<Vec<InLine>, StoreError> {
        self.inner.line(resource).await
    }

    async fn post(&self, saga: SagaId, mail: &Mail) -> Result<Posted, StoreError> {
        self.inner.post(saga, mail).await
    }

    async fn find(&self, saga: SagaId) -> Result<Option<Found>, StoreError> {
        self.inner.find(saga).await
    }

    async fn list(
        &self,
        stage: Stage,
        after: Option<SagaId>,
        at_most: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        self.inner.list(stage, after, at_most).await
    }

    async fn count(&self) -> Result<[u64; 7], StoreError> {
        self.inner.count().await
    }

    async fn sweep(
        &self,
        retention: Duration,
        swept: Swept,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.inner.sweep(retention, swept, at_most).await
    }
}
