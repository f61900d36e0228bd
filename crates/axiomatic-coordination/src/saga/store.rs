//! What sagas ask of a database.

use std::time::Duration;

use bytes::Bytes;

use super::change::{Append, Appended, Change};
use super::fault::Fault;
use super::id::{ExecutorId, Lease, SagaId};
use super::locks::{InLine, LockRequest, Locked};
use super::mail::{Mail, Posted};
use super::record::{Recorded, Stage};
use crate::outbox::{Bucket, WakeUps};
use crate::{StoreError, Timestamp};

/// A database with the logs of sagas.
///
/// A handle, cheap to clone. Every operation is one transaction: done when it
/// returns `Ok`, and durable; on `Err` done or not done, and in no case half.
/// Each can be asked again with the same arguments, and then answers as if it
/// had been asked once, but for three which say so: [`start`](Self::start),
/// [`take`](Self::take) and [`append_with`](Self::append_with). Futures can be
/// dropped at any await, and the operation was done or not.
///
/// A lease is one of its own bucket only: for a saga of another it is lost.
/// And whoever has lost the lease hears that, whatever else is wrong.
///
/// Time is the store's own clock: operations take how long something lasts,
/// never until when.
pub trait Store: Clone + Send + Sync + 'static {
    /// The work of a [local](Self::append_with) step, as the engine runs it in
    /// a transaction of its own type, which no trait can name.
    type Work: Send + 'static;

    /// What wakes executors of this process when there may be something to do:
    /// a saga begins that is not held, one gets mail or is to be looked at
    /// later, leases are given back.
    fn wake_ups(&self) -> WakeUps;

    /// Writes down that this executor will be here for so long, prolongs all
    /// leases of it that have not ended to as long, and says who is here.
    fn attend(
        &self,
        executor: &ExecutorId,
        ttl: Duration,
    ) -> impl Future<Output = Result<Attended, StoreError>> + Send;

    /// Takes those of these buckets that nobody holds: never held, released,
    /// or ended. Each has a greater epoch than ever before. All of its sagas
    /// that somebody [held](super::Wake::Held) are due at once.
    ///
    /// One of them that this executor holds already is told as it is, lasts so
    /// long from now, and makes nothing due: it was asked for before, and the
    /// answer was lost.
    fn claim(
        &self,
        executor: &ExecutorId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> impl Future<Output = Result<Vec<Lease>, StoreError>> + Send;

    /// Gives these leases back, those that were held still; and, if
    /// `departing`, forgets that the executor is here.
    fn release(
        &self,
        executor: &ExecutorId,
        leases: &[Lease],
        departing: Departing,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins a saga. If there is one of this id, nothing is changed: whoever
    /// asks again because the answer was lost hears [`Started::Before`],
    /// [loads](Self::load) the saga, and sees.
    ///
    /// A saga that is started [with a lease](Start::held) is
    /// [held](super::Wake::Held) by it, if the lease is; otherwise it is due,
    /// and waits for whoever has its bucket.
    fn start(&self, start: &Start) -> impl Future<Output = Result<Started, StoreError>> + Send;

    /// Takes sagas that are due: those whose time has come or who have mail,
    /// in buckets whose lease is held still; the longest due first. They are
    /// then [held](super::Wake::Held), and their [`loads`](Loaded::loads) count
    /// one more. A saga that is held already and has mail is given with it,
    /// each time until the mail is read; that counts as no load.
    ///
    /// A saga that cannot be read is [`Broken`], costs the others nothing, and
    /// is due again after `pause`.
    ///
    /// What is taken and never heard of is held, and not taken again: whoever
    /// gets no answer gives the leases back, and claims the buckets anew.
    fn take(
        &self,
        leases: &[Lease],
        at_most: usize,
        pause: Duration,
    ) -> impl Future<Output = Result<Taken, StoreError>> + Send;

    /// The saga as it stands, for who holds its lease; `None` if it is gone,
    /// has ended, or the lease is lost. Nothing is changed.
    fn load(
        &self,
        lease: &Lease,
        saga: SagaId,
    ) -> impl Future<Output = Result<Option<Loaded>, StoreError>> + Send;

    /// Changes a saga, if the lease is held: the statement that writes locks
    /// the row of the lease (or does what is as good in this engine) and
    /// compares owner, epoch and that it has not ended, by the database's
    /// clock at that moment.
    ///
    /// A saga that has mail which is not read is due in any case, whatever the
    /// change says of [waking](super::Wake). Only if it is parked with it, so
    /// nobody can read what it has: letters that are there by then wait for
    /// that time, or for another letter.
    ///
    /// A saga that ends with it leaves all lines in which it
    /// [stands](Self::lock), in the same transaction.
    ///
    /// Asked again with the same lease and the same append:
    /// [`Appended::Held`].
    fn append(
        &self,
        lease: &Lease,
        append: &Append,
    ) -> impl Future<Output = Result<Appended, StoreError>> + Send;

    /// In one transaction: looks that the lease is held and the log has so
    /// many lines, with the lease locked until the end; does the work; appends
    /// the change which the work returned. If the work errs, nothing is
    /// written.
    ///
    /// If the lease ends while the work runs, either nobody has the bucket
    /// before the transaction has ended, or nothing of it is done
    /// ([`Worked::Lost`]): whoever follows sees all of it, or sees nothing and
    /// nothing comes later.
    ///
    /// It cannot be asked again: whoever gets no answer [loads](Self::load)
    /// the saga, and sees.
    fn append_with(
        &self,
        lease: &Lease,
        saga: SagaId,
        after: u64,
        work: Self::Work,
    ) -> impl Future<Output = Result<Worked, StoreError>> + Send;

    /// Has a saga stand in line for all that it asks for, if the lease is held:
    /// at the end of each line, as one. A lock is a place in a line; whoever
    /// has nobody before it with whom it cannot share has the resource, until
    /// its saga ends. When it has all of a request, the request's
    /// [letter](LockRequest::letter) is posted to it: by this operation, or,
    /// soon after others have ended, by what ended them. If that dies in
    /// between, it is posted when somebody [attends](Self::attend).
    ///
    /// A saga that stands in lines already waits for nothing more: it has at
    /// once what it asks for, or is [`Busy`](Locked::Busy) and keeps what it
    /// has. So whoever waits stands, in all of its lines, behind sagas that
    /// came before it, and no two wait for each other.
    ///
    /// A request that stands in line is answered as it stands.
    fn lock(
        &self,
        lease: &Lease,
        request: &LockRequest,
    ) -> impl Future<Output = Result<Locked, StoreError>> + Send;

    /// Who stands in line for a resource, the first first.
    fn line(&self, resource: &str) -> impl Future<Output = Result<Vec<InLine>, StoreError>> + Send;

    /// Says something to a saga, whoever runs it: it is due at once. Letters
    /// keep their order. A letter whose id stands in the log or waits already
    /// changes nothing, whatever else it says. What is not read when the saga
    /// ends is kept with it.
    fn post(
        &self,
        saga: SagaId,
        mail: &Mail,
    ) -> impl Future<Output = Result<Posted, StoreError>> + Send;

    /// What is known of a saga; also of one that is in the archive, if there
    /// is no other of its id.
    fn find(&self, saga: SagaId) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// Sagas of a stage, in the order of their ids, behind this one.
    fn list(
        &self,
        stage: Stage,
        after: Option<SagaId>,
        at_most: usize,
    ) -> impl Future<Output = Result<Vec<Summary>, StoreError>> + Send;

    /// How many sagas are at each stage, in the order of [`Stage::ALL`].
    fn count(&self) -> impl Future<Output = Result<[u64; 7], StoreError>> + Send;

    /// Puts away what is kept no longer: sagas that have ended this long ago,
    /// with their logs, at most so many; and executors that are gone. Returns
    /// how many sagas there were.
    ///
    /// What is in the archive is [found](Self::find), and for everything else
    /// it is gone.
    fn sweep(
        &self,
        retention: Duration,
        swept: Swept,
        at_most: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

/// Work of a step in the saga's own database, and how its result becomes what
/// is appended: built by an executor, for [`Store::append_with`].
///
/// An engine's function for local steps takes one of these and the user's
/// closure, and makes a [`Store::Work`] of them.
pub type Then = Box<dyn FnOnce(Bytes) -> Result<Change, Fault> + Send>;

/// Who is here, and what is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attended {
    /// All executors that are here.
    pub executors: Vec<ExecutorId>,
    /// The leases of this one that it held still, and holds on.
    pub leases: Vec<Lease>,
}

/// What becomes of sagas that are kept no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Swept {
    /// They are deleted.
    #[default]
    Deleted,
    /// They are moved, each as one row with its log, to a table that nothing
    /// reads but a question for one of them, and that whoever operates the
    /// database empties.
    Archived,
}

/// Whether an executor that gives leases back goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departing {
    /// It does.
    Yes,
    /// It stays.
    No,
}

