//! What an inbox asks of the transaction of its database.

use std::time::Duration;

use bytes::Bytes;

use super::delivery::Delivery;
use super::id::Id;
use super::quarantine::Quarantined;
use super::watermark::Watermark;
use crate::{StoreError, Timestamp};

/// A transaction that holds the inbox's tables beside those of the work.
///
/// For engines whose transactions are asked without waiting. What they read
/// they must hold until the end of the transaction: nobody else writes it in
/// between. An engine with one writer at a time does, and one with row locks
/// takes them.
///
/// After an error the transaction is rolled back, to the savepoint at least.
pub trait Tables {
    /// The time, by the database's clock.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as all that follow.
    fn now(&mut self) -> Result<Timestamp, StoreError>;

    /// A place to which what follows can be rolled back. They nest.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn savepoint(&mut self) -> Result<(), StoreError>;

    /// What was done since the last savepoint stands, as far as the
    /// transaction does; the savepoint is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn release(&mut self) -> Result<(), StoreError>;

    /// What was done since the last savepoint is undone; it is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn roll_back(&mut self) -> Result<(), StoreError>;

    /// Writes down that this consumer has seen this message, if it had not.
    /// Returns what was there, if something was. It waits for a transaction
    /// that is writing the same and has not ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn see(&mut self, consumer: &str, id: &Id) -> Result<Option<Seen>, StoreError>;

    /// Adds a result to what [`see`](Self::see) has written.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn keep_result(&mut self, consumer: &str, id: &Id, result: &Bytes) -> Result<(), StoreError>;

    /// How many attempts have begun without a word of how they ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn started(&mut self, consumer: &str, id: &Id) -> Result<u32, StoreError>;

    /// One more attempt begins.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn start(&mut self, consumer: &str, id: &Id) -> Result<(), StoreError>;

    /// No attempt is under way any more.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn forget_starts(&mut self, consumer: &str, id: &Id) -> Result<(), StoreError>;

    /// Puts a message into quarantine, unless it is there. The time is now.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn quarantine(
        &mut self,
        consumer: &str,
        id: &Id,
        started: u32,
        reason: &str,
        delivery: &Delivery,
    ) -> Result<(), StoreError>;

    /// The message of this id, if it is in quarantine.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn quarantined(&mut self, consumer: &str, id: &Id) -> Result<Option<Quarantined>, StoreError>;

    /// Takes a message out of quarantine. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn leave_quarantine(&mut self, consumer: &str, id: &Id) -> Result<bool, StoreError>;

    /// What is remembered of a key; that of a key which never was is the
    /// default.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn watermark(&mut self, stream: &Stream<'_>) -> Result<Watermark, StoreError>;

    /// Remembers this of a key.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn remember(&mut self, stream: &Stream<'_>, watermark: &Watermark) -> Result<(), StoreError>;

    /// Stores a message that came ahead.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn hold(
        &mut self,
        stream: &Stream<'_>,
        number: u64,
        delivery: &Delivery,
    ) -> Result<(), StoreError>;

    /// Takes out the messages that were stored, up to this number, in the
    /// order of their numbers.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn take_held(
        &mut self,
        stream: &Stream<'_>,
        through: u64,
    ) -> Result<Vec<(u64, Delivery)>, StoreError>;

    /// Forgets messages that were seen longer ago than this, at most so many;
    /// and attempts at messages that nobody has brought again for as long.
    /// Returns how many messages were forgotten.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn sweep(&mut self, retention: Duration, at_most: usize) -> Result<usize, StoreError>;

    /// The messages in quarantine, the oldest first, at most this many.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn peek(&mut self, most: usize) -> Result<Vec<Quarantined>, StoreError>;

    /// The streams of which something is missing, the longest first, at most
    /// this many.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn waiting(&mut self, most: usize) -> Result<Vec<Waiting>, StoreError>;
}

/// What a consumer has seen of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When it saw it first.
    pub first_seen: Timestamp,
    /// The result, if one was kept.
    pub result: Option<Bytes>,
}

/// Messages that have one order, as one consumer sees them.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream<'a> {
    /// The consumer.
    pub consumer: &'a str,
    /// The outbox that numbers them.
    pub source: &'a str,
    /// The tenant.
    pub tenant: Option<&'a str>,
    /// The key.
    pub key: &'a str,
}

impl<'a> Stream<'a> {
    /// That of a delivery, if it has a key.
    pub fn of(consumer: &'a str, delivery: &'a Delivery) -> Option<Self> {
        Some(Stream {
            consumer,
            source: delivery.source(),
            tenant: delivery.tenant(),
            key: delivery.key()?,
        })
    }

    /// The tenant as databases store it that have no NULL in a key: nothing
    /// if there is none, and else with a sign before it.
    pub fn tenant_to_stored(&self) -> String {
        self.tenant
            .map_or_else(String::new, |tenant| format!("={tenant}"))
    }
}

/// A stream of which something is missing, for operators, and for whoever
/// [gives up](super::Inbox::give_up_overdue) what is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The consumer.
    pub consumer: Box<str>,
    /// The outbox that numbers the messages.
    pub source: Box<str>,
    /// The tenant.
    pub tenant: Option<Box<str>>,
    /// The key.
    pub key: Box<str>,
    /// What is remembered of it.
    pub watermark: Watermark,
}

impl Waiting {
    /// The stream.
    pub fn stream(&self) -> Stream<'_> {
        Stream {
            consumer: &self.consumer,
            source: &self.source,
            tenant: self.tenant.as_deref(),
            key: &self.key,
        }
    }
}
