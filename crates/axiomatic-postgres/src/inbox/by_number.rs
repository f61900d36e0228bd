//! Messages that an outbox has numbered.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::inbox::{
    Delivery, Error, Event, Fate, Gap, Ordered, Stream, Verdict, Watermark,
};

use super::by_id::of_work;
use super::inbox::Inbox;
use super::undo::Undo;
use crate::Connected;

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
    pub async fn in_order<X: Connected, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        delivery: &Delivery,
        work: impl AsyncFnOnce(&mut X, &Delivery) -> Result<(), E> + Clone,
    ) -> Result<Ordered, Error<E>> {
        let (Some(stream), Some(sequence)) = (Stream::of(consumer, delivery), delivery.sequence()?)
        else {
            return Err(Error::Unordered);
        };
        let id = self.id_of(delivery)?;
        let policy = self.protocol.policy();
        let epoch = delivery.epoch()?;
        let mut undo = Undo::begin(tx).await?;
        let done = async {
            let tx = undo.tx();
            let (before, now) = self.tables.watermark(tx, &stream).await?;
            let judged = before.judge(sequence, epoch, policy, now);
            let mut due = self.take_due(tx, &stream, &before, &judged.after).await?;
            if judged.verdict == Verdict::Handle {
                let place = due.partition_point(|(number, _)| *number < sequence.number);
                due.insert(place, (sequence.number, delivery.clone()));
            }
            for (_, delivery) in &due {
                if let Err(error) = work.clone()(tx, delivery).await {
                    return Err(of_work(error, &self.id_of(delivery)?));
                }
            }
            if judged.verdict == Verdict::Hold {
                let number = sequence.number;
                self.tables.hold(tx, &stream, number, delivery).await?;
            }
            if judged.after != before {
                self.tables.remember(tx, &stream, &judged.after).await?;
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
                self.tables.forget_starts(tx, consumer, &id).await?;
            }
            Ok(Ordered {
                fate,
                handled: due.len(),
                given_up: judged.given_up,
                is_late: judged.is_late,
                is_from_a_zombie: judged.is_from_a_zombie,
            })
        };
        let done = done.await;
        let ordered = undo.end(done).await?;
        self.protocol.count(Event::Ordered(&ordered));
        Ok(ordered)
    }

    /// Gives up what a key has missed for longer than the policy has
    /// patience, and handles what was stored behind it, although no message
    /// has come. Returns how many were handled, and what was given up.
    ///
    /// # Errors
    ///
    /// As [`in_order`](Self::in_order).
    pub async fn give_up_overdue<X: Connected, E>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
        work: impl AsyncFnOnce(&mut X, &Delivery) -> Result<(), E> + Clone,
    ) -> Result<(usize, Vec<Gap>), Error<E>> {
        let policy = self.protocol.policy();
        let mut undo = Undo::begin(tx).await?;
        let done = async {
            let tx = undo.tx();
            let (before, now) = self.tables.watermark(tx, stream).await?;
            let Some((after, given_up)) = before.give_up_overdue(policy, now) else {
                return Ok((0, Vec::new()));
            };
            let due = self.take_due(tx, stream, &before, &after).await?;
            for (_, delivery) in &due {
                if let Err(error) = work.clone()(tx, delivery).await {
                    return Err(of_work(error, &self.id_of(delivery)?));
                }
            }
            self.tables.remember(tx, stream, &after).await?;
            Ok((due.len(), given_up))
        };
        let done = done.await;
        let (handled, given_up) = undo.end(done).await?;
        self.protocol.count(Event::GivenUp(&given_up));
        Ok((handled, given_up))
    }

    /// Stored messages that nothing is missing before any more.
    async fn take_due<X: Connected>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
        before: &Watermark,
        after: &Watermark,
    ) -> Result<Vec<(u64, Delivery)>, StoreError> {
        // None is stored below what came ahead.
        match before.ahead.first() {
            Some(lowest) if after.through >= lowest => {
                self.tables.take_held(tx, stream, after.through).await
            }
            _ => Ok(Vec::new()),
        }
    }
}
