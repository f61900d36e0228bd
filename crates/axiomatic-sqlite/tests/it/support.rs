//! A directory for each test, and a look into the file from outside.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Waker};

use axiomatic_coordination::MessageId;
use axiomatic_sqlite::{Database, Options, RunError, Transaction, Writer};
use rusqlite::Connection;
use tokio::sync::oneshot;

/// A directory of the test's own, gone when it ends.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        let name = format!("axiomatic-sqlite-{}", MessageId::unique());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a directory can be made");
        Place(path)
    }

    /// A directory that is there.
    pub(crate) fn at(path: PathBuf) -> Self {
        Place(path)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("test.db")
    }

    /// Opens the file, which then has a table `account` for the business.
    pub(crate) fn open(&self, options: Options) -> Database {
        let database = Database::open(self.file(), options).expect("opens");
        let table = "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, name TEXT UNIQUE)";
        self.look()
            .execute_batch(table)
            .expect("a table can be made");
        database
    }

    /// A connection of one's own.
    pub(crate) fn look(&self) -> Connection {
        let connection = Connection::open(self.file()).expect("opens");
        connection
            .busy_timeout(std::time::Duration::from_secs(10))
            .expect("can be set");
        connection
    }

    /// What another connection counts.
    pub(crate) fn count(&self, table: &str) -> i64 {
        count(&self.look(), table)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn count(connection: &Connection, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    connection
        .query_row(&sql, (), |row| row.get(0))
        .expect("counts")
}

/// Inserts a row of the business.
pub(crate) fn insert(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO account (name) VALUES (?1)")?
        .execute([name])
        .map(drop)
}

/// Opens a gate in the thread that writes: it stays in a closure until the
/// gate is dropped, so that whoever comes meanwhile is one group.
pub(crate) async fn hold(writer: &Writer) -> Gate {
    let (entered, inside) = oneshot::channel();
    let (gate, closed) = std::sync::mpsc::channel::<()>();
    let writer = writer.clone();
    let task = tokio::spawn(async move {
        let held = writer.run(move |_| {
            let _ = entered.send(());
            let _ = closed.recv();
            Ok::<_, rusqlite::Error>(())
        });
        held.await.expect("an empty transaction commits");
    });
    inside.await.expect("the closure has begun");
    Gate { gate, task }
}

/// What holds the thread that writes.
pub(crate) struct Gate {
    gate: std::sync::mpsc::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Gate {
    pub(crate) async fn open(self) {
        drop(self.gate);
        self.task.await.expect("ends");
    }
}

/// Sends a closure to the writer and returns once it is queued.
pub(crate) fn queue<T, E>(
    writer: &Writer,
    closure: impl FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
) -> Pin<Box<dyn Future<Output = Result<T, RunError<E>>> + Send>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let writer = writer.clone();
    let mut run = Box::pin(async move { writer.run(closure).await });
    // The first poll sends it.
    let polled = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "the thread that writes is held");
    run
}
