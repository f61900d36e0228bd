//! The producer on a connection of the user's own.

use axiomatic_coordination::outbox::Message;

use super::Outbox;
use super::enqueue_error::EnqueueError;
use super::outgoing::Outgoing;
use crate::error::store_error;

impl Outbox {
    /// Writes messages in a transaction of the user's own, on a connection to
    /// the same file: they are published if it commits. Best called once, just
    /// before the commit; and after it, [`wake`](Self::wake).
    ///
    /// There is no group here: each such transaction has a commit of its own.
    ///
    /// ```
    /// use axiomatic_coordination::outbox::Message;
    /// use axiomatic_core::BoxError;
    /// use axiomatic_sqlite::outbox::Outbox;
    /// use rusqlite::TransactionBehavior;
    ///
    /// # fn example(own: &mut rusqlite::Connection, outbox: &Outbox) -> Result<(), BoxError> {
    /// let tx = own.transaction_with_behavior(TransactionBehavior::Immediate)?;
    /// tx.execute("INSERT INTO orders (total) VALUES (1999)", ())?;
    /// outbox.write(&tx, [Message::new("orders", "placed").keyed("order-17")])?;
    /// tx.commit()?;
    /// outbox.wake();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EnqueueError`], and then none of these is written.
    pub fn write(
        &self,
        tx: &rusqlite::Transaction<'_>,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<(), EnqueueError> {
        let mut outgoing = Outgoing::new(self.database.options());
        for message in messages {
            outgoing.push(tx, message)?;
        }
        outgoing.write(tx).map_err(store_error)?;
        Ok(())
    }

    /// There may be something to publish: wakes the relays of this process.
    pub fn wake(&self) {
        self.wake.wake();
    }
}
