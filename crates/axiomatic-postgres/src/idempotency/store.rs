//! Operations of the store, each one statement.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::idempotency::{
    Adopt, Adopted, Claim, Claimed, Fence, Lease, Step, Store, StoredRequest, StoredResponse,
};
use axiomatic_coordination::{StoreError, Why};

use super::rows::{self, micros};
use super::sql::Sql;
use crate::database::Database;
use crate::schema::IDEMPOTENCY;
use crate::wire::{Param, damaged};

/// How often a claim is asked, if the server says that another was in its way.
/// Two first claims race once, so twice is enough but for an accident.
const ASKED: usize = 4;

/// The idempotent requests of a database: a
/// [`Store`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Idempotency {
    database: Database,
    pub(super) sql: Arc<Sql>,
}

impl Idempotency {
    /// Those of this database, which gets its table if it has none.
    ///
    /// # Errors
    ///
    /// [`Why::Incompatible`] if the table is of another release; otherwise
    /// what PostgreSQL said.
    pub async fn new(database: &Database) -> Result<Self, StoreError> {
        database.prepare(&IDEMPOTENCY).await?;
        Ok(Idempotency {
            database: database.clone(),
            sql: Arc::new(Sql::new(database.schema())),
        })
    }
}

impl Store for Idempotency {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError> {
        let scope = &claim.name.scope;
        let head = claim.request.map(StoredRequest::head);
        let params = [
            Param::new(&*scope.tenant),
            Param::new(&*scope.method),
            Param::new(&*scope.route),
            Param::new(claim.name.key.as_str()),
            Param::new(&claim.fingerprint.0[..]),
            Param::new(claim.owner.0),
            Param::new(micros(claim.lease)),
            Param::new(micros(claim.retention)),
            Param::nullable(head),
            Param::nullable(claim.request.map(|request| &request.body[..])),
        ];
        reach("postgres.idempotency.claim.asked");
        let mut asked = 1;
        let rows = loop {
            match self.database.query(&self.sql.claim, &params).await {
                Err(error) if error.why() == Why::Busy && asked < ASKED => asked += 1,
                answer => break answer?,
            }
        };
        reach("postgres.idempotency.claim.done");
        let row = rows.first();
        rows::claimed(row.ok_or_else(|| damaged("a claim has found nothing".into()))?)
    }

    async fn renew(&self, lease: &Lease, lasts: Duration) -> Result<Fence, StoreError> {
        let [record, epoch] = rows::lease(lease);
        let params = [record, epoch, Param::new(micros(lasts))];
        reach("postgres.idempotency.renew.asked");
        let rows = self.database.query(&self.sql.renew, &params).await?;
        reach("postgres.idempotency.renew.done");
        let is_held = rows.first().map_or(Ok(false), |row| row.get(0))?;
        Ok(if is_held { Fence::Held } else { Fence::Lost })
    }

    async fn record(&self, lease: &Lease, step: &Step) -> Result<Fence, StoreError> {
        let params = [rows::lease(lease), rows::step(step)].concat();
        reach("postgres.idempotency.record.asked");
        let rows = self.database.query(&self.sql.record, &params).await?;
        reach("postgres.idempotency.record.done");
        Ok(rows::fence(&rows))
    }

    async fn complete(
        &self,
        lease: &Lease,
        response: &StoredResponse,
        retention: Duration,
    ) -> Result<Fence, StoreError> {
        let [record, epoch] = rows::lease(lease);
        let params = [
            record,
            epoch,
            Param::new(response.head()),
            Param::new(&response.body[..]),
            Param::new(micros(retention)),
        ];
        reach("postgres.idempotency.complete.asked");
        let rows = self.database.query(&self.sql.complete, &params).await?;
        reach("postgres.idempotency.complete.done");
        Ok(rows::fence(&rows))
    }

    async fn release(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let params = rows::lease(lease);
        reach("postgres.idempotency.release.asked");
        let rows = self.database.query(&self.sql.release, &params).await?;
        reach("postgres.idempotency.release.done");
        Ok(rows::fence(&rows))
    }

    async fn adopt(&self, adopt: &Adopt) -> Result<Option<Adopted>, StoreError> {
        let params = [
            Param::new(adopt.owner.0),
            Param::new(micros(adopt.lease)),
            Param::new(micros(adopt.abandoned_for)),
            Param::new(i64::from(adopt.attempts)),
        ];
        reach("postgres.idempotency.adopt.asked");
        let rows = self.database.query(&self.sql.adopt, &params).await?;
        reach("postgres.idempotency.adopt.done");
        rows.first().map(rows::adopted).transpose()
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, StoreError> {
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let params = [Param::new(at_most)];
        reach("postgres.idempotency.sweep.asked");
        let rows = self.database.query(&self.sql.sweep, &params).await?;
        reach("postgres.idempotency.sweep.done");
        let gone: i64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
        Ok(usize::try_from(gone).unwrap_or(0))
    }
}
