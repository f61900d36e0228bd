//! A transaction of the user's that collects messages until it commits.

use std::fmt;
use std::ops::{Deref, DerefMut};

use axiomatic_coordination::StoreError;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Message;

use super::Outbox;
use super::enqueue_error::EnqueueError;
use super::outgoing::Outgoing;
use crate::connected::Session;

/// A transaction of the user's that can be committed: one of tokio-postgres or
/// of deadpool, or, with the feature `sqlx`, of sqlx.
#[expect(
    private_bounds,
    reason = "it is sealed: what is asked of it is this crate's own"
)]
pub trait Transaction: Commit {}

impl<T: Commit> Transaction for T {}

/// Ends well.
pub(crate) trait Commit: Session {
    /// Commits. Dropped while it waits, it is committed or rolled back.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A transaction of the user's that collects messages while it works, and
/// writes them just before it commits, in one statement: from
/// [`Outbox::buffered`].
///
/// It has the transaction, so that there is no way to commit without the
/// messages; it is used as the transaction itself. If it is dropped, the
/// transaction is rolled back, and no message was written.
#[derive(Debug)]
#[must_use = "dropped, it rolls the transaction back"]
pub struct Buffered<T> {
    outbox: Outbox,
    outgoing: Outgoing,
    tx: Held<T>,
}

/// Whose insides are nobody's business.
struct Held<T>(T);

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction")
    }
}

impl Outbox {
    /// Takes a transaction of the user's, and collects its messages.
    ///
    /// ```no_run
    /// use axiomatic_coordination::outbox::Message;
    /// use axiomatic_postgres::outbox::Outbox;
    ///
    /// # async fn example(
    /// #     client: &mut tokio_postgres::Client,
    /// #     outbox: &Outbox,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = outbox.buffered(client.transaction().await?);
    /// tx.execute("INSERT INTO orders (total) VALUES (1999)", &[]).await?;
    /// tx.push(Message::new("orders", "placed").keyed("order-17"))?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn buffered<T: Transaction>(&self, tx: T) -> Buffered<T> {
        Buffered {
            outbox: self.clone(),
            outgoing: Outgoing::default(),
            tx: Held(tx),
        }
    }
}

impl<T: Transaction> Buffered<T> {
    /// Takes a message, to be written with the commit.
    ///
    /// # Errors
    ///
    /// [`EnqueueError::TooLarge`] and [`EnqueueError::Nul`]; the message was
    /// not taken then, and the transaction can go on.
    pub fn push(&mut self, message: Message) -> Result<(), EnqueueError> {
        self.outgoing
            .push(message, self.outbox.options.largest_body)
    }

    /// How many messages there are to be written.
    pub fn buffered(&self) -> usize {
        self.outgoing.len()
    }

    /// Writes the messages as [`Outbox::enqueue`] does, commits, and, when it
    /// has committed, [wakes](Outbox::wake) the relays.
    ///
    /// Can be dropped while it waits: then the transaction is rolled back with
    /// all its messages, or, if the commit was sent, committed with them.
    ///
    /// # Errors
    ///
    /// [`EnqueueError`], and the transaction is rolled back. If the connection
    /// broke while the commit was asked for, which is
    /// [`EnqueueError::Store`] with
    /// [`Why::Unavailable`](axiomatic_coordination::Why::Unavailable), only the
    /// server knows whether it has committed.
    pub async fn commit(self) -> Result<(), EnqueueError> {
        let Buffered {
            outbox,
            outgoing,
            tx: Held(mut tx),
        } = self;
        outbox.write(&mut tx, &outgoing).await?;
        reach("postgres.commit.asked");
        tx.commit().await?;
        reach("postgres.commit.done");
        outbox.wake();
        Ok(())
    }
}

impl<T> Deref for Buffered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.tx.0
    }
}

impl<T> DerefMut for Buffered<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.tx.0
    }
}

mod by_tokio {
    use super::*;
    use crate::error::store_error;

    impl Commit for tokio_postgres::Transaction<'_> {
        async fn commit(self) -> Result<(), StoreError> {
            self.commit().await.map_err(store_error)
        }
    }

    impl Commit for deadpool_postgres::Transaction<'_> {
        async fn commit(self) -> Result<(), StoreError> {
            self.commit().await.map_err(store_error)
        }
    }
}

#[cfg(feature = "sqlx")]
mod by_sqlx {
    use sqlx_core::transaction::Transaction;
    use sqlx_postgres::Postgres;

    use super::*;
    use crate::error::sqlx_store_error;

    impl Commit for Transaction<'_, Postgres> {
        async fn commit(self) -> Result<(), StoreError> {
            self.commit().await.map_err(sqlx_store_error)
        }
    }
}
