//! The inbox itself: what is done in a transaction, in which order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::config::Config;
use super::counts::{Counts, Snapshot};
use super::delivery::{Delivery, Which};
use super::id::{Id, IdError};
use super::outcome::{Admission, Error, Fate, Ordered, Outcome};
use super::quarantine::{Quarantined, Start, start};
use super::tables::{Seen, Stream, Tables};
use super::watermark::{Gap, Verdict, Watermark};
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

    /// Handles a message of a key whose messages an outbox has numbered, by
    /// its number and not by its id, if it is its turn; and behind it those
    /// that were stored because they came ahead of it. All of them in this
    /// transaction, one after the other.
    ///
    /// The caller commits in any case, and then acknowledges the message if
    /// its [fate](Fate::is_acknowledged) says so.
    ///
    /// # Errors
    ///
    /// [`Error`]: if the work fails for one of them, nothing of what was done
    /// here remains, and the message is not acknowledged.
    pub fn in_order<X: Tables, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        delivery: &Delivery,
        mut work: impl FnMut(&mut X, &Delivery) -> Result<(), E>,
    ) -> Result<Ordered, Error<E>> {
        let (Some(stream), Some(sequence)) = (Stream::of(consumer, delivery), delivery.sequence()?)
        else {
            return Err(Error::Unordered);
        };
        let id = self.id_of(delivery)?;
        let policy = self.0.config.policy;
        let epoch = delivery.epoch()?;
        let ordered = self.undo_on_error(tx, |tx| {
            let before = tx.watermark(&stream)?;
            let judged = before.judge(sequence, epoch, policy, tx.now()?);
            let mut due = self.take_due(tx, &stream, &before, &judged.after)?;
            if judged.verdict == Verdict::Handle {
                let place = due.partition_point(|(number, _)| *number < sequence.number);
                due.insert(place, (sequence.number, delivery.clone()));
            }
            self.do_all(tx, &due, &mut work)?;
            if judged.verdict == Verdict::Hold {
                tx.hold(&stream, sequence.number, delivery)?;
            }
            if judged.after != before {
                tx.remember(&stream, &judged.after)?;
            }
            let fate = match judged.verdict {
                Verdict::Handle => Fate::Done,
                Verdict::Duplicate => Fate::Duplicate,
                Verdict::Hold => Fate::Held,
                Verdict::Reject {
                    because,
                    retry_after,
                } => Fate::Rejected {
                    because,
                    retry_after,
                },
            };
            if fate.is_acknowledged() && delivery.may_be_a_repeat() {
                tx.forget_starts(consumer, &id)?;
            }
            Ok(Ordered {
                fate,
                handled: due.len(),
                given_up: judged.given_up,
                is_late: judged.is_late,
                is_from_a_zombie: judged.is_from_a_zombie,
            })
        })?;
        self.0.counts.ordered(&ordered);
        Ok(ordered)
    }

    /// Gives up what a key has missed for longer than the policy has
    /// patience, and handles what was stored behind it, although no message
    /// has come. Returns how many were handled, and what was given up.
    ///
    /// # Errors
    ///
    /// As [`in_order`](Self::in_order).
    pub fn give_up_overdue<X: Tables, E>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
        mut work: impl FnMut(&mut X, &Delivery) -> Result<(), E>,
    ) -> Result<(usize, Vec<Gap>), Error<E>> {
        let policy = self.0.config.policy;
        let (handled, given_up) = self.undo_on_error(tx, |tx| {
            let before = tx.watermark(stream)?;
            let Some((after, given_up)) = before.give_up_overdue(policy, tx.now()?) else {
                return Ok((0, Vec::new()));
            };
            let due = self.take_due(tx, stream, &before, &after)?;
            self.do_all(tx, &due, &mut work)?;
            tx.remember(stream, &after)?;
            Ok((due.len(), given_up))
        })?;
        self.0.counts.given_up(&given_up);
        Ok((handled, given_up))
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
    pub fn begin<X: Tables>(
        &self,
        tx: &mut X,
        consumer: &str,
        delivery: &Delivery,
    ) -> Result<Admission, Error<std::convert::Infallible>> {
        let id = self.id_of(delivery)?;
        if !delivery.may_be_a_repeat() {
            return Ok(Admission::Handle);
        }
        self.undo_on_error(tx, |tx| {
            if tx.quarantined(consumer, &id)?.is_some() {
                return Ok(Admission::Quarantined);
            }
            let started = tx.started(consumer, &id)?;
            let start = start(delivery, started, self.0.config.starts);
            match start {
                Start::AtOnce => {}
                Start::WriteDown => tx.start(consumer, &id)?,
                Start::Quarantine => {
                    let reason = format!("{started} attempts began, and nobody heard of them");
                    tx.quarantine(consumer, &id, started, &reason, delivery)?;
                    tx.forget_starts(consumer, &id)?;
                    self.0.counts.quarantined();
                }
            }
            Ok(start.admission())
        })
    }

    /// An attempt has failed, and the process lives: in a transaction of its
    /// own, after that of the work was rolled back. Success says so itself.
    ///
    /// # Errors
    ///
    /// [`Error::Id`], or [`Error::Store`].
    pub fn failed<X: Tables>(
        &self,
        tx: &mut X,
        consumer: &str,
        delivery: &Delivery,
    ) -> Result<(), Error<std::convert::Infallible>> {
        let id = self.id_of(delivery)?;
        if delivery.may_be_a_repeat() {
            tx.forget_starts(consumer, &id)?;
        }
        Ok(())
    }

    /// Takes a message out of quarantine and handles it, in this transaction.
    /// Nothing if it is not there.
    ///
    /// # Errors
    ///
    /// As [`once`](Self::once): then it is in quarantine still.
    pub fn release<X: Tables, T, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
        work: impl FnOnce(&mut X, &Delivery) -> Result<T, E>,
    ) -> Result<Option<Outcome<T>>, Error<E>> {
        let Some(Quarantined { delivery, .. }) = tx.quarantined(consumer, id)? else {
            return Ok(None);
        };
        self.undo_on_error(tx, |tx| {
            tx.leave_quarantine(consumer, id)?;
            let work = |tx: &mut X, _: &Id| work(tx, &delivery);
            Ok(Some(self.see_and_do(tx, consumer, id.into(), work)?))
        })
    }

    /// Throws away a message that is in quarantine. From now on it counts as
    /// handled: if it comes again, it is a duplicate. Returns whether it was
    /// there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn discard<X: Tables>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
    ) -> Result<bool, StoreError> {
        let was_there = tx.leave_quarantine(consumer, id)?;
        if was_there {
            tx.see(consumer, id)?;
        }
        Ok(was_there)
    }

    /// The id of a delivery, by this inbox's rule.
    ///
    /// # Errors
    ///
    /// [`IdError`] if it has none.
    pub fn id_of(&self, delivery: &Delivery) -> Result<Id, IdError> {
        self.0.config.id.id_of(delivery)
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

    fn see_and_do<X: Tables, T, E>(
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
        self.0.counts.once(outcome.is_duplicate());
        Ok(outcome)
    }

    /// Stored messages that nothing is missing before any more.
    fn take_due<X: Tables>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
        before: &Watermark,
        after: &Watermark,
    ) -> Result<Vec<(u64, Delivery)>, StoreError> {
        // None is stored below what came ahead.
        let Some(lowest) = before.ahead.first() else {
            return Ok(Vec::new());
        };
        if after.through < lowest {
            return Ok(Vec::new());
        }
        tx.take_held(stream, after.through)
    }

    fn do_all<X: Tables, E>(
        &self,
        tx: &mut X,
        due: &[(u64, Delivery)],
        work: &mut impl FnMut(&mut X, &Delivery) -> Result<(), E>,
    ) -> Result<(), Error<E>> {
        for (_, delivery) in due {
            if let Err(error) = work(tx, delivery) {
                let id = self.id_of(delivery)?;
                return Err(Error::Work { error, id });
            }
        }
        Ok(())
    }

    /// Does all of it or nothing, also if it panics and whoever called goes on
    /// with the transaction: a message that was seen and not handled would be
    /// lost.
    fn undo_on_error<X: Tables, T, E>(
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
