//! The inbox on transactions of SQLite.

use std::convert::Infallible;
use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::inbox::{
    self as protocol, Admission, Delivery, Error, Gap, Id, IdError, Ordered, Outcome, Quarantined,
    Snapshot, Stream, Waiting, Which,
};
use bytes::Bytes;
use rusqlite::Connection;

use super::tables::{Connected, On};
use super::{INBOX, rows};
use crate::database::Database;
use crate::schema::Tables;
use crate::transaction::Transaction;
use crate::writer::{RunError, Writer};

/// An inbox whose tables stand beside those of the work.
///
/// What takes a transaction takes one of the [`Writer`]'s or one of
/// rusqlite's; see [`Connected`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox(protocol::Inbox);

impl Inbox {
    /// An inbox in this database, which gets its tables if it has none. Blocks
    /// until that is done.
    ///
    /// # Errors
    ///
    /// As [`Database::open`].
    pub fn new(database: &Database, inbox: protocol::Inbox) -> Result<Self, StoreError> {
        database.prepare(INBOX)?;
        Ok(Inbox(inbox))
    }

    /// An inbox in the database of this connection, for those who have no
    /// [`Database`].
    ///
    /// # Errors
    ///
    /// As [`Database::open`].
    pub fn on_connection(
        connection: &mut Connection,
        tables: Tables,
        inbox: protocol::Inbox,
    ) -> Result<Self, StoreError> {
        INBOX.prepare(connection, tables)?;
        Ok(Inbox(inbox))
    }

    /// Handles a message as a consumer should: an attempt that may be a
    /// repeat is written down and committed before it begins; the work is done
    /// [once](Self::once), in one transaction; and if it fails, the attempt is
    /// not held against the message. When this returns `Ok`, all is committed,
    /// and the message is to be acknowledged.
    ///
    /// If its future is dropped, the work is done whole or not at all. A
    /// redelivery that is dropped counts as an attempt of which nobody knows
    /// how it ended.
    ///
    /// # Errors
    ///
    /// [`RunError`]: nothing was done, and the message must come again.
    pub async fn handle<T, E, F>(
        &self,
        writer: &Writer,
        consumer: &str,
        delivery: Delivery,
        work: F,
    ) -> Result<Handled<T>, RunError<Error<E>>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut Transaction<'_>, &Delivery) -> Result<T, E> + Send + 'static,
    {
        let may_be_a_repeat = delivery.may_be_a_repeat();
        if may_be_a_repeat {
            let (inbox, consumer, delivery) = (self.clone(), Box::from(consumer), delivery.clone());
            let begin = move |tx: &mut Transaction<'_>| inbox.begin(tx, &consumer, &delivery);
            let begun = writer.run(begin).await.map_err(of_the_work)?;
            if begun == Admission::Quarantined {
                return Ok(Handled::Quarantined);
            }
        }
        let (inbox, to) = (self.clone(), Box::<str>::from(consumer));
        let handled = delivery.clone();
        let once =
            move |tx: &mut Transaction<'_>| inbox.once(tx, &to, &handled, |tx| work(tx, &handled));
        let done = writer.run(once).await;
        if may_be_a_repeat && matches!(done, Err(RunError::Rejected(_))) {
            let (inbox, consumer) = (self.clone(), Box::<str>::from(consumer));
            let failed = move |tx: &mut Transaction<'_>| inbox.failed(tx, &consumer, &delivery);
            // If this fails, the attempt counts as one too many, and the work's
            // own error is the one to hear of.
            let _ = writer.run(failed).await;
        }
        Ok(match done? {
            Outcome::Done(done) => Handled::Done(done),
            Outcome::Duplicate { .. } => Handled::Duplicate,
        })
    }

