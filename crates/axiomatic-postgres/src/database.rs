//! The connections of relays and operators.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::{StoreError, Why};
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use futures::TryFutureExt;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket};

use crate::connected::by_tokio::row;
use crate::error::{no_connection, store_error};
use crate::options::{Options, Schema};
use crate::schema::{Component, Tables};
use crate::session::{Connector, unanswered};
use crate::wire::{Param, Row};

/// What the server's list of sessions calls those of this crate, unless the
/// configuration says otherwise.
const APPLICATION: &str = "axiomatic";

/// What sessions of the pool are set to. Every statement on them is prepared,
/// planned once, and executed ten thousand times with that plan, while tables
/// go from empty to a million rows and back. What is best for a table of one
/// page, to read it all, is a disaster by then, and statistics come late. So
/// rows are found by indexes and joined by looking them up, always; what is to
/// read a whole table says so (`TABLESAMPLE SYSTEM (100)`). Compiling a plan
/// takes longer than any of them runs.
///
/// And functions of several statements count on each to see what was committed
/// before it, whatever the database was set to.
pub(crate) const SETTINGS: &str = "\
SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off; \
SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
SET enable_memoize = off; SET default_transaction_isolation = 'read committed'";

/// A PostgreSQL database: a handful of connections, and the schema in which
/// the tables are. Cheap to clone; the connections close with the last one.
///
/// Every operation of a relay is one statement, which is a transaction of its
/// own: whoever is dropped while it waits for the answer leaves no transaction
/// open, and the statement is done or not done.
#[derive(Clone, Debug)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: Pool,
    connector: Connector,
    options: Options,
}

impl Database {
    /// The database at this address, such as `postgres://user@host/name`,
    /// without TLS. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`Why::Refused`] if it is no address.
    pub fn new(url: &str, options: Options) -> Result<Self, StoreError> {
        let config: Config = url.parse().map_err(store_error)?;
        Self::with_tls(config, NoTls, options)
    }

    /// The database that this configuration of tokio-postgres describes, over
    /// this TLS.
    ///
    /// # Errors
    ///
    /// [`Why::Refused`] if the pool cannot be made.
    pub fn with_tls<T>(mut config: Config, tls: T, options: Options) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
        T::Stream: Sync + Send,
        T::TlsConnect: Sync + Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION);
        }
        let recycling_method = RecyclingMethod::Fast;
        let manager = ManagerConfig { recycling_method };
        let connector = Connector::new(config.clone(), tls.clone());
        let manager = Manager::from_config(config, tls, manager);
        let pool = Pool::builder(manager).max_size(options.connections);
        let pool = pool.post_create(Hook::async_fn(|connection, _| {
            let set = connection.batch_execute(SETTINGS);
            Box::pin(set.map_err(HookError::Backend))
        }));
        let pool = pool.build();
        let pool = pool.map_err(|error| StoreError::new(Why::Refused).because(error))?;
        Ok(Database(Arc::new(Inner {
            pool,
            connector,
            options,
        })))
    }

    /// Where the tables are.
    pub(crate) fn schema(&self) -> &Schema {
        &self.0.options.schema
    }

    /// Makes sessions that are not of the pool.
    pub(crate) fn connector(&self) -> &Connector {
        &self.0.connector
    }

    /// How long a statement may take.
    pub(crate) fn patience(&self) -> Duration {
        self.0.options.patience
    }

    /// How many connections there are at most.
    pub(crate) fn connections(&self) -> usize {
        self.0.options.connections
    }

    /// What is done about tables that are missing.
    pub(crate) fn tables(&self) -> Tables {
        self.0.options.tables
    }

    /// Makes sure that the tables of a component are there.
    pub(crate) async fn prepare(&self, component: &Component) -> Result<(), StoreError> {
        // Not within the patience of a statement: an index may take its time.
        let mut connection = self.connection().await?;
        let (schema, tables) = (self.schema(), self.tables());
        component.prepare(&mut connection, schema, tables).await?;
        if tables == Tables::Migrate {
            // A session of its own, whose lock ends with it.
            let connection = Object::take(connection);
            component.build_indexes(&connection, schema).await?;
        }
        Ok(())
    }

    /// Executes one statement, and returns its rows.
    ///
    /// Can be dropped while it waits: then the statement is done or not done.
    pub(crate) async fn query(&self, sql: &str, params: &[Param]) -> Result<Vec<Row>, StoreError> {
        let patience = self.patience();
        // If it is not awaited to its end, it may answer late, or never.
        let mut lent = Lent(None);
        let answered = tokio::time::timeout(patience, async {
            let connection = self.0.pool.get().await.map_err(no_connection)?;
            let connection = lent.0.insert(connection);
            let statement = connection.prepare_cached(sql).await.map_err(store_error)?;
            let rows = connection.query_raw(&statement, params.iter()).await;
            collect(rows.map_err(store_error)?).await
        });
        let answer = answered.await.map_err(|_| unanswered(patience))?;
        drop(lent.0.take());
        answer
    }

    /// A connection, for the time until it is dropped. What is done by it may
    /// take its time, but not that it is made.
    pub(crate) async fn connection(&self) -> Result<Object, StoreError> {
        let patience = self.patience();
        match tokio::time::timeout(patience, self.0.pool.get()).await {
            Ok(connection) => connection.map_err(no_connection),
            Err(_) => Err(unanswered(patience)),
        }
    }
}

/// A connection that is used. One on which something was broken off is not used
/// again: what it was asked may be waiting for somebody's lock, and nobody else
/// is to wait behind it.
pub(crate) struct Lent(pub(crate) Option<Object>);

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

async fn collect(rows: tokio_postgres::RowStream) -> Result<Vec<Row>, StoreError> {
    use futures::TryStreamExt;
    let rows = rows.map_err(store_error);
    rows.and_then(async |found| row(&found)).try_collect().await
}
