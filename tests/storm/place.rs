//! Where the orders are.

use std::path::Path;

use axiomatic_coordination::idempotency::{PhaseError, Phases, Store};
use axiomatic_core::BoxError;
use axiomatic_postgres::idempotency::AtomicPhase as _;
use axiomatic_sqlite::idempotency::AtomicPhase as _;
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// The file of a child that is in SQLite.
pub(crate) const SQLITE: &str = "AXIOMATIC_STORM_SQLITE";

/// The schema of a child that is in PostgreSQL.
const SCHEMA: &str = "AXIOMATIC_STORM_SCHEMA";

// Nothing is unique, so that what was done twice is there twice.
const TABLE: &str = "CREATE TABLE {schema}effects (number {number} PRIMARY KEY, \
                     order_ text NOT NULL, charge text NOT NULL, attempts bigint NOT NULL)";

/// What was done in the database.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) order: String,
    pub(crate) charge: String,
    /// Which attempt did it.
    pub(crate) attempts: i64,
}

/// A database of the test's own.
pub(crate) trait Place {
    /// Where a child finds it.
    fn variables(&self) -> Vec<(&'static str, String)>;

    /// All that was done.
    fn effects(&self) -> impl Future<Output = Vec<Effect>> + Send;
}

/// What a child knows of it.
pub(crate) trait Shop: Clone + Send + Sync + 'static {
    type Store: Store;

    fn store(&self) -> Self::Store;

    /// Has the effect. Returns its number.
    fn book(
        &self,
        phases: &Phases<Self::Store>,
        order: &str,
        charge: &str,
    ) -> impl Future<Output = Result<i64, PhaseError<BoxError>>> + Send;
}

/// A file.
pub(crate) struct SqlitePlace(TempDir);

impl SqlitePlace {
    pub(crate) fn new() -> SqlitePlace {
        let made = tempfile::Builder::new()
            .prefix("axiomatic-storm-")
            .tempdir();
        let place = SqlitePlace(made.unwrap());
        let table = TABLE.replace("{schema}", "").replace("{number}", "INTEGER");
        place.look().execute_batch(&table).unwrap();
        place
    }

    fn path(&self) -> String {
        self.0.path().join("storm.db").to_str().unwrap().to_owned()
    }

    fn look(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

impl Place for SqlitePlace {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![(SQLITE, self.path())]
    }

    async fn effects(&self) -> Vec<Effect> {
        let look = self.look();
        let select = look.prepare("SELECT order_, charge, attempts FROM effects");
        let mut select = select.unwrap();
        let effect = |row: &rusqlite::Row<'_>| {
            Ok(Effect {
                order: row.get(0)?,
                charge: row.get(1)?,
                attempts: row.get(2)?,
            })
        };
        let effects = select.query_map((), effect).unwrap();
        effects.collect::<Result<_, _>>().unwrap()
    }
}

/// A shop in a file.
#[derive(Clone)]
pub(crate) struct InSqlite(axiomatic_sqlite::idempotency::Idempotency);

impl InSqlite {
    pub(crate) async fn open(path: &Path) -> InSqlite {
        // The machine survives: nobody has to wait for its disk.
        let options =
            axiomatic_sqlite::Options::new().durability(axiomatic_sqlite::Durability::ProcessCrash);
        let database = axiomatic_sqlite::Database::open(path, options).unwrap();
        InSqlite(axiomatic_sqlite::idempotency::Idempotency::new(&database).unwrap())
    }
}

impl Shop for InSqlite {
    type Store = axiomatic_sqlite::idempotency::Idempotency;

    fn store(&self) -> Self::Store {
        self.0.clone()
    }

    async fn book(
        &self,
        phases: &Phases<Self::Store>,
        order: &str,
        charge: &str,
    ) -> Result<i64, PhaseError<BoxError>> {
        let attempts = i64::from(phases.attempts());
        let (order, charge) = (order.to_owned(), charge.to_owned());
        let book = phases.phase("book").atomic(move |tx| {
            let insert = "INSERT INTO effects (order_, charge, attempts) VALUES (?1, ?2, ?3)";
            tx.execute(insert, (order, charge, attempts))?;
            Ok::<_, BoxError>(tx.last_insert_rowid())
        });
        book.await
    }
}

