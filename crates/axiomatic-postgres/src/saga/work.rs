//! Work of steps whose effect is in the database of the store.

use std::fmt;
use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::{Append, Change, Fault, Lease, SagaId, Then, Worked};
use axiomatic_coordination::{StoreError, Why};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{BoxFuture, join};
use tokio_postgres::{Client, IsolationLevel, Statement, Transaction};

use super::batches::becomes_due;
use super::rows;
use super::store::Sagas;
use super::write::{self, How, Left, Outcome, What};
use crate::connected::by_tokio::row;
use crate::database::Lent;
use crate::session::within;
use crate::wire::{Param, Row, damaged};

/// What the session is set to while the user's work runs: what the database
/// says, and not what this crate's own statements are planned by.
const THEIRS: &str = "SET LOCAL plan_cache_mode TO DEFAULT; SET LOCAL jit TO DEFAULT; \
                      SET LOCAL enable_seqscan TO DEFAULT; \
                      SET LOCAL enable_bitmapscan TO DEFAULT; \
                      SET LOCAL enable_hashjoin TO DEFAULT; \
                      SET LOCAL enable_mergejoin TO DEFAULT; \
                      SET LOCAL enable_memoize TO DEFAULT";

type Run =
    dyn for<'t> FnOnce(&'t mut Transaction<'_>) -> BoxFuture<'t, Result<Change, Fault>> + Send;

/// Work in a transaction of the store, which commits with what it returns: the
/// effect of a step and the line that says so.
pub struct SagaWork(Box<Run>);

impl SagaWork {
    /// Work that returns what is to be written of the saga. It runs once at
    /// most, and must not end the transaction.
    ///
    /// ```
    /// use axiomatic_coordination::saga::{Change, Fault};
    /// use axiomatic_postgres::saga::SagaWork;
    ///
    /// fn book(done: Change) -> SagaWork {
    ///     SagaWork::new(|tx| {
    ///         Box::pin(async move {
    ///             let insert = "INSERT INTO ledger (cents) VALUES (2000)";
    ///             tx.execute(insert, &[]).await?;
    ///             Ok(done)
    ///         })
    ///     })
    /// }
    /// ```
    pub fn new(
        work: impl for<'t> FnOnce(&'t mut Transaction<'_>) -> BoxFuture<'t, Result<Change, Fault>>
        + Send
        + 'static,
    ) -> Self {
        SagaWork(Box::new(work))
    }

    /// The work of a step, which returns the step's output, as JSON; and what
    /// its executor makes of that.
    pub fn step(
        work: impl for<'t> FnOnce(&'t mut Transaction<'_>) -> BoxFuture<'t, Result<Bytes, Fault>>
        + Send
        + 'static,
        then: Then,
    ) -> Self {
        SagaWork::new(move |tx| {
            let output = work(tx);
            Box::pin(async move { then(output.await?) })
        })
    }
}

impl fmt::Debug for SagaWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaWork").finish_non_exhaustive()
    }
}

impl Sagas {
    pub(super) async fn work(
        &self,
        lease: &Lease,
        saga: SagaId,
        after: u64,
        work: SagaWork,
    ) -> Result<Worked, StoreError> {
        // Never all connections: who works long would keep leases from being
        // prolonged.
        let closed = |_| StoreError::new(Why::Closed);
        let _one_of_few = self.locals.acquire().await.map_err(closed)?;
        let connection = self.database.connection().await?;
        let patience = self.database.patience();
        let fence = within(patience, connection.prepare_cached(&self.sql.fence)).await?;
        let write = within(patience, connection.prepare_cached(&self.sql.write)).await?;
        let mut lent = Lent(Some(connection));
        let connection = lent.0.as_mut().expect("it was put there");
        let statements = (&fence, &write);
        let worked = self
            .work_on(connection, statements, (lease, saga, after), work)
            .await;
        // Its transaction has ended, unless nobody can tell.
        let (worked, has_ended, left) = worked?;
        if has_ended {
            drop(lent.0.take());
        }
        if !left.is_empty() {
            // Those that waited hear of it, though whoever asked may not wait.
            let lines = self.lines.clone();
            let _ = tokio::spawn(async move { lines.pass_on(left).await }).await;
        }
        Ok(worked)
    }

    /// What became of it, whether its transaction has ended, and which lines the
    /// saga has left with it.
    async fn work_on(
        &self,
        client: &mut Client,
        (fence, write): (&Statement, &Statement),
        (lease, saga, after): (&Lease, SagaId, u64),
        SagaWork(work): SagaWork,
    ) -> Result<(Worked, bool, Left), StoreError> {
        let patience = self.database.patience();
        let rollback = async |tx: Transaction<'_>| within(patience, tx.rollback()).await.is_ok();
        reach("postgres.saga.local.asked");
        let begin = client.build_transaction();
        let begin = begin.isolation_level(IsolationLevel::ReadCommitted);
        let mut tx = within(patience, begin.start()).await?;
        reach("postgres.saga.local.begun");
        let [bucket, epoch, owner] = rows::lease(lease);
        let params = [
            bucket,
            epoch,
            owner,
            Param::new(saga.0),
            Param::new(i64::try_from(after).unwrap_or(i64::MAX)),
        ];
        // One round trip: the second is on its way before the first is answered.
        let fenced = query(patience, &tx, fence, &params);
        let (fenced, set) = join(fenced, within(patience, tx.batch_execute(THEIRS))).await;
        let refused = match rows::only(&fenced?)?.get::<String>(0)?.as_str() {
            "held" => None,
            "lost" => Some(Worked::Lost),
            "conflict" => Some(Worked::Conflict),
            other => return Err(damaged(format!("a fence says {other:?}"))),
        };
        if let Some(refused) = refused {
            return Ok((refused, rollback(tx).await, Left::new()));
        }
        set?;
        reach("postgres.saga.local.fenced");
        let change = match work(&mut tx).await {
            Ok(change) => change,
            Err(fault) => {
                return Ok((Worked::Faulted(fault), rollback(tx).await, Left::new()));
            }
        };
        reach("postgres.saga.local.worked");
        let append = Append {
            saga,
            after,
            change,
            read: 0,
        };
        let what = What::Append(lease.clone(), append);
        what.check()?;
        // It was compared, and is locked: whether it would have ended by now
        // does not matter, since nobody could follow.
        let how = How {
            is_fenced: true,
            patience: None,
        };
        let params = write::params(&[&what], how);
        let rows = query(patience, &tx, write, &params).await?;
        let outcome = write::outcomes(&[&what], &rows)?;
        reach("postgres.saga.local.appended");
        if outcome != [Outcome::Held] {
            return Ok((Worked::Conflict, rollback(tx).await, Left::new()));
        }
        let left = write::left(&rows)?;
        within(patience, tx.commit()).await?;
        reach("postgres.saga.local.committed");
        let What::Append(_, Append { change, .. }) = what else {
            unreachable!("it was made above")
        };
        if becomes_due(&change) {
            self.bell.wake();
        }
        Ok((Worked::Done(change), true, left))
    }
}

/// Asked in a transaction, and not for longer than anything may take.
async fn query(
    patience: Duration,
    tx: &Transaction<'_>,
    statement: &Statement,
    params: &[Param],
) -> Result<Vec<Row>, StoreError> {
    let asked = async {
        let rows = tx.query_raw(statement, params.iter()).await?;
        rows.try_collect::<Vec<_>>().await
    };
    let rows = within(patience, asked).await?;
    rows.iter().map(row).collect()
}