/// A saga that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its id.
    pub saga: SagaId,
    /// What it is one of.
    pub definition: Definition,
    /// What it was given, JSON.
    pub input: Bytes,
    /// It turns if it has not come to its pivot by then; from now.
    pub deadline: Option<Duration>,
    /// Who begins to run it, and what is written at once. Its
    /// [`wake`](Change::wake) is [`Held`](super::Wake::Held).
    pub held: Option<(Lease, Change)>,
}

/// Which definition a saga is run by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Definition {
    /// Its name.
    pub name: std::sync::Arc<str>,
    /// Its version, which its author counts.
    pub version: u32,
    /// A hash of its steps.
    pub hash: u64,
}

/// What became of a saga that was to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It has begun, and is held by the lease it was started with.
    Held,
    /// It has begun, and waits for whoever has its bucket. Nothing of
    /// [`Start::held`] was written.
    Waits,
    /// There is one of this id, of the same definition's name and with the
    /// same input: it was started before.
    Before,
    /// There is one of this id, which is another.
    Other,
}

/// What was due.
#[derive(Debug)]
pub struct Taken {
    /// The sagas.
    pub sagas: Vec<Result<Loaded, Broken>>,
    /// There are more, which are due now.
    pub more: bool,
    /// When the next one of these buckets is due that is not due now, if any
    /// is.
    pub next: Option<Duration>,
}

