//! What statements of this crate are executed on: connections of the user's.

use axiomatic_coordination::StoreError;

use crate::wire::{Param, Row};

/// A transaction of the user's: one of tokio-postgres or of deadpool, or, with
/// the feature `sqlx`, one of sqlx, or a connection of sqlx within one, which
/// is what its transactions lend (`&mut *tx`).
///
/// Deadpool's and sqlx's remember the statements that they prepared, and so
/// are faster with a few messages: without that the server parses and plans
/// each time.
///
/// What is done through it commits with all else that the transaction does, or
/// not at all. If a statement fails, PostgreSQL has aborted the transaction, as
/// after any other error: the caller rolls it back.
#[expect(
    private_bounds,
    reason = "it is sealed: what is asked of it is this crate's own"
)]
pub trait Connected: Session {}

impl<S: Session> Connected for S {}

/// Executes statements, one at a time.
///
/// Savepoints nest: what ends one ends the last that was set.
pub(crate) trait Session: Send {
    /// Executes a statement and returns its rows.
    fn query(
        &mut self,
        sql: &str,
        params: &[Param],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// A place to which what follows can be rolled back. Refused where there
    /// is no transaction.
    fn savepoint(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What was done since the savepoint stands, as far as the transaction
    /// does; the savepoint is gone.
    fn release(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What was done since the savepoint is undone, before anything that is
    /// executed afterwards; it is gone. Without waiting, so that it can be done
    /// where nobody can wait.
    fn start_roll_back(&mut self);
}

const SAVEPOINT: &str = "SAVEPOINT axiomatic";
const RELEASE: &str = "RELEASE SAVEPOINT axiomatic";
/// It is one message, and one round trip.
const ROLL_BACK: &str = "ROLLBACK TO SAVEPOINT axiomatic; RELEASE SAVEPOINT axiomatic";

pub(crate) mod by_tokio {
    //! By tokio-postgres. A statement is parsed and planned each time: what
    //! the user's connection has prepared is the user's, and the server
    //! forgets it behind a pool that lends transactions.

    use std::error::Error;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use bytes::{Bytes, BytesMut};
    use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
    use tokio_postgres::{Client, Transaction};

    use super::*;
    use crate::error::store_error;

    macro_rules! savepoints {
        () => {
            async fn savepoint(&mut self) -> Result<(), StoreError> {
                self.batch_execute(SAVEPOINT).await.map_err(store_error)
            }

            async fn release(&mut self) -> Result<(), StoreError> {
                self.batch_execute(RELEASE).await.map_err(store_error)
            }

            fn start_roll_back(&mut self) {
                // A request is on its way when its future has been polled
                // once, behind all that were before it. Nobody needs the
                // answer: if it fails, the transaction is aborted.
                let asked = pin!(self.batch_execute(ROLL_BACK));
                let _ = asked.poll(&mut Context::from_waker(Waker::noop()));
            }
        };
    }

    macro_rules! session {
        ($on:ty) => {
            impl Session for $on {
                async fn query(
                    &mut self,
                    sql: &str,
                    params: &[Param],
                ) -> Result<Vec<Row>, StoreError> {
                    let rows = self.query_typed(sql, &typed(params)).await;
                    rows.map_err(store_error)?.iter().map(row).collect()
                }

                savepoints!();
            }
        };
    }

    session!(Transaction<'_>);
    session!(Client);

    /// With what its connection has prepared, for as long as the pool has it.
    impl Session for deadpool_postgres::Transaction<'_> {
        async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Vec<Row>, StoreError> {
            use futures::TryStreamExt;
            let statement = self.prepare_cached(sql).await.map_err(store_error)?;
            let rows = self.query_raw(&statement, params.iter()).await;
            let rows: Vec<_> = rows
                .map_err(store_error)?
                .try_collect()
                .await
                .map_err(store_error)?;
            rows.iter().map(row).collect()
        }

        savepoints!();
    }

    fn typed(params: &[Param]) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let typed = params.iter().map(|param| {
            let kind = Type::from_oid(param.oid).expect("all that are bound are built in");
            (param as &(dyn ToSql + Sync), kind)
        });
        typed.collect()
    }

    /// A row with its values as they came.
    pub(crate) fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
        let values = (0..row.len()).map(|column| {
            let value = row.try_get::<_, Option<Raw>>(column);
            Ok(value.map_err(store_error)?.map(|Raw(value)| value))
        });
        Ok(Row(values.collect::<Result<_, StoreError>>()?))
    }

    struct Raw(Bytes);

    impl<'a> FromSql<'a> for Raw {
        fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            Ok(Raw(Bytes::copy_from_slice(raw)))
        }

        fn accepts(_: &Type) -> bool {
            true
        }
    }