    /// Handles a message, unless this consumer has before. In the work's own
    /// transaction `tx`: what the work writes and that the message was seen
    /// become true together.
    ///
    /// The caller commits, and then acknowledges the message, whatever the
    /// outcome.
    ///
    /// # Errors
    ///
    /// [`Error`]: if the work fails, or anything else does, nothing of what
    /// was done here remains, neither rows nor messages that the work enqueued;
    /// and the message is not acknowledged.
    pub fn once<'w, X: Connected, T, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        which: impl Into<Which<'w>>,
        work: impl FnOnce(&mut X) -> Result<T, E>,
    ) -> Result<Outcome<T>, Error<E>> {
        let work = |on: &mut On<'_, X>| work(on.tx);
        self.0.once(&mut On::new(tx)?, consumer, which, work)
    }

    /// As [`once`](Self::once), and keeps the result of the work, so that a
    /// repeat is answered with that of the first time.
    ///
    /// # Errors
    ///
    /// As [`once`](Self::once), and [`Error::ResultTooLong`].
    pub fn once_with_result<'w, X: Connected, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        which: impl Into<Which<'w>>,
        work: impl FnOnce(&mut X) -> Result<Bytes, E>,
    ) -> Result<Outcome<Bytes>, Error<E>> {
        let work = |on: &mut On<'_, X>| work(on.tx);
        self.0
            .once_with_result(&mut On::new(tx)?, consumer, which, work)
    }

    /// Handles a message of a key whose messages an outbox has numbered, by
    /// its number and not by its id, if it is its turn; and behind it those
    /// that were stored because they came ahead of it. All of them in this
    /// transaction, one after the other.
    ///
    /// The caller commits in any case, and then acknowledges the message if
    /// its [fate](protocol::Fate::is_acknowledged) says so.
    ///
    /// # Errors
    ///
    /// [`Error`]: if the work fails for one of them, nothing of what was done
    /// here remains, and the message is not acknowledged.
    pub fn in_order<X: Connected, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        delivery: &Delivery,
        mut work: impl FnMut(&mut X, &Delivery) -> Result<(), E>,
    ) -> Result<Ordered, Error<E>> {
        let work = |on: &mut On<'_, X>, delivery: &Delivery| work(on.tx, delivery);
        self.0.in_order(&mut On::new(tx)?, consumer, delivery, work)
    }

    /// Gives up what a key has missed for longer than the policy has
    /// patience, and handles what was stored behind it, although no message
    /// has come. Returns how many were handled, and what was given up.
    ///
    /// # Errors
    ///
    /// As [`in_order`](Self::in_order).
    pub fn give_up_overdue<X: Connected, E>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
        mut work: impl FnMut(&mut X, &Delivery) -> Result<(), E>,
    ) -> Result<(usize, Vec<Gap>), Error<E>> {
        let work = |on: &mut On<'_, X>, delivery: &Delivery| work(on.tx, delivery);
        self.0.give_up_overdue(&mut On::new(tx)?, stream, work)
    }

    /// Before the work, in a transaction of its own that commits before it:
    /// if a process may have had this message before, it is written down that
    /// one more attempt begins. A message of which too many attempts have
    /// begun that nobody heard of again goes to quarantine.
    ///
    /// A first delivery writes nothing, and needs no commit.
    ///
    /// # Errors
    ///
    /// [`Error::Id`], or [`Error::Store`].
    pub fn begin(
        &self,
        tx: &mut impl Connected,
        consumer: &str,
        delivery: &Delivery,
    ) -> Result<Admission, Error<Infallible>> {
        self.0.begin(&mut On::new(tx)?, consumer, delivery)
    }

    /// An attempt has failed, and the process lives: in a transaction of its
    /// own, after that of the work was rolled back. Success says so itself.
    ///
    /// # Errors
    ///
    /// [`Error::Id`], or [`Error::Store`].
    pub fn failed(
        &self,
        tx: &mut impl Connected,
        consumer: &str,
        delivery: &Delivery,
    ) -> Result<(), Error<Infallible>> {
        self.0.failed(&mut On::new(tx)?, consumer, delivery)
    }

    /// Takes a message out of quarantine and handles it, in this transaction.
    /// Nothing if it is not there.
    ///
    /// # Errors
    ///
    /// As [`once`](Self::once): then it is in quarantine still.
    pub fn release<X: Connected, T, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
        work: impl FnOnce(&mut X, &Delivery) -> Result<T, E>,
    ) -> Result<Option<Outcome<T>>, Error<E>> {
        let work = |on: &mut On<'_, X>, delivery: &Delivery| work(on.tx, delivery);
        self.0.release(&mut On::new(tx)?, consumer, id, work)
    }

    /// Throws away a message that is in quarantine. From now on it counts as
    /// handled: if it comes again, it is a duplicate. Returns whether it was
    /// there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn discard(
        &self,
        tx: &mut impl Connected,
        consumer: &str,
        id: &Id,
    ) -> Result<bool, StoreError> {
        self.0.discard(&mut On::new(tx)?, consumer, id)
    }

    /// Forgets messages that were seen longer ago than the retention, at most
    /// so many; and attempts at messages that nobody has brought again for as
    /// long. Returns how many messages were forgotten: if it is `at_most`,
    /// there may be more.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn sweep(&self, tx: &mut impl Connected, at_most: usize) -> Result<usize, StoreError> {
        self.0.sweep(&mut On::new(tx)?, at_most)
    }

    /// The messages in quarantine, the oldest first, at most this many. It
    /// only reads, and needs no transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn peek(
        &self,
        connection: &impl Connected,
        most: usize,
    ) -> Result<Vec<Quarantined>, StoreError> {
        rows::peek(connection.connection(), most)
    }

    /// The streams of which something is missing, the longest first, at most
    /// this many: what a timer hands to
    /// [`give_up_overdue`](Self::give_up_overdue), one after the other. It
    /// only reads, and needs no transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn waiting(
        &self,
        connection: &impl Connected,
        most: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        rows::waiting(connection.connection(), most)
    }

    /// The id of a delivery, by this inbox's rule.
    ///
    /// # Errors
    ///
    /// [`IdError`] if it has none.
    pub fn id_of(&self, delivery: &Delivery) -> Result<Id, IdError> {
        self.0.id_of(delivery)
    }

    /// For how long ids are remembered.
    pub fn retention(&self) -> Duration {
        self.0.retention()
    }

    /// What it has counted since it was made, whether or not the transactions
    /// committed.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
}

/// What became of a message. In all cases it is to be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a message in quarantine was not handled"]
pub enum Handled<T> {
    /// It was handled now.
    Done(T),
    /// It was handled before.
    Duplicate,
    /// It has ended too many processes: it is in quarantine.
    Quarantined,
}

/// An error of a step that does no work yet.
fn of_the_work<E>(error: RunError<Error<Infallible>>) -> RunError<Error<E>> {
    match error {
        RunError::Store(error) => RunError::Store(error),
        RunError::Rejected(error) => RunError::Rejected(match error {
            Error::Id(error) => Error::Id(error),
            Error::Store(error) => Error::Store(error),
            _ => unreachable!("no work was done, in no order"),
        }),
    }
}
