//! The outbox of a database.

use std::thread;

use axiomatic_coordination::outbox::Wake;
use axiomatic_coordination::{StoreError, Why};
use rusqlite::Connection;

use super::leases;
use super::options::Options;
use crate::database::Database;

/// The outbox of a database: what producers, relays and operators have.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(super) database: Database,
    pub(super) wake: Wake,
    pub(super) options: Options,
}

impl Outbox {
    /// The outbox of this database. Blocks until its lanes are divided as the
    /// options say, which is one transaction at most.
    ///
    /// # Errors
    ///
    /// [`Why::Incompatible`] if they are divided otherwise while a relay runs,
    /// or one that did not depart may run still; otherwise what the disk or
    /// SQLite said.
    pub fn new(database: &Database, options: Options) -> Result<Outbox, StoreError> {
        let writer = database.writer();
        let divide = || writer.run_blocking(move |tx| leases::divide(tx, options.buckets));
        // On a thread of its own, since one that executes a runtime's tasks
        // refuses to wait in this way.
        let divided = thread::scope(|scope| scope.spawn(divide).join());
        let divided = divided.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if !divided.map_err(StoreError::from)? {
            return Err(StoreError::new(Why::Incompatible)
                .because("the outbox has another number of buckets, and relays that go by it"));
        }
        Ok(Outbox {
            database: database.clone(),
            wake: database.wake().clone(),
            options,
        })
    }

    /// Changes something, in a savepoint of its own.
    pub(super) async fn change<T>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
    {
        let done = self.database.writer().run(move |tx| change(tx)).await;
        Ok(done?)
    }

    /// Changes something that relays of this process wait for. If the future
    /// is dropped they are not woken, and find it when they look next.
    pub(super) async fn change_and_wake<T>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
    {
        let done = self.change(change).await?;
        self.wake.wake();
        Ok(done)
    }
}
