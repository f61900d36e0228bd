//! The tables, by version.
//!
//! Each part that has tables is a component with a version of its own. What a
//! file holds stands in its table `axiomatic_schema`, one row a component:
//!
//! | column | |
//! |---|---|
//! | `version` | the last migration that was done |
//! | `oldest_code` | the oldest release of the code, by the version that it would migrate to, which works with that |
//!
//! So a release can add what an older one does not mind, while the older one
//! runs (expand), and a later release takes away what no release in use needs
//! (contract). Code that the file does not know, or that does not know the
//! file, is refused when the file is opened.

use std::fmt;

use axiomatic_coordination::{StoreError, Why};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::error::store_error;

/// The table in which versions stand.
const VERSIONS: &str = "\
CREATE TABLE IF NOT EXISTS axiomatic_schema (
  component TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  oldest_code INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The tables of one part, and how they came to be what they are.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Component {
    pub(crate) name: &'static str,
    /// From the first to the last; the last one's version is that of the code.
    pub(crate) migrations: &'static [Migration],
    /// The oldest version of a file that this code can bring up to date.
    pub(crate) oldest_file: u32,
}

/// A step from one version to the next.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Migration {
    pub(crate) version: u32,
    pub(crate) oldest_code: u32,
    pub(crate) sql: &'static str,
}

/// The outbox's tables.
pub(crate) const OUTBOX: Component = Component {
    name: "outbox",
    migrations: &[Migration {
        version: 1,
        oldest_code: 1,
        sql: include_str!("schema/outbox_1.sql"),
    }],
    oldest_file: 1,
};

/// The SQL that makes the outbox's tables in an empty file, for those who let
/// no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let connection = rusqlite::Connection::open_in_memory()?;
/// connection.execute_batch(&axiomatic_sqlite::outbox::schema())?;
/// # Ok::<_, rusqlite::Error>(())
/// ```
///
/// Version 1:
///
/// ```sql
#[doc = include_str!("schema/outbox_1.sql")]
/// ```
pub fn outbox() -> String {
    OUTBOX.to_sql()
}

/// What is done about tables that are missing or old.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    /// They are made, and brought up to date.
    #[default]
    Migrate,
    /// They are expected to be there; opening a file without them is refused.
    Expect,
}

impl Component {
    fn version(&self) -> u32 {
        self.migrations.last().map_or(0, |last| last.version)
    }

    /// All of it as a script.
    pub(crate) fn to_sql(self) -> String {
        let steps = self.migrations.iter().map(|step| {
            format!(
                "-- {} {}\n{}\n{}",
                self.name,
                step.version,
                step.sql,
                step.mark(self.name)
            )
        });
        format!(
            "BEGIN IMMEDIATE;\n{VERSIONS}{}COMMIT;\n",
            steps.collect::<String>()
        )
    }

    /// Makes sure that a file's tables are those that this code works with.
    pub(crate) fn prepare(
        &self,
        connection: &mut Connection,
        tables: Tables,
    ) -> Result<(), StoreError> {
        let found = Found::read(connection, self.name).map_err(store_error)?;
        if self.is_met_by(found)? {
            return Ok(());
        }
        if tables == Tables::Expect {
            return Err(self.refuse(found));
        }
        // What was read may be old by now: another process may have done it.
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(store_error)?;
        let found = Found::read(&tx, self.name).map_err(store_error)?;
        if self.is_met_by(found)? {
            return Ok(());
        }
        tx.execute_batch(VERSIONS).map_err(store_error)?;
        let done = found.map_or(0, |found| found.version);
        for step in self.migrations.iter().filter(|step| step.version > done) {
            tx.execute_batch(step.sql).map_err(store_error)?;
            tx.execute_batch(&step.mark(self.name))
                .map_err(store_error)?;
        }
        tx.commit().map_err(store_error)
    }

    /// Whether there is nothing to do.
    fn is_met_by(&self, found: Option<Found>) -> Result<bool, StoreError> {
        let code = self.version();
        match found {
            None => Ok(false),
            Some(file) if file.version > code && file.oldest_code > code => Err(self.refuse(found)),
            Some(file) if file.version < self.oldest_file => Err(self.refuse(found)),
            Some(file) => Ok(file.version >= code),
        }
    }

    fn refuse(&self, found: Option<Found>) -> StoreError {
        StoreError::new(Why::Incompatible).because(Mismatch {
            component: self.name,
            found,
            code: self.version(),
            oldest_file: self.oldest_file,
        })
    }
}

impl Migration {
    /// Writes down that it was done.
    fn mark(&self, component: &str) -> String {
        format!(
            "INSERT OR REPLACE INTO axiomatic_schema (component, version, oldest_code) \
             VALUES ('{component}', {}, {});\n",
            self.version, self.oldest_code
        )
    }
}

/// What a file says of a component.
#[derive(Copy, Clone, Debug)]
struct Found {
    version: u32,
    oldest_code: u32,
}

impl Found {
    fn read(connection: &Connection, component: &str) -> rusqlite::Result<Option<Found>> {
        let there =
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'axiomatic_schema'";
        let there = connection.query_row(there, (), |_| Ok(())).optional()?;
        if there.is_none() {
            return Ok(None);
        }
        let row = "SELECT version, oldest_code FROM axiomatic_schema WHERE component = ?1";
        let found = connection.query_row(row, [component], |row| {
            Ok(Found {
                version: row.get(0)?,
                oldest_code: row.get(1)?,
            })
        });
        found.optional()
    }
}

/// The code and the file do not go together.
#[derive(Debug)]
struct Mismatch {
    component: &'static str,
    found: Option<Found>,
    code: u32,
    oldest_file: u32,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch {
            component,
            found,
            code,
            oldest_file,
        } = self;
        match found {
            None => write!(
                f,
                "there are no tables of {component}; version {code} is needed"
            ),
            Some(Found {
                version,
                oldest_code,
            }) => write!(
                f,
                "the tables of {component} are of version {version}, which works with code of \
                 versions {oldest_code} and up; this code is of version {code}, and takes tables \
                 of versions {oldest_file} and up"
            ),
        }
    }
}

impl std::error::Error for Mismatch {}

#[cfg(test)]
mod tests;
