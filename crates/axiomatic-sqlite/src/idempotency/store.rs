//! What the protocol asks, on the threads of the database.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::idempotency::{
    Adopt, Adopted, Claim, Claimed, Fence, Lease, Step, Store, StoredResponse,
};
use rusqlite::Connection;

use super::claims::{self, Ask};
use super::{IDEMPOTENCY, leases};
use crate::database::Database;

/// The idempotent requests of a database: what the protocol's
/// [`Store`] asks for, beside the tables of the work.
///
/// Cheap to clone. Its atomic phases are in [`AtomicPhase`](super::AtomicPhase).
#[derive(Clone, Debug)]
pub struct Idempotency {
    database: Database,
}

impl Idempotency {
    /// Those of this database, which gets a table if it has none. Blocks until
    /// that is done.
    ///
    /// # Errors
    ///
    /// As [`Database::open`].
    pub fn new(database: &Database) -> Result<Self, StoreError> {
        database.prepare(IDEMPOTENCY)?;
        Ok(Idempotency {
            database: database.clone(),
        })
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Changes something, in a savepoint of its own.
    async fn change<T>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
    {
        let done = self.database.writer().run(move |tx| change(tx)).await;
        Ok(done?)
    }
}

impl Store for Idempotency {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError> {
        let ask = Arc::new(Ask::new(claim));
        // A repeat is answered without waiting for those who write.
        let read = Arc::clone(&ask);
        let answer = self.database.read(move |reader| read.answer(reader));
        if let Some(answer) = answer.await? {
            return Ok(answer);
        }
        self.change(move |tx| ask.claim(tx)).await
    }

    async fn renew(&self, lease: &Lease, lasts: Duration) -> Result<Fence, StoreError> {
        let lease = *lease;
        self.change(move |tx| leases::renew(tx, &lease, lasts))
            .await
    }

    async fn record(&self, lease: &Lease, step: &Step) -> Result<Fence, StoreError> {
        let (lease, step) = (*lease, step.clone());
        self.change(move |tx| leases::record(tx, &lease, &step))
            .await
    }

    async fn complete(
        &self,
        lease: &Lease,
        response: &StoredResponse,
        retention: Duration,
    ) -> Result<Fence, StoreError> {
        let lease = *lease;
        let (head, body) = (response.head(), response.body.clone());
        self.change(move |tx| leases::complete(tx, &lease, (&head, &body), retention))
            .await
    }

    async fn release(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let lease = *lease;
        self.change(move |tx| leases::release(tx, &lease)).await
    }

    async fn adopt(&self, adopt: &Adopt) -> Result<Option<Adopted>, StoreError> {
        let adopt = *adopt;
        self.change(move |tx| claims::adopt(tx, &adopt)).await
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, StoreError> {
        self.change(move |tx| leases::sweep(tx, at_most)).await
    }
}
