//! A transaction that shares its commit with others.

use std::fmt;
use std::ops::Deref;

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::outbox::Message;
use rusqlite::Connection;

use crate::database::now;
use crate::options::Options;
use crate::outbox::{EnqueueError, Outgoing};

/// A transaction that the [`Writer`](crate::Writer) executes: a connection for
/// the user's statements, and a place for what is to be said of them.
pub struct Transaction<'a> {
    connection: &'a Connection,
    group: &'a mut Group,
}

/// What the transactions that share a commit have together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) outgoing: Outgoing,
    /// Whether executors of sagas are woken if it commits.
    pub(crate) wakes_sagas: bool,
    /// When somebody first asked when it began.
    began: Option<Timestamp>,
}

impl Group {
    pub(crate) fn new(options: &Options) -> Self {
        Group {
            outgoing: Outgoing::new(options),
            wakes_sagas: false,
            began: None,
        }
    }

    /// Another group begins.
    pub(crate) fn clear(&mut self) {
        self.outgoing.clear();
        self.wakes_sagas = false;
        self.began = None;
    }
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(connection: &'a Connection, group: &'a mut Group) -> Self {
        Transaction { connection, group }
    }

    /// A time at which this process alone could write already, and has been
    /// able to since: who held a lease then is followed by nobody before all
    /// this has ended. The same for all of a group, since to ask for the time
    /// costs as much as to write a line.
    pub(crate) fn began(&mut self) -> rusqlite::Result<Timestamp> {
        if let Some(began) = self.group.began {
            return Ok(began);
        }
        let now = now(self.connection)?;
        self.group.began = Some(now);
        Ok(now)
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
        self.group.outgoing.push(self.connection, message)
    }

    /// How many messages are enqueued, to go [back to](Self::back_to) if a
    /// savepoint is rolled back.
    pub(crate) fn mark(&self) -> usize {
        self.group.outgoing.mark()
    }

    /// The messages enqueued since are not published.
    pub(crate) fn back_to(&mut self, mark: usize) {
        self.group.outgoing.back_to(mark);
    }

    /// If the group commits, there may be something to do for executors of
    /// sagas.
    pub(crate) fn wake_sagas(&mut self) {
        self.group.wakes_sagas = true;
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
