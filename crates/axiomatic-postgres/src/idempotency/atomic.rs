//! Phases whose effect is in the database of the store.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::idempotency::{Begun, Fence, Kind, Phase, PhaseError, Step};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::{Client, Transaction};

use super::rows;
use super::store::Idempotency;
use crate::Connected;
use crate::error::store_error;

/// What a [`Phase`] can do whose request stands in PostgreSQL.
///
/// All of it in one transaction: it looks whether the request is ours, and
/// locks its row, so that nobody takes it over before the end; the work is
/// done; the step is appended, and the lease renewed; it commits. While the
/// row is locked, a claim of the same key is answered at once, with
/// [`InProgress`](axiomatic_coordination::idempotency::Claimed::InProgress).
///
/// Not within each other, and no foreign phase of the same request within one:
/// it would wait for the row that is locked by what waits for it.
#[expect(
    private_bounds,
    reason = "it is sealed: what is asked of it is this crate's own"
)]
pub trait AtomicPhase: Of + Sized {
    /// Does something in the database, once, on a connection of
    /// tokio-postgres; one of deadpool's lends one.
    ///
    /// If its future is dropped, the work is done whole or not at all, and the
    /// transaction ends.
    ///
    /// # Errors
    ///
    /// [`PhaseError`]: nothing of the work is left, but for
    /// [`PhaseError::Store`] if the connection broke in the commit, which
    /// nobody can tell: whoever runs the request next finds the step, or does
    /// the work.
    fn atomic<T, E>(
        self,
        client: &mut Client,
        work: impl AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> impl Future<Output = Result<T, PhaseError<E>>>
    where
        T: Serialize + DeserializeOwned;

    /// As [`atomic`](Self::atomic), on a connection of sqlx.
    ///
    /// If its future is dropped, sqlx rolls the transaction back when the
    /// connection is used again, or goes back to its pool.
    ///
    /// # Errors
    ///
    /// As [`atomic`](Self::atomic).
    #[cfg(feature = "sqlx")]
    fn atomic_with_sqlx<T, E>(
        self,
        connection: &mut sqlx_postgres::PgConnection,
        work: impl AsyncFnOnce(&mut sqlx_postgres::PgConnection) -> Result<T, E>,
    ) -> impl Future<Output = Result<T, PhaseError<E>>>
    where
        T: Serialize + DeserializeOwned;

    /// For a transaction of one's own, of any isolation level: locks the
    /// request until the transaction ends, if it is ours. If it is
    /// [`Fence::Lost`], roll back.
    ///
    /// ```
    /// # use axiomatic_coordination::idempotency::{Begun, Fence, Kind, Phase, PhaseError};
    /// # use axiomatic_postgres::idempotency::{AtomicPhase, Idempotency};
    /// # use axiomatic_postgres::store_error;
    /// # type Error = PhaseError<tokio_postgres::Error>;
    /// async fn book(
    ///     phase: Phase<'_, Idempotency>,
    ///     client: &mut tokio_postgres::Client,
    /// ) -> Result<i64, Error> {
    ///     if let Begun::Before(entry) = phase.begin(Kind::Atomic)? {
    ///         return Ok(entry);
    ///     }
    ///     let broken = |error| PhaseError::Store(store_error(error));
    ///     let mut tx = client.transaction().await.map_err(broken)?;
    ///     if phase.fence(&mut tx).await.map_err(PhaseError::Store)? == Fence::Lost {
    ///         return Err(PhaseError::Lost);
    ///     }
    ///     let insert = "INSERT INTO ledger DEFAULT VALUES RETURNING entry";
    ///     let row = tx.query_one(insert, &[]).await.map_err(PhaseError::Work)?;
    ///     let entry: i64 = row.get(0);
    ///     let step = phase.step(Kind::Atomic, &entry)?;
    ///     if phase.append(&mut tx, &step).await.map_err(PhaseError::Store)? == Fence::Lost {
    ///         return Err(PhaseError::Lost);
    ///     }
    ///     tx.commit().await.map_err(broken)?;
    ///     phase.finish(step);
    ///     Ok(entry)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn fence(
        &self,
        tx: &mut impl Connected,
    ) -> impl Future<Output = Result<Fence, StoreError>> + Send;

