//! Messages that are recognised by their ids.

use std::convert::Infallible;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::inbox::{Delivery, Error, Event, Id, Outcome, Quarantined, Which};
use bytes::Bytes;

use super::inbox::Inbox;
use super::tables::See;
use super::undo::Undo;
use crate::Connected;

impl Inbox {
    /// Handles a message, unless this consumer has before. In the work's own
    /// transaction `tx`: what the work writes and that the message was seen
    /// become true together.
    ///
    /// The caller commits, and then acknowledges the message, whatever the
    /// outcome. Transactions that handle several messages each, in different
    /// orders, may deadlock: one of them fails with
    /// [`Busy`](axiomatic_coordination::Why::Busy), and is done again.
    ///
    /// If its future is dropped, or the work panics, what was done here is
    /// undone, also if the caller goes on with the transaction.
    ///
    /// # Errors
    ///
    /// [`Error`]: if the work fails, or anything else does, nothing of what
    /// was done here remains, and the message is not acknowledged.
    pub async fn once<'w, X: Connected, T, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        which: impl Into<Which<'w>>,
        work: impl AsyncFnOnce(&mut X) -> Result<T, E>,
    ) -> Result<Outcome<T>, Error<E>> {
        let (id, may_have_started) = self.find(which.into())?;
        let see = See {
            may_have_started,
            write_down: true,
        };
        let mut undo = Undo::begin(tx).await?;
        let done = async {
            let tx = undo.tx();
            if let Some(seen) = self.tables.see(tx, consumer, &id, see).await? {
                return Ok(See::duplicate(seen));
            }
            match work(tx).await {
                Ok(done) => Ok(Outcome::Done(done)),
                Err(error) => Err(of_work(error, &id)),
            }
        };
        let done = done.await;
        let outcome = undo.end(done).await?;
        self.count(&outcome);
        Ok(outcome)
    }

    /// As [`once`](Self::once), and keeps the result of the work, so that a
    /// repeat is answered with that of the first time.
    ///
    /// # Errors
    ///
    /// As [`once`](Self::once), and [`Error::ResultTooLong`].
    pub async fn once_with_result<'w, X: Connected, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        which: impl Into<Which<'w>>,
        work: impl AsyncFnOnce(&mut X) -> Result<Bytes, E>,
    ) -> Result<Outcome<Bytes>, Error<E>> {
        let (id, may_have_started) = self.find(which.into())?;
        let see = See {
            may_have_started,
            write_down: false,
        };
        let at_most = self.protocol.longest_result();
        let mut undo = Undo::begin(tx).await?;
        let done = async {
            let tx = undo.tx();
            if let Some(seen) = self.tables.see(tx, consumer, &id, see).await? {
                return Ok(See::duplicate(seen));
            }
            let result = match work(tx).await {
                Ok(result) => result,
                Err(error) => return Err(of_work(error, &id)),
            };
            if result.len() > at_most {
                let bytes = result.len();
                return Err(Error::ResultTooLong { bytes, at_most });
            }
            self.tables.keep(tx, consumer, &id, &result).await?;
            Ok(Outcome::Done(result))
        };
        let done = done.await;
        let outcome = undo.end(done).await?;
        self.count(&outcome);
        Ok(outcome)
    }

    /// Takes a message out of quarantine and handles it, in this transaction.
    /// Nothing if it is not there.
    ///
    /// # Errors
    ///
    /// As [`once`](Self::once): then it is in quarantine still.
    pub async fn release<X: Connected, T, E>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
        work: impl AsyncFnOnce(&mut X, &Delivery) -> Result<T, E>,
    ) -> Result<Option<Outcome<T>>, Error<E>> {
        let mut undo = Undo::begin(tx).await?;
        let done = async {
            let tx = undo.tx();
            // Its turn first, as a redelivery has it before it looks here.
            self.tables.attempts(tx, consumer, id).await?;
            let left = self.tables.leave_quarantine(tx, consumer, id).await?;
            let Some(Quarantined { delivery, .. }) = left else {
                return Ok(None);
            };
            if let Some(seen) = self.tables.see(tx, consumer, id, See::BY_ID).await? {
                return Ok(Some(See::duplicate(seen)));
            }
            match work(tx, &delivery).await {
                Ok(done) => Ok(Some(Outcome::Done(done))),
                Err(error) => Err(of_work(error, id)),
            }
        };
        let done = done.await;
        let outcome = undo.end(done).await?;
        if let Some(outcome) = &outcome {
            self.count(outcome);
        }
        Ok(outcome)
    }

    /// Throws away a message that is in quarantine. From now on it counts as
    /// handled: if it comes again, it is a duplicate. Returns whether it was
    /// there.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nothing of what was done here remains.
    pub async fn discard(
        &self,
        tx: &mut impl Connected,
        consumer: &str,
        id: &Id,
    ) -> Result<bool, StoreError> {
        let mut undo = Undo::begin(tx).await?;
        let done = async {
            let tx = undo.tx();
            // Its turn first, as a redelivery has it before it looks here.
            self.tables.attempts(tx, consumer, id).await?;
            let left = self.tables.leave_quarantine(tx, consumer, id).await?;
            if left.is_some() {
                self.tables.see(tx, consumer, id, See::BY_ID).await?;
            }
            Ok(left.is_some())
        };
        let done: Result<_, StoreError> = done.await;
        let done = undo.end(done.map_err(Error::<Infallible>::Store)).await;
        done.map_err(|error| match error {
            Error::Store(error) => error,
            _ => unreachable!("no other was made"),
        })
    }

    /// The id, and whether an attempt may have begun.
    pub(super) fn find<E>(&self, which: Which<'_>) -> Result<(Id, bool), Error<E>> {
        Ok(match which {
            Which::Id(id) => (id.clone(), true),
            Which::Delivery(delivery) => (self.id_of(delivery)?, delivery.may_be_a_repeat()),
        })
    }

    pub(super) fn count<T>(&self, outcome: &Outcome<T>) {
        self.protocol.count(match outcome {
            Outcome::Done(_) => Event::Done,
            Outcome::Duplicate { .. } => Event::Duplicate,
        });
    }
}

pub(super) fn of_work<E>(error: E, id: &Id) -> Error<E> {
    let id = id.clone();
    Error::Work { error, id }
}