    impl ToSql for Param {
        fn to_sql(
            &self,
            _: &Type,
            out: &mut BytesMut,
        ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
            Ok(match &self.value {
                Some(value) => {
                    out.extend_from_slice(value);
                    IsNull::No
                }
                None => IsNull::Yes,
            })
        }

        fn accepts(_: &Type) -> bool {
            true
        }

        to_sql_checked!();
    }
}

#[cfg(feature = "sqlx")]
mod by_sqlx {
    //! By sqlx, whose connections remember which statements they prepared.

    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axiomatic_coordination::Why;
    use bytes::Bytes;
    use sqlx_core::encode::{Encode, IsNull};
    use sqlx_core::error::BoxDynError;
    use sqlx_core::query::query_with;
    use sqlx_core::row::Row as _;
    use sqlx_core::sql_str::AssertSqlSafe;
    use sqlx_core::transaction::{Transaction, TransactionManager};
    use sqlx_core::types::Type;
    use sqlx_core::value::ValueRef;
    use sqlx_postgres::types::Oid;
    use sqlx_postgres::{
        PgArgumentBuffer, PgArguments, PgConnection, PgRow, PgTransactionManager, PgTypeInfo,
        Postgres,
    };

    use super::*;
    use crate::error::sqlx_store_error;
    use crate::wire::damaged;

    impl Session for PgConnection {
        async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Vec<Row>, StoreError> {
            use sqlx_core::arguments::Arguments;
            let mut arguments = PgArguments::default();
            for param in params {
                let added = arguments.add(param);
                added.map_err(|error| sqlx_store_error(sqlx_core::Error::Encode(error)))?;
            }
            // The texts are this crate's own, and all values are bound.
            let query = query_with::<Postgres, _>(AssertSqlSafe(sql), arguments);
            let rows = query.fetch_all(self).await;
            rows.map_err(sqlx_store_error)?.iter().map(row).collect()
        }

        // By sqlx's own savepoints: it knows how to begin a rollback without
        // waiting, and counts how deep they nest.
        async fn savepoint(&mut self) -> Result<(), StoreError> {
            if PgTransactionManager::get_transaction_depth(self) == 0 {
                return Err(StoreError::new(Why::Refused)
                    .because("there is no transaction that sqlx knows of"));
            }
            let mut begun = Unrolled(Some(Box::pin(PgTransactionManager::begin(self, None))));
            (&mut begun).await.map_err(sqlx_store_error)
        }

        async fn release(&mut self) -> Result<(), StoreError> {
            let released = PgTransactionManager::commit(self).await;
            released.map_err(sqlx_store_error)
        }

        fn start_roll_back(&mut self) {
            PgTransactionManager::start_rollback(self);
        }
    }

    impl Session for Transaction<'_, Postgres> {
        async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Vec<Row>, StoreError> {
            PgConnection::query(self, sql, params).await
        }

        async fn savepoint(&mut self) -> Result<(), StoreError> {
            PgConnection::savepoint(self).await
        }

        async fn release(&mut self) -> Result<(), StoreError> {
            PgConnection::release(self).await
        }

        fn start_roll_back(&mut self) {
            PgConnection::start_roll_back(self);
        }
    }

    /// What begins a savepoint. Dropped before it is complete, it would have
    /// sqlx 0.9 roll back the transaction around it, of which the caller's
    /// commit would then say that it went well. So it is forgotten instead:
    /// a savepoint more, which nobody goes back to, does no harm.
    struct Unrolled<F>(Option<Pin<Box<F>>>);

    impl<F: Future> Future for &mut Unrolled<F> {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
            let begins = self.0.as_mut().expect("not polled when it is complete");
            let begun = std::task::ready!(begins.as_mut().poll(context));
            self.0 = None;
            Poll::Ready(begun)
        }
    }

    impl<F> Drop for Unrolled<F> {
        fn drop(&mut self) {
            std::mem::forget(self.0.take());
        }
    }

    fn row(row: &PgRow) -> Result<Row, StoreError> {
        let values = (0..row.len()).map(|column| {
            let value = row.try_get_raw(column).map_err(sqlx_store_error)?;
            if value.is_null() {
                return Ok(None);
            }
            let bytes = value
                .as_bytes()
                .map_err(|error| damaged(error.to_string()))?;
            Ok(Some(Bytes::copy_from_slice(bytes)))
        });
        Ok(Row(values.collect::<Result<_, StoreError>>()?))
    }

    impl Encode<'_, Postgres> for Param {
        fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
            Ok(match &self.value {
                Some(value) => {
                    buffer.extend_from_slice(value);
                    IsNull::No
                }
                None => IsNull::Yes,
            })
        }

        fn produces(&self) -> Option<PgTypeInfo> {
            Some(PgTypeInfo::with_oid(Oid(self.oid)))
        }
    }

    impl Type<Postgres> for Param {
        fn type_info() -> PgTypeInfo {
            // Each value says what it is.
            PgTypeInfo::with_oid(Oid(0))
        }
    }
}