    /// For a transaction of one's own that is [fenced](Self::fence): appends
    /// the step with which the phase ends, and renews the lease. The
    /// transaction then commits, and the phase is
    /// [finished](Phase::finish).
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn append(
        &self,
        tx: &mut impl Connected,
        step: &Step,
    ) -> impl Future<Output = Result<Fence, StoreError>> + Send;
}

/// Whose phases they are.
trait Of {}

impl Of for Phase<'_, Idempotency> {}

impl AtomicPhase for Phase<'_, Idempotency> {
    async fn atomic<T, E>(
        self,
        client: &mut Client,
        work: impl AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, PhaseError<E>>
    where
        T: Serialize + DeserializeOwned,
    {
        if let Begun::Before(value) = self.begin(Kind::Atomic)? {
            return Ok(value);
        }
        let tx = client.transaction().await;
        let mut tx = tx.map_err(|error| PhaseError::Store(store_error(error)))?;
        reach("postgres.idempotency.phase.begun");
        let done = async {
            let tx = &mut tx;
            held(self.fence(tx).await)?;
            reach("postgres.idempotency.phase.fenced");
            let value = work(tx).await.map_err(PhaseError::Work)?;
            reach("postgres.idempotency.phase.worked");
            let step = self.step(Kind::Atomic, &value)?;
            held(self.append(tx, &step).await)?;
            reach("postgres.idempotency.phase.appended");
            Ok((value, step))
        };
        match done.await {
            Ok((value, step)) => {
                let committed = tx.commit().await;
                committed.map_err(|error| PhaseError::Store(store_error(error)))?;
                reach("postgres.idempotency.phase.committed");
                self.finish(step);
                Ok(value)
            }
            Err(error) => {
                // If it fails the connection is broken, which does the same.
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    #[cfg(feature = "sqlx")]
    async fn atomic_with_sqlx<T, E>(
        self,
        connection: &mut sqlx_postgres::PgConnection,
        work: impl AsyncFnOnce(&mut sqlx_postgres::PgConnection) -> Result<T, E>,
    ) -> Result<T, PhaseError<E>>
    where
        T: Serialize + DeserializeOwned,
    {
        use sqlx_core::connection::Connection;

        use crate::error::sqlx_store_error;

        if let Begun::Before(value) = self.begin(Kind::Atomic)? {
            return Ok(value);
        }
        let tx = connection.begin().await;
        let mut tx = tx.map_err(|error| PhaseError::Store(sqlx_store_error(error)))?;
        reach("postgres.idempotency.phase.begun");
        let done = async {
            let tx = &mut *tx;
            held(self.fence(tx).await)?;
            reach("postgres.idempotency.phase.fenced");
            let value = work(tx).await.map_err(PhaseError::Work)?;
            reach("postgres.idempotency.phase.worked");
            let step = self.step(Kind::Atomic, &value)?;
            held(self.append(tx, &step).await)?;
            reach("postgres.idempotency.phase.appended");
            Ok((value, step))
        };
        match done.await {
            Ok((value, step)) => {
                let committed = tx.commit().await;
                committed.map_err(|error| PhaseError::Store(sqlx_store_error(error)))?;
                reach("postgres.idempotency.phase.committed");
                self.finish(step);
                Ok(value)
            }
            Err(error) => {
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    async fn fence(&self, tx: &mut impl Connected) -> Result<Fence, StoreError> {
        let params = rows::lease(self.phases().lease());
        let sql = &self.phases().store().sql;
        Ok(rows::fence(&tx.query(&sql.fence, &params).await?))
    }

    async fn append(&self, tx: &mut impl Connected, step: &Step) -> Result<Fence, StoreError> {
        let params = [rows::lease(self.phases().lease()), rows::step(step)].concat();
        let sql = &self.phases().store().sql;
        Ok(rows::fence(&tx.query(&sql.append, &params).await?))
    }
}

fn held<E>(fence: Result<Fence, StoreError>) -> Result<(), PhaseError<E>> {
    match fence {
        Ok(Fence::Held) => Ok(()),
        Ok(Fence::Lost) => Err(PhaseError::Lost),
        Err(error) => Err(PhaseError::Store(error)),
    }
}
