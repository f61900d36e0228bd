//! Who stands in line for what. How it is that nobody is overlooked, and that no
//! two wait for each other, is said where it is done, in the schema.

use std::sync::Arc;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Wake;
use axiomatic_coordination::saga::{InLine, Lease, LockMode, LockRequest, Locked, SagaId};
use axiomatic_coordination::{StoreError, Why};
use tokio::sync::Semaphore;

use super::rows;
use super::sql::Sql;
use super::write::Left;
use crate::database::Database;
use crate::wire::{Param, Row, damaged};

/// The lines of a database. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    database: Database,
    sql: Arc<Sql>,
    bell: Wake,
    locals: Arc<Semaphore>,
}

impl Lines {
    /// Of so many connections, which are shared with local work, who enters
    /// takes one.
    pub(super) fn new(
        database: &Database,
        sql: &Arc<Sql>,
        bell: &Wake,
        locals: &Arc<Semaphore>,
    ) -> Self {
        Lines {
            database: database.clone(),
            sql: sql.clone(),
            bell: bell.clone(),
            locals: locals.clone(),
        }
    }

    /// Has a saga stand in line.
    ///
    /// Can be dropped while it waits: it stands there with all, or not at all.
    pub(super) async fn enter(
        &self,
        lease: &Lease,
        request: &LockRequest,
    ) -> Result<Locked, StoreError> {
        // Whoever enters waits on the server until others have, and is not to
        // keep leases from being prolonged.
        let closed = |_| StoreError::new(Why::Closed);
        let _one_of_few = self.locals.acquire().await.map_err(closed)?;
        let letter = LockRequest::letter(request.saga, &request.name);
        let [bucket, epoch, owner] = rows::lease(lease);
        let locks = request.locks.iter();
        let params = [
            bucket,
            epoch,
            owner,
            Param::new(request.saga.0),
            Param::new(&*request.name),
            Param::new(letter.id),
            Param::array(locks.clone().map(|lock| &*lock.resource)),
            Param::array(locks.map(|lock| lock.mode.as_str())),
            Param::new(request.waits),
        ];
        reach("postgres.saga.lock.asked");
        let rows = self.database.query(&self.sql.enter, &params).await?;
        reach("postgres.saga.lock.entered");
        let locked = locked(&rows)?;
        // Who was in its way may have ended while it entered, without seeing
        // it.
        if locked == Locked::Waits {
            let params = [
                Param::array([request.saga.0]),
                Param::array([&*request.name]),
            ];
            let rows = self.database.query(&self.sql.tell, &params).await?;
            reach("postgres.saga.lock.looked");
            if self.told(&rows)? {
                return Ok(Locked::Held);
            }
        }
        if locked == Locked::Held {
            self.bell.wake();
        }
        Ok(locked)
    }

    /// Tells those whose turn has come in lines that others have left. If that
    /// cannot be done now, it is when somebody attends.
    pub(super) async fn pass_on(&self, left: Left) {
        if left.is_empty() {
            return;
        }
        reach("postgres.saga.pass_on.asked");
        let params = [
            Param::array(left.keys().map(|line| &**line)),
            Param::array(left.values().map(|mode| mode.as_str())),
        ];
        let told = self.database.query(&self.sql.pass_on, &params).await;
        reach("postgres.saga.pass_on.done");
        let _ = told.and_then(|rows| self.told(&rows));
    }

    /// Tells those who have waited for somebody that could not pass on. What
    /// cannot be done now is when somebody attends next.
    pub(super) async fn heal(&self) {
        let told = self.database.query(&self.sql.heal, &[]).await;
        let _ = told.and_then(|rows| self.told(&rows));
    }

    /// Who stands in a line, the first first.
    pub(super) async fn of(&self, resource: &str) -> Result<Vec<InLine>, StoreError> {
        let params = [Param::new(resource)];
        let rows = self.database.query(&self.sql.line, &params).await?;
        rows.iter().map(in_line).collect()
    }

    /// Whether somebody was told; then there is something to do.
    fn told(&self, rows: &[Row]) -> Result<bool, StoreError> {
        let is_told = rows::only(rows)?.get::<i64>(0)? > 0;
        if is_told {
            self.bell.wake();
        }
        Ok(is_told)
    }
}

fn locked(rows: &[Row]) -> Result<Locked, StoreError> {
    Ok(match rows::only(rows)?.get::<String>(0)?.as_str() {
        "held" => Locked::Held,
        "waits" => Locked::Waits,
        "busy" => Locked::Busy,
        "lost" => Locked::Lost,
        other => return Err(damaged(format!("a lock is {other:?}"))),
    })
}

fn in_line(row: &Row) -> Result<InLine, StoreError> {
    let mode: String = row.get(1)?;
    Ok(InLine {
        saga: SagaId(row.get(0)?),
        mode: LockMode::from_stored(&mode).ok_or_else(|| damaged(format!("a lock is {mode:?}")))?,
        has_it: row.get(2)?,
    })
}
