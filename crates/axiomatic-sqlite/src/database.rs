//! A file, the thread that writes it and the thread that reads it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use axiomatic_coordination::outbox::Wake;
use axiomatic_coordination::{StoreError, Timestamp, Why};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{oneshot, watch};

use crate::error::store_error;
use crate::options::{Durability, Options};
use crate::schema;
use crate::writer::{Desk, Jobs, Writer};

/// The time by SQLite's clock, in microseconds since 1970.
pub(crate) const NOW: &str = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

/// What time it is by the clock of the database.
pub(crate) fn now(connection: &Connection) -> rusqlite::Result<Timestamp> {
    let mut now = connection.prepare_cached(&format!("SELECT {NOW}"))?;
    now.query_row((), |row| row.get(0))
        .map(Timestamp::from_micros)
}

/// A database: one file, one thread that writes it and one that reads it.
///
/// Handles are cheap to clone. When the last one is dropped, the threads do
/// what is queued, and end.
///
/// ```
/// use axiomatic_sqlite::{Database, Options};
///
/// # let name = format!("axiomatic-sqlite-{}.db", axiomatic_coordination::MessageId::unique());
/// # let path = std::env::temp_dir().join(name);
/// let database = Database::open(&path, Options::new())?;
/// let four = database.writer().run_blocking(|tx| {
///     tx.execute_batch("CREATE TABLE square (of INTEGER PRIMARY KEY, is_ INTEGER)")?;
///     tx.execute("INSERT INTO square VALUES (2, 4)", ())?;
///     tx.query_row("SELECT is_ FROM square WHERE of = 2", (), |row| row.get::<_, i64>(0))
/// })?;
/// assert_eq!(four, 4);
/// # drop(database);
/// # for end in ["", "-wal", "-shm"] {
/// #     let _ = std::fs::remove_file(format!("{}{end}", path.display()));
/// # }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    options: Options,
    wake: Wake,
    sagas: Wake,
    writer: Writer,
    reads: mpsc::Sender<Read>,
    ended: watch::Receiver<()>,
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

impl Database {
    /// Opens a file, which is made if there is none, and makes sure that it
    /// has the outbox's tables. Blocks until that is done.
    ///
    /// # Errors
    ///
    /// [`Why::Incompatible`] if the tables are of a release that this one does
    /// not work with; [`Why::Corrupt`] if it is no database; otherwise what
    /// the disk or SQLite said.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Database, StoreError> {
        let path = path.as_ref();
        let mut writing = connect(path, &options).map_err(store_error)?;
        require_writable_log(&writing)?;
        schema::OUTBOX.prepare(&mut writing, options.tables)?;
        let reading = connect(path, &options).map_err(store_error)?;
        reading
            .pragma_update(None, "query_only", true)
            .map_err(store_error)?;

        let (wake, sagas) = (Wake::new(), Wake::new());
        let (alive, ended) = watch::channel(());
        let (jobs, queue) = mpsc::channel();
        let (reads, questions) = mpsc::channel::<Read>();
        let desk = Desk::new(writing, &options, wake.clone(), sagas.clone());
        let mut desk = desk.map_err(store_error)?;
        let (reading_on, read_out) = mpsc::channel::<()>();
        let thread = spawn("sqlite-writer", move || {
            desk.work(&queue);
            // Whoever is the last to close the file clears its log away. If
            // both closed it at once, neither would be.
            let _ = read_out.recv();
            drop(desk);
            drop(alive);
        })?;
        spawn("sqlite-reader", move || {
            for question in questions {
                question(&reading);
            }
            drop(reading);
            drop(reading_on);
        })?;
        Ok(Database {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                options,
                wake,
                sagas,
                writer: Writer::new(Jobs::new(jobs, thread)),
                reads,
                ended,
            }),
        })
    }

    /// What executes transactions, several in one commit.
    pub fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// Makes sure that the file has the tables of one more part. Blocks until
    /// that is done.
    pub(crate) fn prepare(&self, component: schema::Component) -> Result<(), StoreError> {
        let mut connection = connect(&self.inner.path, &self.inner.options).map_err(store_error)?;
        component.prepare(&mut connection, self.inner.options.tables)
    }

    /// Gives this handle up, and waits until the last one is gone, all that
    /// was queued is done, and the file is closed. Before that, nobody may
    /// delete or replace it: SQLite closes a file by clearing its log away,
    /// by name.
    pub async fn close(self) {
        let mut ended = self.inner.ended.clone();
        drop(self);
        while ended.changed().await.is_ok() {}
    }

    /// Asks something on the thread that reads. What several statements see is
    /// not of one moment, unless the closure begins a transaction.
    pub(crate) async fn read<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let read = Box::new(move |connection: &Connection| {
            if reply.is_closed() {
                return;
            }
            let found = catch_unwind(AssertUnwindSafe(|| ask(connection)));
            let _ = reply.send(found);
        });
        let closed = |_| StoreError::new(Why::Closed);
        self.inner
            .reads
            .send(read)
            .map_err(|_| StoreError::new(Why::Closed))?;
        match answer.await.map_err(closed)? {
            Ok(found) => found.map_err(store_error),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// What wakes relays of this process.
    pub(crate) fn wake(&self) -> &Wake {
        &self.inner.wake
    }

    /// What wakes executors of sagas of this process.
    pub(crate) fn sagas(&self) -> &Wake {
        &self.inner.sagas
    }

    /// How it was opened.
    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.inner.path)
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

/// A connection as both threads have it.
fn connect(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(options.busy_timeout)?;
    switch_log_on(&connection, options.busy_timeout)?;
    connection.pragma_update(
        None,
        "synchronous",
        match options.durability {
            Durability::Full => "full",
            Durability::ProcessCrash => "normal",
        },
    )?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What a savepoint would undo is kept in memory: otherwise each group
    // makes a temporary file for it.
    connection.pragma_update(None, "temp_store", "memory")?;
    // 16 MiB: not measured.
    connection.pragma_update(None, "cache_size", -16_384)?;
    // The user's statements share the cache with ours, of which there are a
    // few dozen.
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Turns the write-ahead log on. Of two who do that to a file at once, SQLite
/// refuses one without waiting, whatever the timeout is: so it is asked again.
fn switch_log_on(connection: &Connection, within: Duration) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(5);
    let mut pauses = within.as_millis() / PAUSE.as_millis();
    loop {
        let switched = connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()));
        match switched {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                if pauses == 0 {
                    return Err(error);
                }
                pauses -= 1;
                thread::sleep(PAUSE);
            }
            switched => return switched,
        }
    }
}

/// Refuses what SQLite opens and cannot be worked with: what has no
/// write-ahead log (memory, and some file systems), and what can only be read,
/// to which SQLite falls back without a word.
fn require_writable_log(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_readonly("main").map_err(store_error)? {
        return Err(StoreError::new(Why::Refused).because("the file can only be read"));
    }
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(store_error)?;
    if mode == "wal" {
        return Ok(());
    }
    let no_log = format!("no write-ahead log is possible there: journal_mode is {mode}");
    Err(StoreError::new(Why::Refused).because(no_log))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<thread::ThreadId, StoreError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    let thread = thread.map_err(|error| StoreError::new(Why::Unavailable).because(error))?;
    Ok(thread.thread().id())
}
