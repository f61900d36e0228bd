//! A transaction that shares its commit with others.

use std::fmt;
use std::ops::Deref;

use axiomatic_coordination::outbox::Message;
use rusqlite::Connection;

use crate::outbox::{EnqueueError, Outgoing};

/// A transaction that the [`Writer`](crate::Writer) executes: a connection for
/// the user's statements, and a place for what is to be said of them.
pub struct Transaction<'a> {
    connection: &'a Connection,
    outgoing: &'a mut Outgoing,
    /// Whether executors of sagas are woken if it commits.
    wakes_sagas: &'a mut bool,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        outgoing: &'a mut Outgoing,
        wakes_sagas: &'a mut bool,
    ) -> Self {
        Transaction {
            connection,
            outgoing,
            wakes_sagas,
        }
    }

    /// This message is published if the transaction commits.
    ///
    /// It is kept in memory, and written with those of the whole group just
    /// before the commit. Rolling back to a savepoint of one's own does not
    /// take it back; the closure's error does.
    ///
    /// # Errors
    ///
    /// [`EnqueueError::TooLarge`]; [`EnqueueError::Full`], if the database was
    /// [opened](crate::Options::backlog) so; [`EnqueueError::Store`] if that
    /// could not be found out. It is then not enqueued, and the transaction can
    /// go on.
    pub fn enqueue(&mut self, message: Message) -> Result<(), EnqueueError> {
        self.outgoing.push(self.connection, message)
    }

    /// How many messages are enqueued, to go [back to](Self::back_to) if a
    /// savepoint is rolled back.
    pub(crate) fn mark(&self) -> usize {
        self.outgoing.mark()
    }

    /// The messages enqueued since are not published.
    pub(crate) fn back_to(&mut self, mark: usize) {
        self.outgoing.back_to(mark);
    }

    /// If the group commits, there may be something to do for executors of
    /// sagas.
    pub(crate) fn wake_sagas(&mut self) {
        *self.wakes_sagas = true;
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
