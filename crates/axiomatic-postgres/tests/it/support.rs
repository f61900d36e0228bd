//! Where the tests find a PostgreSQL.
//!
//! A test that needs one begins with `let Some(..) = .. else { return }`. On a
//! laptop without PostgreSQL it is skipped, and says so by its name; where `CI`
//! is true it fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_postgres::{Database, Options};
use tokio_postgres::{Client, NoTls};

/// Longer than anything takes, also on a machine with other things to do: who
/// waits so long waits for something that does not come.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(FOR_EVER, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited for ever: {what}");
}

/// Where PostgreSQL is.
pub(crate) fn url() -> String {
    let url = std::env::var("AXIOMATIC_POSTGRES_URL");
    url.unwrap_or_else(|_| "postgres://root@127.0.0.1:5432/test".to_owned())
}

/// A connection of the test's own.
pub(crate) async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A schema of its own in a database that others use too. It is removed when
/// this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) schema: String,
}

impl Place {
    /// In the PostgreSQL that is there, if one is.
    pub(crate) async fn find() -> Option<Place> {
        let url = url();
        if let Err(error) = connect(&url).await {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!is_ci, "{test} needs PostgreSQL: {error}");
            eprintln!("skipped: {test} needs PostgreSQL: {error}");
            return None;
        }
        Some(Place::at(url))
    }

    /// In the database at this address.
    pub(crate) fn at(url: String) -> Place {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let schema = format!("axiomatic_test_{}_{number}", std::process::id());
        Place { url, schema }
    }

    pub(crate) fn options(&self) -> Options {
        let options = Options::new().schema(self.schema.as_str());
        options.expect("a name").patience(FOR_EVER)
    }

    pub(crate) fn database(&self) -> Database {
        Database::new(&self.url, self.options()).expect("an address")
    }

    /// A connection of the test's own.
    pub(crate) async fn client(&self) -> Client {
        connect(&self.url).await.expect("PostgreSQL is there")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (url, schema) = (self.url.clone(), self.schema.clone());
        // On a thread of its own: one that executes a runtime's tasks cannot
        // wait in this way, and the test may be panicking.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                if let Ok(client) = connect(&url).await {
                    // A test that panics may leave a transaction open, and its
                    // runtime waits for this thread: nobody else ends it.
                    let end = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l \
                               JOIN pg_database d ON d.oid = l.database \
                               JOIN pg_class c ON c.oid = l.relation \
                               JOIN pg_namespace n ON n.oid = c.relnamespace \
                               WHERE d.datname = current_database() AND n.nspname = $1 \
                               AND l.pid <> pg_backend_pid()";
                    let _ = client.query(end, &[&schema]).await;
                    let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
                    let _ = client.batch_execute(&drop).await;
                }
            });
        });
        let _ = removed.join();
    }
}
