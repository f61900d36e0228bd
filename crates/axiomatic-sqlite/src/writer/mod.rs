//! Group commit of transactions.

mod desk;
mod job;

use std::fmt;
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use axiomatic_coordination::{StoreError, Why};
use tokio::sync::oneshot;

pub(crate) use self::desk::Desk;
use self::job::{Answer, Closure, Job, Once, Repeated, Work};
use crate::error::store_error;
use crate::transaction::Transaction;

/// Executes transactions, one after the other, and commits several of them
/// together.
///
/// All that wait when a commit has ended are the next group: each is executed
/// in a savepoint of its own, and there is one commit for all. Nobody waits
/// for a group to fill; but behind a group of several, the thread lets others
/// run a few times before the next one begins.
#[derive(Clone)]
pub struct Writer {
    jobs: Jobs,
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Jobs {
    queue: mpsc::Sender<Box<dyn Job>>,
    thread: ThreadId,
}

impl Jobs {
    pub(crate) fn new(queue: mpsc::Sender<Box<dyn Job>>, thread: ThreadId) -> Self {
        Jobs { queue, thread }
    }
}

impl Writer {
    pub(crate) fn new(jobs: Jobs) -> Self {
        Writer { jobs }
    }

    /// Executes a transaction on the thread that writes, and returns once it
    /// is committed, durably.
    ///
    /// An `Err` from the closure, or a panic, undoes what this closure did and
    /// nothing else. The panic goes on at the caller.
    ///
    /// Its future can be dropped: before its turn, the closure is not
    /// executed; afterwards it is executed whole.
    ///
    /// The closure must not commit or roll back the transaction: that undoes
    /// all that the group has done so far, and is an error. Savepoints of its
    /// own are its business.
    ///
    /// ```
    /// use axiomatic_coordination::outbox::Message;
    /// use axiomatic_core::BoxError;
    /// use axiomatic_sqlite::{Database, Options};
    ///
    /// # async fn example(path: &std::path::Path) -> Result<(), BoxError> {
    /// let database = Database::open(path, Options::new())?;
    /// let order = database
    ///     .writer()
    ///     .run(|tx| {
    ///         tx.execute("INSERT INTO orders (total) VALUES (1999)", ())?;
    ///         let order = tx.last_insert_rowid();
    ///         let placed = Message::new("orders", format!(r#"{{"placed":{order}}}"#));
    ///         tx.enqueue(placed.keyed(format!("order-{order}")))?;
    ///         Ok::<_, BoxError>(order)
    ///     })
    ///     .await?;
    /// # let _ = order;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError::Rejected`] with what the closure returned;
    /// [`RunError::Store`] if there was no transaction or no commit. In both
    /// cases nothing was changed.
    pub async fn run<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let answer = self.send(Once(Some(closure)))?;
        conclude(answer.await.map_err(|_| closed())?)
    }

    /// As [`run`](Self::run), of a closure that may be executed more than once,
    /// each time after all that it did was undone. Those that come one after
    /// the other have one savepoint together, and only if one of them errs or
    /// panics they have one each: a savepoint costs two statements, and a copy
    /// of each page that is written in it.
    pub(crate) async fn run_repeatable<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let answer = self.send(Repeated(closure))?;
        conclude(answer.await.map_err(|_| closed())?)
    }

    /// As [`run`](Self::run), for threads that can be blocked.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); and [`Why::Refused`] from within a closure that
    /// this writer executes, which would wait for itself.
    ///
    /// # Panics
    ///
    /// Within an asynchronous task of tokio.
    pub fn run_blocking<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        if thread::current().id() == self.jobs.thread {
            let within = "a transaction was to be run within another of the same writer";
            return Err(StoreError::new(Why::Refused).because(within).into());
        }
        let answer = self.send(Once(Some(closure)))?;
        conclude(answer.blocking_recv().map_err(|_| closed())?)
    }

    fn send<T, E, C>(&self, closure: C) -> Result<oneshot::Receiver<Answer<T, E>>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
        C: Closure<T, E> + 'static,
    {
        let (work, answer) = Work::new(closure);
        self.jobs.queue.send(Box::new(work)).map_err(|_| closed())?;
        Ok(answer)
    }
}

fn conclude<T, E>(answer: Answer<T, E>) -> Result<T, RunError<E>> {
    match answer {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn closed() -> StoreError {
    StoreError::new(Why::Closed)
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// Why a transaction was not committed.
#[derive(Debug)]
pub enum RunError<E> {
    /// The closure said so.
    Rejected(E),
    /// SQLite or the disk did, or another closure of the group ruined it. The
    /// closure may have been executed, and it was undone.
    Store(StoreError),
}

impl<E> From<StoreError> for RunError<E> {
    fn from(error: StoreError) -> Self {
        RunError::Store(error)
    }
}

impl From<RunError<rusqlite::Error>> for StoreError {
    /// Of a closure that has no errors but SQLite's.
    fn from(error: RunError<rusqlite::Error>) -> Self {
        match error {
            RunError::Rejected(error) => store_error(error),
            RunError::Store(error) => error,
        }
    }
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Rejected(error) => write!(f, "the transaction was rolled back: {error}"),
            RunError::Store(error) => write!(f, "the transaction was not committed: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for RunError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RunError::Rejected(_) => None,
            RunError::Store(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests;
