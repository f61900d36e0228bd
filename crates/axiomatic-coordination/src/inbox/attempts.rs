//! What an inbox does about messages that end processes.

use std::convert::Infallible;

use super::counts::Event;
use super::delivery::Delivery;
use super::id::Id;
use super::inbox::Inbox;
use super::outcome::{Admission, Error, Outcome};
use super::quarantine::{Quarantined, Start, start};
use super::tables::Tables;
use crate::StoreError;

impl Inbox {
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
    ) -> Result<Admission, Error<Infallible>> {
        let id = self.id_of(delivery)?;
        if !delivery.may_be_a_repeat() {
            return Ok(Admission::Handle);
        }
        self.undo_on_error(tx, |tx| {
            if tx.quarantined(consumer, &id)?.is_some() {
                return Ok(Admission::Quarantined);
            }
            let started = tx.started(consumer, &id)?;
            let start = start(delivery, started, self.starts());
            match start {
                Start::AtOnce => {}
                Start::WriteDown => tx.start(consumer, &id)?,
                Start::Quarantine => {
                    let reason = format!("{started} attempts began, and nobody heard of them");
                    tx.quarantine(consumer, &id, started, &reason, delivery)?;
                    tx.forget_starts(consumer, &id)?;
                    self.count(Event::Quarantined);
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
    ) -> Result<(), Error<Infallible>> {
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
}
