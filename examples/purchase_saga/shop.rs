//! The shop's own database: its orders, and its sagas beside them.

use std::path::Path;

use axiomatic_coordination::saga::{DefinitionError, Saga, Store, Was};
use axiomatic_sqlite::Database;
use futures::FutureExt;

use crate::Failure;
use crate::client::Services;
use crate::definition::{Local, Purchase, purchase};

/// A line of the shop's book: which purchase, and what became of it.
pub(crate) type Line = (u32, String);

/// What the local steps are given beside the purchase: of the one that undoes,
/// what the step was that it undoes; of the last one, the parcel.
type Undone = (Purchase, Was<()>);
type Shipped = (Purchase, String);

/// A database with orders and sagas.
pub(crate) trait Shop: Clone + Send + Sync + 'static {
    type Sagas: Store;

    /// How many executors can work on it at once.
    const EXECUTORS: usize;

    fn sagas(&self) -> Self::Sagas;

    /// The definition, with what it does here.
    fn purchase(
        &self,
        services: &Services,
    ) -> Result<Saga<Self::Sagas, Purchase, String>, DefinitionError>;

    /// All lines, in the order of their writing: what is done twice has two.
    fn lines(&self) -> impl Future<Output = Result<Vec<Line>, Failure>> + Send;

    /// Removes what was made.
    fn remove(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// In a file.
#[derive(Clone)]
pub(crate) struct InSqlite {
    database: Database,
    sagas: axiomatic_sqlite::saga::Sagas,
}

impl InSqlite {
    pub(crate) async fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join("shop.sqlite");
        let database = Database::open(path, axiomatic_sqlite::Options::new())?;
        let sagas = axiomatic_sqlite::saga::Sagas::new(&database)?;
        let table = "CREATE TABLE IF NOT EXISTS orders (line INTEGER PRIMARY KEY, \
                     number INTEGER NOT NULL, what TEXT NOT NULL) STRICT";
        let writer = database.writer();
        writer.run(move |tx| tx.execute_batch(table)).await?;
        Ok(InSqlite { database, sagas })
    }
}

impl Shop for InSqlite {
    type Sagas = axiomatic_sqlite::saga::Sagas;

    const EXECUTORS: usize = 1;

    fn sagas(&self) -> Self::Sagas {
        self.sagas.clone()
    }

    fn purchase(
        &self,
        services: &Services,
    ) -> Result<Saga<Self::Sagas, Purchase, String>, DefinitionError> {
        use axiomatic_sqlite::saga::Sagas;
        let write = |tx: &mut axiomatic_sqlite::Transaction<'_>, number: u32, what: &str| {
            let insert = "INSERT INTO orders (number, what) VALUES (?1, ?2)";
            tx.execute(insert, (number, what))?;
            Ok(())
        };
        let local = Local {
            place: Sagas::local(move |tx, _, (number, ..): Purchase| write(tx, number, "placed")),
            cancel: Sagas::local(move |tx, _, ((number, ..), _): Undone| {
                write(tx, number, "cancelled")
            }),
            confirm: Sagas::local(move |tx, _, ((number, ..), _): Shipped| {
                write(tx, number, "confirmed")
            }),
        };
        purchase(services, local)
    }

    async fn lines(&self) -> Result<Vec<Line>, Failure> {
        let look = |tx: &mut axiomatic_sqlite::Transaction<'_>| {
            let mut select = tx.prepare("SELECT number, what FROM orders ORDER BY line")?;
            let lines = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            lines.collect::<rusqlite::Result<_>>()
        };
        Ok(self.database.writer().run(look).await?)
    }

    async fn remove(&self) -> Result<(), Failure> {
        // The directory goes with the program.
        Ok(())
    }
}

/// In a server, in a schema of its own.
#[derive(Clone)]
pub(crate) struct InPostgres {
    /// The shop's own connections.
    pool: deadpool_postgres::Pool,
    schema: String,
    sagas: axiomatic_postgres::saga::Sagas,
}

impl InPostgres {
    pub(crate) async fn open(url: &str, schema: &str) -> Result<Self, Failure> {
        let options = axiomatic_postgres::Options::new().schema(schema)?;
        let database = axiomatic_postgres::Database::new(url, options)?;
        let sagas = axiomatic_postgres::saga::Sagas::new(&database).await?;
        let manager = deadpool_postgres::Manager::new(url.parse()?, tokio_postgres::NoTls);
        let pool = deadpool_postgres::Pool::builder(manager).max_size(2);
        let pool = pool.build()?;
        let table = format!(
            "CREATE TABLE IF NOT EXISTS {schema}.orders (line bigserial PRIMARY KEY, \
             number bigint NOT NULL, what text NOT NULL)"
        );
        pool.get().await?.batch_execute(&table).await?;
        Ok(InPostgres {
            pool,
            schema: schema.to_owned(),
            sagas,
        })
    }
}

impl Shop for InPostgres {
    type Sagas = axiomatic_postgres::saga::Sagas;

    const EXECUTORS: usize = 2;

    fn sagas(&self) -> Self::Sagas {
        self.sagas.clone()
    }

    fn purchase(
        &self,
        services: &Services,
    ) -> Result<Saga<Self::Sagas, Purchase, String>, DefinitionError> {
        use axiomatic_postgres::saga::Sagas;
        let insert = |what| {
            let schema = &self.schema;
            format!("INSERT INTO {schema}.orders (number, what) VALUES ($1, '{what}')")
        };
        let [placed, cancelled, confirmed] = ["placed", "cancelled", "confirmed"].map(insert);
        let local = Local {
            place: Sagas::local(move |tx, _, (number, ..): Purchase| {
                write(tx, placed.clone(), number).boxed()
            }),
            cancel: Sagas::local(move |tx, _, ((number, ..), _): Undone| {
                write(tx, cancelled.clone(), number).boxed()
            }),
            confirm: Sagas::local(move |tx, _, ((number, ..), _): Shipped| {
                write(tx, confirmed.clone(), number).boxed()
            }),
        };
        purchase(services, local)
    }

    async fn lines(&self) -> Result<Vec<Line>, Failure> {
        let select = format!(
            "SELECT number, what FROM {}.orders ORDER BY line",
            self.schema
        );
        let rows = self.pool.get().await?.query(&select, &[]).await?;
        let line = |row: &tokio_postgres::Row| (row.get::<_, i64>(0) as u32, row.get(1));
        Ok(rows.iter().map(line).collect())
    }

    async fn remove(&self) -> Result<(), Failure> {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        Ok(self.pool.get().await?.batch_execute(&drop).await?)
    }
}

async fn write(
    tx: &mut tokio_postgres::Transaction<'_>,
    insert: String,
    number: u32,
) -> Result<(), axiomatic_coordination::saga::Fault> {
    tx.execute(&insert, &[&i64::from(number)]).await?;
    Ok(())
}