/// A schema.
pub(crate) struct PostgresPlace {
    schema: String,
    client: tokio_postgres::Client,
}

impl PostgresPlace {
    /// In the PostgreSQL that is there, if one is.
    pub(crate) async fn find() -> Option<PostgresPlace> {
        let connected = tokio_postgres::connect(&url(), NoTls).await;
        let (client, connection) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
                assert!(!is_ci, "the storm needs PostgreSQL: {error}");
                eprintln!("skipped: the storm needs PostgreSQL: {error}");
                return None;
            }
        };
        tokio::spawn(connection);
        let schema = format!("axiomatic_storm_{}", std::process::id());
        let table = TABLE.replace("{schema}", &format!("{schema}."));
        let table = table.replace("{number}", "bigserial");
        let make = format!("CREATE SCHEMA {schema}; {table}");
        client.batch_execute(&make).await.unwrap();
        Some(PostgresPlace { schema, client })
    }
}

impl Place for PostgresPlace {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![(SCHEMA, self.schema.clone())]
    }

    async fn effects(&self) -> Vec<Effect> {
        let select = format!(
            "SELECT order_, charge, attempts FROM {}.effects",
            self.schema
        );
        let rows = self.client.query(&select, &[]).await.unwrap();
        let effect = |row: &tokio_postgres::Row| Effect {
            order: row.get(0),
            charge: row.get(1),
            attempts: row.get(2),
        };
        rows.iter().map(effect).collect()
    }
}

impl Drop for PostgresPlace {
    fn drop(&mut self) {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        // On a thread of its own: one that executes a runtime's tasks cannot
        // wait in this way, and the test may be panicking.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url(), NoTls).await?;
                tokio::spawn(connection);
                client.batch_execute(&drop).await
            })
        });
        let _ = removed.join();
    }
}

/// Where PostgreSQL is. The server survives: nobody has to wait for its disk.
fn url() -> String {
    let url = std::env::var("AXIOMATIC_POSTGRES_URL");
    let url = url.unwrap_or_else(|_| "postgres://root@127.0.0.1:5432/test".to_owned());
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}options=-c%20synchronous_commit%3Doff")
}

/// A shop in a schema.
#[derive(Clone)]
pub(crate) struct InPostgres {
    idempotency: axiomatic_postgres::idempotency::Idempotency,
    /// The shop's own connections.
    pool: deadpool_postgres::Pool,
    schema: String,
}

impl InPostgres {
    pub(crate) async fn open() -> InPostgres {
        let schema = std::env::var(SCHEMA).unwrap();
        let options = axiomatic_postgres::Options::new().schema(schema.as_str());
        let database = axiomatic_postgres::Database::new(&url(), options.unwrap()).unwrap();
        let idempotency = axiomatic_postgres::idempotency::Idempotency::new(&database).await;
        let manager = deadpool_postgres::Manager::new(url().parse().unwrap(), NoTls);
        let pool = deadpool_postgres::Pool::builder(manager).max_size(8);
        InPostgres {
            idempotency: idempotency.unwrap(),
            pool: pool.build().unwrap(),
            schema,
        }
    }
}

impl Shop for InPostgres {
    type Store = axiomatic_postgres::idempotency::Idempotency;

    fn store(&self) -> Self::Store {
        self.idempotency.clone()
    }

    async fn book(
        &self,
        phases: &Phases<Self::Store>,
        order: &str,
        charge: &str,
    ) -> Result<i64, PhaseError<BoxError>> {
        let client = self.pool.get().await;
        let mut client = client.map_err(|error| PhaseError::Work(error.into()))?;
        let attempts = i64::from(phases.attempts());
        let insert = format!(
            "INSERT INTO {}.effects (order_, charge, attempts) VALUES ($1, $2, $3) \
             RETURNING number",
            self.schema
        );
        let book = phases.phase("book").atomic(&mut client, async |tx| {
            let row = tx.query_one(&insert, &[&order, &charge, &attempts]).await?;
            Ok::<i64, BoxError>(row.get(0))
        });
        book.await
    }
}
