//! All the steps of a consumer, in their order.

use std::convert::Infallible;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::inbox::{Admission, Delivery, Error, Outcome};
use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::by_id::of_work;
use super::inbox::Inbox;
use super::tables::See;
use crate::Connected;
use crate::error::store_error;

impl Inbox {
    /// Handles a message as a consumer should, on a connection of
    /// tokio-postgres: an attempt that may be a repeat is written down and
    /// committed before it begins; the work is done [once](Self::once), in one
    /// transaction; and if it fails, the attempt is not held against the
    /// message. When this returns `Ok`, all is committed, and the message is to
    /// be acknowledged.
    ///
    /// If its future is dropped, the work is done whole or not at all. A
    /// redelivery that is dropped counts as an attempt of which nobody knows
    /// how it ended.
    ///
    /// # Errors
    ///
    /// [`Error`]: the message must come again. Nothing was done, but if the
    /// connection broke in the commit, which nobody can tell: then it will be a
    /// duplicate.
    pub async fn handle<T, E>(
        &self,
        client: &mut Client,
        consumer: &str,
        delivery: &Delivery,
        work: impl AsyncFnOnce(&mut Transaction<'_>, &Delivery) -> Result<T, E>,
    ) -> Result<Handled<T>, Error<E>> {
        let may_be_a_repeat = delivery.may_be_a_repeat();
        if may_be_a_repeat {
            let mut tx = begin(client).await?;
            let begun = self.begin(&mut tx, consumer, delivery).await;
            let begun = begun.map_err(before_work)?;
            tx.commit().await.map_err(store_error)?;
            reach("postgres.inbox.begun");
            if begun == Admission::Quarantined {
                return Ok(Handled::Quarantined);
            }
        }
        let mut tx = begin(client).await?;
        let handled = match self
            .first(&mut tx, consumer, delivery)
            .await
            .map_err(before_work)?
        {
            Some(duplicate) => Ok(duplicate),
            None => work(&mut tx, delivery).await.map(Outcome::Done),
        };
        match handled {
            Ok(outcome) => {
                tx.commit().await.map_err(store_error)?;
                reach("postgres.inbox.committed");
                self.count(&outcome);
                Ok(outcome.into())
            }
            Err(error) => {
                // If one of these fails, the attempt counts as one too many,
                // and the work's own error is the one to hear of.
                let rolled_back = tx.rollback().await;
                if may_be_a_repeat && rolled_back.is_ok() {
                    let _ = self.failed(client, consumer, delivery).await;
                }
                Err(of_work(error, &self.id_of(delivery)?))
            }
        }
    }

    /// As [`handle`](Self::handle), on a connection of sqlx.
    ///
    /// If its future is dropped, sqlx rolls the transaction back when the
    /// connection is used again, or goes back to its pool.
    ///
    /// # Errors
    ///
    /// As [`handle`](Self::handle).
    #[cfg(feature = "sqlx")]
    pub async fn handle_with_sqlx<T, E>(
        &self,
        connection: &mut sqlx_postgres::PgConnection,
        consumer: &str,
        delivery: &Delivery,
        work: impl AsyncFnOnce(&mut sqlx_postgres::PgConnection, &Delivery) -> Result<T, E>,
    ) -> Result<Handled<T>, Error<E>> {
        use sqlx_core::connection::Connection;

        use crate::error::sqlx_store_error;

        const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
        let may_be_a_repeat = delivery.may_be_a_repeat();
        if may_be_a_repeat {
            let tx = connection.begin_with(BEGIN).await;
            let mut tx = tx.map_err(sqlx_store_error)?;
            let begun = self.begin(&mut *tx, consumer, delivery).await;
            let begun = begun.map_err(before_work)?;
            tx.commit().await.map_err(sqlx_store_error)?;
            reach("postgres.inbox.begun");
            if begun == Admission::Quarantined {
                return Ok(Handled::Quarantined);
            }
        }
        let tx = connection.begin_with(BEGIN).await;
        let mut tx = tx.map_err(sqlx_store_error)?;
        let handled = match self
            .first(&mut *tx, consumer, delivery)
            .await
            .map_err(before_work)?
        {
            Some(duplicate) => Ok(duplicate),
            None => work(&mut tx, delivery).await.map(Outcome::Done),
        };
        match handled {
            Ok(outcome) => {
                tx.commit().await.map_err(sqlx_store_error)?;
                reach("postgres.inbox.committed");
                self.count(&outcome);
                Ok(outcome.into())
            }
            Err(error) => {
                let rolled_back = tx.rollback().await;
                if may_be_a_repeat && rolled_back.is_ok() {
                    let _ = self.failed(connection, consumer, delivery).await;
                }
                Err(of_work(error, &self.id_of(delivery)?))
            }
        }
    }

    /// What was there, if a message is not new. Without a savepoint: whoever
    /// calls this rolls the transaction back.
    async fn first<T>(
        &self,
        tx: &mut impl Connected,
        consumer: &str,
        delivery: &Delivery,
    ) -> Result<Option<Outcome<T>>, Error<Infallible>> {
        let id = self.id_of(delivery)?;
        let see = See {
            may_have_started: delivery.may_be_a_repeat(),
            write_down: true,
        };
        let seen = self.tables.see(tx, consumer, &id, see).await?;
        Ok(seen.map(See::duplicate))
    }
}

async fn begin(client: &mut Client) -> Result<Transaction<'_>, StoreError> {
    let begin = client.build_transaction();
    let begin = begin.isolation_level(IsolationLevel::ReadCommitted);
    begin.start().await.map_err(store_error)
}

/// What became of a message. In all cases it is to be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a message in quarantine was not handled"]
pub enum Handled<T> {
    /// It was handled now.
    Done(T),
    /// It was handled before.
    Duplicate,
    /// It has ended too many processes: it is in quarantine.
    Quarantined,
}

impl<T> From<Outcome<T>> for Handled<T> {
    fn from(outcome: Outcome<T>) -> Self {
        match outcome {
            Outcome::Done(done) => Handled::Done(done),
            Outcome::Duplicate { .. } => Handled::Duplicate,
        }
    }
}

/// An error of a step that does no work yet.
fn before_work<E>(error: Error<Infallible>) -> Error<E> {
    match error {
        Error::Id(error) => Error::Id(error),
        Error::Store(error) => Error::Store(error),
        _ => unreachable!("no work was done, in no order"),
    }
}
