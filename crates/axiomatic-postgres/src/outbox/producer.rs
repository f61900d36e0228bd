//! The producer, in a transaction of the user's own.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Message;

use super::Outbox;
use super::enqueue_error::EnqueueError;
use super::outgoing::Outgoing;
use crate::connected::Connected;

impl Outbox {
    /// Writes messages in a transaction of the user's own: they are published
    /// if it commits. Best called once, just before the commit; and after it,
    /// [`wake`](Self::wake).
    ///
    /// ```no_run
    /// use axiomatic_coordination::outbox::Message;
    /// use axiomatic_postgres::outbox::Outbox;
    ///
    /// # async fn example(
    /// #     client: &mut tokio_postgres::Client,
    /// #     outbox: &Outbox,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = client.transaction().await?;
    /// tx.execute("INSERT INTO orders (total) VALUES (1999)", &[]).await?;
    /// let placed = Message::new("orders", "placed").keyed("order-17");
    /// outbox.enqueue(&mut tx, [placed]).await?;
    /// tx.commit().await?;
    /// outbox.wake();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// All messages of a call are one statement, or, if they are more than
    /// 10,000 or their bodies more than 16 MiB, one for so many. If one of
    /// them is [ordered](Message::ordered) and its key has never been or was
    /// forgotten, there is one statement more.
    ///
    /// # Transactions of ordered messages
    ///
    /// From here to the end of the transaction, others that enqueue ordered
    /// messages of the same keys wait. In one call it does not matter in which
    /// order the keys come. Two transactions that call this several times, for
    /// the same keys in different orders, can wait for each other: PostgreSQL
    /// ends one of them after its `deadlock_timeout`, with [`Why::Busy`].
    ///
    /// In a transaction that is REPEATABLE READ or SERIALIZABLE it is also
    /// `Busy` if another has enqueued for a key since the transaction began
    /// (a serialization failure). Both are for the caller to try again, from
    /// the beginning of the transaction.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it leaves the transaction as PostgreSQL has it:
    /// the messages may be in it, all or none, or, of a call that takes several
    /// statements, the first of them. The transaction is to be rolled back.
    /// One of tokio-postgres is, when it is dropped, and nothing of it stays
    /// open. One of sqlx too, when its connection is used next or goes back to
    /// its pool; but sqlx from 0.8.4 to 0.9.0 forgets a transaction whose
    /// `begin()` is dropped while it waits: the connection goes back to the
    /// pool with it open, and what others then do on it is rolled back or
    /// committed by chance. Await `begin()` where it is not dropped, such as in
    /// a task of its own, and not within `select!` or a timeout.
    ///
    /// # Errors
    ///
    /// [`EnqueueError`], and then none of these is written. If it is
    /// [`EnqueueError::Store`], PostgreSQL has aborted the transaction: every
    /// further statement fails until it is rolled back. Otherwise nothing was
    /// sent, and the transaction can go on.
    ///
    /// [`Why::Busy`]: axiomatic_coordination::Why::Busy
    pub async fn enqueue<X: Connected>(
        &self,
        tx: &mut X,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<(), EnqueueError> {
        let mut outgoing = Outgoing::default();
        for message in messages {
            outgoing.push(message, self.options.largest_body)?;
        }
        self.write(tx, &outgoing).await
    }

    /// Writes what was taken.
    pub(super) async fn write<X: Connected>(
        &self,
        tx: &mut X,
        outgoing: &Outgoing,
    ) -> Result<(), EnqueueError> {
        if outgoing.len() == 0 {
            return Ok(());
        }
        let (gauge, count) = (&self.backlog, &self.sql.backlog_gauge);
        gauge.admit(outgoing.len(), &self.database, count).await?;
        let sql = &self.sql.outgoing;
        for insert in outgoing.inserts(sql) {
            reach("postgres.enqueue.asked");
            let new = tx.query(insert.sql, &insert.params).await?;
            reach("postgres.enqueue.done");
            if new.is_empty() {
                continue;
            }
            let new = new.iter().map(|row| Ok((row.get(0)?, row.get(1)?)));
            let new: Vec<_> = new.collect::<Result<_, StoreError>>()?;
            tx.query(&sql.begin, &insert.begun(&new)).await?;
            reach("postgres.enqueue.begun");
        }
        Ok(())
    }
}