/// A saga, as its log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its id.
    pub saga: SagaId,
    /// The lease by which it is held.
    pub lease: Lease,
    /// What it is one of.
    pub definition: Definition,
    /// What it was given.
    pub input: Bytes,
    /// How far it is.
    pub stage: Stage,
    /// Its log.
    pub records: Vec<Recorded>,
    /// What was said to it and is not read, the oldest first.
    pub mail: Vec<Mail>,
    /// When it turns, unless it is committed.
    pub deadline: Option<Timestamp>,
    /// What time it is, by the store's clock.
    pub now: Timestamp,
    /// How often it was taken since it last went forward, this time included.
    pub loads: u32,
}

/// A saga that cannot be read.
#[derive(Debug)]
pub struct Broken {
    /// Which.
    pub saga: SagaId,
    /// Why.
    pub error: StoreError,
}

/// What became of local work.
#[derive(Debug)]
pub enum Worked {
    /// It is done, and this was appended with it.
    Done(Change),
    /// It erred: nothing is done.
    Faulted(Fault),
    /// As [`Appended::Lost`]: nothing is done.
    Lost,
    /// As [`Appended::Conflict`]: nothing is done.
    Conflict,
}

/// What is known of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In short.
    pub summary: Summary,
    /// What it was given.
    pub input: Bytes,
    /// Its log.
    pub records: Vec<Recorded>,
    /// What was said to it and is not read.
    pub mail: Vec<Mail>,
}

/// A saga in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub saga: SagaId,
    /// What it is one of.
    pub definition: Definition,
    /// How far it is.
    pub stage: Stage,
    /// Its [result](Change::result) so far.
    pub result: Option<Bytes>,
    /// When it began, by the store's clock.
    pub started: Timestamp,
    /// When it was last changed.
    pub changed: Timestamp,
}
