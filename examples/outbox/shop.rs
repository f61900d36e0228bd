//! Where the orders are, with what there is to say of them.

use std::path::Path;

use axiomatic_coordination::outbox::history::Event;
use axiomatic_coordination::outbox::{Message, Operate, Store};
use axiomatic_sqlite::Database;

use crate::Failure;

const STEPS: [&str; 3] = ["placed", "paid", "packed"];

/// A database with orders and an outbox.
pub(crate) trait Shop: Clone + Send + Sync + 'static {
    type Outbox: Store + Operate + Clone + Send + Sync + 'static;

    fn outbox(&self) -> &Self::Outbox;

    /// Writes an order and its messages in one transaction. Returns what was
    /// committed: nothing, if it was rolled back.
    fn place(&self, number: u32) -> impl Future<Output = Result<Vec<Event>, Failure>> + Send;

    /// Removes what was made.
    fn remove(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What there is to say of an order, and what is noted of it if it commits.
fn said_of(number: u32) -> (Vec<Message>, Vec<Event>) {
    let said = (0..).zip(STEPS).map(|(order, step)| {
        let key = format!("order-{number}");
        let message = Message::new("orders", format!("order {number} was {step}"));
        let message = message.keyed(key.as_str());
        let id = message.id();
        let key = Some(key.into());
        (message, Event::Committed { id, key, order })
    });
    said.unzip()
}

/// One order in ten is rolled back.
fn is_in_stock(number: u32) -> bool {
    number % 10 != 7
}

/// In a file: many callers at once share their commits.
#[derive(Clone)]
pub(crate) struct InSqlite {
    database: Database,
    outbox: axiomatic_sqlite::outbox::Outbox,
}

impl InSqlite {
    pub(crate) async fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join("shop.sqlite");
        let database = Database::open(path, axiomatic_sqlite::Options::new())?;
        let options = axiomatic_sqlite::outbox::Options::new();
        let outbox = axiomatic_sqlite::outbox::Outbox::new(&database, options)?;
        let table = "CREATE TABLE IF NOT EXISTS orders \
                     (number INTEGER PRIMARY KEY, state TEXT NOT NULL) STRICT";
        database
            .writer()
            .run(move |tx| tx.execute_batch(table))
            .await?;
        Ok(InSqlite { database, outbox })
    }
}

impl Shop for InSqlite {
    type Outbox = axiomatic_sqlite::outbox::Outbox;

    fn outbox(&self) -> &Self::Outbox {
        &self.outbox
    }

    async fn place(&self, number: u32) -> Result<Vec<Event>, Failure> {
        let placed = self.database.writer().run(move |tx| {
            tx.execute("INSERT INTO orders VALUES (?1, ?2)", (number, STEPS[2]))?;
            let (messages, said) = said_of(number);
            for message in messages {
                tx.enqueue(message)?;
            }
            match is_in_stock(number) {
                true => Ok::<_, Failure>(said),
                false => Err("out of stock".into()),
            }
        });
        match placed.await {
            Err(axiomatic_sqlite::RunError::Rejected(_)) => Ok(Vec::new()),
            placed => Ok(placed.map_err(|error| error.to_string())?),
        }
    }

    async fn remove(&self) -> Result<(), Failure> {
        // The directory goes with the program.
        Ok(())
    }
}

/// In a server, in a schema of its own.
#[derive(Clone)]
pub(crate) struct InPostgres {
    pool: deadpool_postgres::Pool,
    schema: String,
    outbox: axiomatic_postgres::outbox::Outbox,
}

impl InPostgres {
    pub(crate) async fn open(url: &str, schema: &str) -> Result<Self, Failure> {
        let options = axiomatic_postgres::Options::new().schema(schema)?;
        let database = axiomatic_postgres::Database::new(url, options)?;
        let options = axiomatic_postgres::outbox::Options::new();
        let outbox = axiomatic_postgres::outbox::Outbox::new(&database, options).await?;
        // The shop's own connections, which know nothing of the outbox's.
        let manager = deadpool_postgres::Manager::new(url.parse()?, tokio_postgres::NoTls);
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(8)
            .build()?;
        let table = format!(
            "CREATE TABLE IF NOT EXISTS {schema}.orders \
             (number integer PRIMARY KEY, state text NOT NULL)"
        );
        pool.get().await?.batch_execute(&table).await?;
        Ok(InPostgres {
            pool,
            schema: schema.to_owned(),
            outbox,
        })
    }
}

impl Shop for InPostgres {
    type Outbox = axiomatic_postgres::outbox::Outbox;

    fn outbox(&self) -> &Self::Outbox {
        &self.outbox
    }

    async fn place(&self, number: u32) -> Result<Vec<Event>, Failure> {
        let mut connection = self.pool.get().await?;
        let mut tx = connection.transaction().await?;
        let order = format!("INSERT INTO {}.orders VALUES ($1, $2)", self.schema);
        tx.execute(&order, &[&number.cast_signed(), &STEPS[2]])
            .await?;
        let (messages, said) = said_of(number);
        self.outbox.enqueue(&mut *tx, messages).await?;
        if !is_in_stock(number) {
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        tx.commit().await?;
        self.outbox.wake();
        Ok(said)
    }

    async fn remove(&self) -> Result<(), Failure> {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        Ok(self.pool.get().await?.batch_execute(&drop).await?)
    }
}
