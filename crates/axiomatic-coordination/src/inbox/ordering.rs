//! What an inbox does with messages that have numbers.

use super::counts::Event;
use super::delivery::Delivery;
use super::inbox::Inbox;
use super::outcome::{Error, Fate, Ordered};
use super::tables::{Stream, Tables};
use super::watermark::{Gap, Verdict, Watermark};
use crate::StoreError;

impl Inbox {
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
        let policy = self.policy();
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
        self.count(Event::Ordered(&ordered));
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
        let policy = self.policy();
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
        self.count(Event::GivenUp(&given_up));
        Ok((handled, given_up))
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
}
