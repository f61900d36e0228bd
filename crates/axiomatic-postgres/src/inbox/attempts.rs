//! Messages that end processes.

use std::convert::Infallible;

use axiomatic_coordination::inbox::{Admission, Delivery, Error, Event, Start, start};

use super::inbox::Inbox;
use crate::Connected;

impl Inbox {
    /// Before the work, in a transaction of its own that commits before it:
    /// if a process may have had this message before, it is written down that
    /// one more attempt begins. A message of which too many attempts have
    /// begun that nobody heard of again goes to quarantine.
    ///
    /// A first delivery writes nothing, and needs no commit. A redelivery waits
    /// for a transaction that handles the message at this time.
    ///
    /// # Errors
    ///
    /// [`Error::Id`], or [`Error::Store`].
    pub async fn begin(
        &self,
        tx: &mut impl Connected,
        consumer: &str,
        delivery: &Delivery,
    ) -> Result<Admission, Error<Infallible>> {
        let id = self.id_of(delivery)?;
        if !delivery.may_be_a_repeat() {
            return Ok(Admission::Handle);
        }
        let (is_quarantined, started) = self.tables.attempts(tx, consumer, &id).await?;
        if is_quarantined {
            return Ok(Admission::Quarantined);
        }
        // It is one statement that writes, or none: no savepoint is needed.
        let start = start(delivery, started, self.protocol.starts());
        match start {
            Start::AtOnce => {}
            Start::WriteDown => self.tables.start(tx, consumer, &id).await?,
            Start::Quarantine => {
                let tables = &self.tables;
                tables
                    .quarantine(tx, consumer, &id, started, delivery)
                    .await?;
                self.protocol.count(Event::Quarantined);
            }
        }
        Ok(start.admission())
    }

    /// An attempt has failed, and the process lives: in a transaction of its
    /// own, after that of the work was rolled back. Success says so itself.
    ///
    /// # Errors
    ///
    /// [`Error::Id`], or [`Error::Store`].
    pub async fn failed(
        &self,
        tx: &mut impl Connected,
        consumer: &str,
        delivery: &Delivery,
    ) -> Result<(), Error<Infallible>> {
        let id = self.id_of(delivery)?;
        if delivery.may_be_a_repeat() {
            self.tables.forget_starts(tx, consumer, &id).await?;
        }
        Ok(())
    }
}
