//! A directory for each test, and a look into the file from outside.

use std::path::{Path, PathBuf};

use axiomatic_coordination::MessageId;
use axiomatic_sqlite::{Database, Options};
use rusqlite::Connection;

/// A directory of the test's own, gone when it ends.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        let name = format!("axiomatic-sqlite-{}", MessageId::random());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a directory can be made");
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
