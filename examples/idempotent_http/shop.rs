//! Where the orders are, with what there is to say of them.

use std::path::Path;

use axiomatic_coordination::idempotency::{PhaseError, Phases, Store};
use axiomatic_coordination::outbox::{Message, Operate};
use axiomatic_postgres::idempotency::AtomicPhase as _;
use axiomatic_sqlite::Database;
use axiomatic_sqlite::idempotency::AtomicPhase as _;

use crate::Failure;

/// An order that is booked.
#[derive(Clone, Debug)]
pub(crate) struct Booking {
    pub(crate) order: String,
    /// How often its request was claimed until then.
    pub(crate) attempts: i64,
}

/// A database with orders, an outbox, and which requests were made.
pub(crate) trait Shop: Clone + Send + Sync + 'static {
    type Store: Store;

    fn store(&self) -> Self::Store;

    /// Books an order, and says so, in one transaction with the note that the
    /// phase is done. Returns the number of the entry.
    fn book(
        &self,
        phases: &Phases<Self::Store>,
        order: &str,
        charge: &str,
    ) -> impl Future<Output = Result<i64, PhaseError<Failure>>> + Send;

    /// All entries: an order that was booked twice has two.
    fn bookings(&self) -> impl Future<Output = Result<Vec<Booking>, Failure>> + Send;

    /// How many messages wait to be published.
    fn messages(&self) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// Removes what was made.
    fn remove(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

fn booked(order: &str) -> Message {
    Message::new("orders", format!("{order} is booked"))
}

/// In a file.
#[derive(Clone)]
pub(crate) struct InSqlite {
    database: Database,
    idempotency: axiomatic_sqlite::idempotency::Idempotency,
    outbox: axiomatic_sqlite::outbox::Outbox,
}

impl InSqlite {
    pub(crate) async fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join("shop.sqlite");
        let database = Database::open(path, axiomatic_sqlite::Options::new())?;
        let idempotency = axiomatic_sqlite::idempotency::Idempotency::new(&database)?;
        let options = axiomatic_sqlite::outbox::Options::new();
        let outbox = axiomatic_sqlite::outbox::Outbox::new(&database, options)?;
        let table = "CREATE TABLE IF NOT EXISTS ledger (entry INTEGER PRIMARY KEY, \
                     order_ TEXT NOT NULL, charge TEXT NOT NULL, attempts INTEGER NOT NULL) STRICT";
        let writer = database.writer();
        writer.run(move |tx| tx.execute_batch(table)).await?;
        Ok(InSqlite {
            database,
            idempotency,
            outbox,
        })
    }
}

impl Shop for InSqlite {
    type Store = axiomatic_sqlite::idempotency::Idempotency;

    fn store(&self) -> Self::Store {
        self.idempotency.clone()
    }

    async fn book(
        &self,
        phases: &Phases<Self::Store>,
        order: &str,
        charge: &str,
    ) -> Result<i64, PhaseError<Failure>> {
        let attempts = phases.attempts();
        let (order, charge) = (order.to_owned(), charge.to_owned());
        let book = phases.phase("book").atomic(move |tx| {
            let insert = "INSERT INTO ledger (order_, charge, attempts) VALUES (?1, ?2, ?3)";
            tx.execute(insert, (&order, charge, attempts))?;
            let entry = tx.last_insert_rowid();
            tx.enqueue(booked(&order))?;
            Ok::<_, Failure>(entry)
        });
        book.await
    }

    async fn bookings(&self) -> Result<Vec<Booking>, Failure> {
        let look = |tx: &mut axiomatic_sqlite::Transaction<'_>| {
            let mut select = tx.prepare("SELECT order_, attempts FROM ledger")?;
            let booking = |row: &rusqlite::Row<'_>| {
                let (order, attempts) = (row.get(0)?, row.get(1)?);
                Ok(Booking { order, attempts })
            };
            let bookings = select.query_map((), booking)?;
            bookings.collect::<rusqlite::Result<_>>()
        };
        Ok(self.database.writer().run(look).await?)
    }

    async fn messages(&self) -> Result<u64, Failure> {
        Ok(self.outbox.backlog().await?.messages)
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
    idempotency: axiomatic_postgres::idempotency::Idempotency,
    outbox: axiomatic_postgres::outbox::Outbox,
}

impl InPostgres {
    pub(crate) async fn open(url: &str, schema: &str) -> Result<Self, Failure> {
        let options = axiomatic_postgres::Options::new().schema(schema)?;
        let database = axiomatic_postgres::Database::new(url, options)?;
        let idempotency = axiomatic_postgres::idempotency::Idempotency::new(&database).await?;
        let options = axiomatic_postgres::outbox::Options::new();
        let outbox = axiomatic_postgres::outbox::Outbox::new(&database, options).await?;
        let manager = deadpool_postgres::Manager::new(url.parse()?, tokio_postgres::NoTls);
        let pool = deadpool_postgres::Pool::builder(manager).max_size(8);
        let pool = pool.build()?;
        let table = format!(
            "CREATE TABLE IF NOT EXISTS {schema}.ledger (entry bigserial PRIMARY KEY, \
             order_ text NOT NULL, charge text NOT NULL, attempts bigint NOT NULL)"
        );
        pool.get().await?.batch_execute(&table).await?;
        Ok(InPostgres {
            pool,
            schema: schema.to_owned(),
            idempotency,
            outbox,
        })
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
    ) -> Result<i64, PhaseError<Failure>> {
        let client = self.pool.get().await;
        let mut client = client.map_err(|error| PhaseError::Work(error.into()))?;
        let attempts = i64::from(phases.attempts());
        let insert = format!(
            "INSERT INTO {}.ledger (order_, charge, attempts) VALUES ($1, $2, $3) RETURNING entry",
            self.schema
        );
        let book = phases.phase("book").atomic(&mut client, async |tx| {
            let row = tx.query_one(&insert, &[&order, &charge, &attempts]).await?;
            self.outbox.enqueue(&mut *tx, [booked(order)]).await?;
            Ok::<i64, Failure>(row.get(0))
        });
        book.await
    }

    async fn bookings(&self) -> Result<Vec<Booking>, Failure> {
        let select = format!("SELECT order_, attempts FROM {}.ledger", self.schema);
        let rows = self.pool.get().await?.query(&select, &[]).await?;
        let booking = |row: &tokio_postgres::Row| Booking {
            order: row.get(0),
            attempts: row.get(1),
        };
        Ok(rows.iter().map(booking).collect())
    }

    async fn messages(&self) -> Result<u64, Failure> {
        Ok(self.outbox.backlog().await?.messages)
    }

    async fn remove(&self) -> Result<(), Failure> {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        Ok(self.pool.get().await?.batch_execute(&drop).await?)
    }
}
