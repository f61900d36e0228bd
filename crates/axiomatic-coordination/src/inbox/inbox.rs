//! The inbox itself: what is done in a transaction, in which order.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::config::Config;
use super::counts::{Counts, Event, Snapshot};
use super::delivery::{Delivery, Which};
use super::id::{Id, IdError};
use super::outcome::{Error, Outcome};
use super::quarantine::Quarantined;
use super::tables::{Seen, Tables, Waiting};
use super::watermark::Policy;
use crate::StoreError;

/// Has each message's effects happen once in a database, however often the
/// message comes.
///
/// Over any engine whose transactions are [`Tables`]. Made by
/// [`Config::build`]; cheap to clone. An engine's own crate wraps it for that
/// engine's types.
#[derive(Clone, Debug)]
pub struct Inbox(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    config: Config,
    counts: Counts,
}

impl Inbox {
    pub(super) fn new(config: Config) -> Self {
        let counts = Counts::new();
        Inbox(Arc::new(Parts { config, counts }))
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
    /// was done here remains, and the message is not acknowledged.
    pub fn once<'w, X: Tables, T, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        which: impl Into<Which<'w>>,
        work: impl FnOnce(&mut X) -> Result<T, E>,
    ) -> Result<Outcome<T>, Error<E>> {
        self.see_and_do(tx, consumer, which.into(), |tx, _| work(tx))
    }

    /// As [`once`](Self::once), and keeps the result of the work, so that a
    /// repeat is answered with that of the first time.
    ///
    /// # Errors
    ///
    /// As [`once`](Self::once), and [`Error::ResultTooLong`].
    pub fn once_with_result<'w, X: Tables, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        which: impl Into<Which<'w>>,
        work: impl FnOnce(&mut X) -> Result<Bytes, E>,
    ) -> Result<Outcome<Bytes>, Error<E>> {
        let at_most = self.0.config.longest_result;
        let mut too_long = None;
        let done = self.undo_on_error(tx, |tx| {
            let outcome = self.see_and_do(tx, consumer, which.into(), |tx, id| {
                Ok((work(tx)?, id.clone()))
            })?;
            if let Outcome::Done((result, id)) = &outcome {
                if result.len() > at_most {
                    too_long = Some(result.len());
                } else {
                    tx.keep_result(consumer, id, result)?;
                }
            }
            match too_long {
                Some(bytes) => Err(Error::ResultTooLong { bytes, at_most }),
                None => Ok(outcome),
            }
        })?;
        Ok(done.map(|(result, _)| result))
    }

    /// Forgets messages that were seen longer ago than the retention, at most
    /// so many; and attempts at messages that nobody has brought again for as
    /// long. Returns how many messages were forgotten: if it is `at_most`,
    /// there may be more.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn sweep<X: Tables>(&self, tx: &mut X, at_most: usize) -> Result<usize, StoreError> {
        tx.sweep(self.retention(), at_most)
    }

    /// The messages in quarantine, the oldest first, at most this many.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn peek<X: Tables>(&self, tx: &mut X, most: usize) -> Result<Vec<Quarantined>, StoreError> {
        tx.peek(most)
    }

    /// The streams of which something is missing, the longest first, at most
    /// this many: what a timer hands to
    /// [`give_up_overdue`](Self::give_up_overdue), one after the other.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn waiting<X: Tables>(&self, tx: &mut X, most: usize) -> Result<Vec<Waiting>, StoreError> {
        tx.waiting(most)
    }

    /// The id of a delivery, by this inbox's rule.
    ///
    /// # Errors
    ///
    /// [`IdError`] if it has none.
    pub fn id_of(&self, delivery: &Delivery) -> Result<Id, IdError> {
        self.0.config.id.id_of(delivery)
    }

    /// What becomes of a message that comes ahead: for engines that judge by
    /// themselves, since they wait for their database.
    pub fn policy(&self) -> Policy {
        self.0.config.policy
    }

    /// How many attempts may begin without a word of how they ended.
    pub fn starts(&self) -> NonZeroU32 {
        self.0.config.starts
    }

    /// The longest result that is kept, in bytes.
    pub fn longest_result(&self) -> usize {
        self.0.config.longest_result
    }

    /// Counts what an engine has done by itself.
    pub fn count(&self, event: Event<'_>) {
        self.0.counts.count(event);
    }

    /// For how long ids are remembered.
    pub fn retention(&self) -> Duration {
        self.0.config.retention
    }

    /// What it has counted since it was made, whether or not the transactions
    /// committed.
    pub fn snapshot(&self) -> Snapshot {
        self.0.counts.snapshot()
    }

    pub(super) fn see_and_do<X: Tables, T, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        which: Which<'_>,
        work: impl FnOnce(&mut X, &Id) -> Result<T, E>,
    ) -> Result<Outcome<T>, Error<E>> {
        let of_delivery;
        let (id, may_have_started) = match which {
            Which::Id(id) => (id, true),
            Which::Delivery(delivery) => {
                of_delivery = self.id_of(delivery)?;
                (&of_delivery, delivery.may_be_a_repeat())
            }
        };
        let outcome = self.undo_on_error(tx, |tx| {
            if may_have_started {
                tx.forget_starts(consumer, id)?;
            }
            if let Some(Seen { first_seen, result }) = tx.see(consumer, id)? {
                return Ok(Outcome::Duplicate { first_seen, result });
            }
            let done = work(tx, id).map_err(|error| Error::Work {
                error,
                id: id.clone(),
            })?;
            Ok(Outcome::Done(done))
        })?;
        self.count(match outcome {
            Outcome::Done(_) => Event::Done,
            Outcome::Duplicate { .. } => Event::Duplicate,
        });
        Ok(outcome)
    }

    /// Does all of it or nothing, also if it panics and whoever called goes on
    /// with the transaction: a message that was seen and not handled would be
    /// lost.
    pub(super) fn undo_on_error<X: Tables, T, E>(
        &self,
        tx: &mut X,
        steps: impl FnOnce(&mut X) -> Result<T, Error<E>>,
    ) -> Result<T, Error<E>> {
        tx.savepoint()?;
        let mut undo = Undo(Some(tx));
        let done = match &mut undo.0 {
            Some(tx) => steps(tx)?,
            None => unreachable!("it was made with a transaction"),
        };
        if let Some(tx) = undo.0.take() {
            tx.release()?;
        }
        Ok(done)
    }
}

/// Rolls back to the savepoint when dropped.
struct Undo<'a, X: Tables>(Option<&'a mut X>);

impl<X: Tables> Drop for Undo<'_, X> {
    fn drop(&mut self) {
        if let Some(tx) = self.0.take() {
            // If this fails, the transaction has ended, or will: the engine
            // has said so to the step that failed before.
            let _ = tx.roll_back();
        }
    }
}
