//! The tables, by version.
//!
//! Each part that has tables is a component with a version of its own. What a
//! schema holds stands in its table `schema_version`, one row a component:
//!
//! | column | |
//! |---|---|
//! | `version` | the last migration that was done |
//! | `oldest_code` | the oldest release of the code, by the version that it would migrate to, which works with that |
//!
//! So a release can add what an older one does not mind, while the older one
//! runs (expand), and a later release takes away what no release in use needs
//! (contract). Code that the schema does not know, or that does not know the
//! schema, is refused.
//!
//! A migration is one transaction, under an advisory lock of the schema, so of
//! many processes that start at once one migrates and the others wait. Indexes
//! on tables that may be big are built behind it, concurrently: producers
//! write meanwhile. One whose building was broken off is invalid, and is
//! dropped and built again by whoever comes next.

use std::fmt;
use std::time::Duration;

use axiomatic_coordination::{StoreError, Why};
use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use tokio_postgres::Client;

use crate::error::store_error;
use crate::options::Schema;

/// The tables of one part, and how they came to be what they are.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Component {
    pub(crate) name: &'static str,
    /// From the first to the last; the last one's version is that of the code.
    pub(crate) migrations: &'static [Migration],
    /// The oldest version of a schema that this code can bring up to date.
    pub(crate) oldest_schema: i32,
}

/// A step from one version to the next. `{schema}` stands for the schema.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Migration {
    pub(crate) version: i32,
    pub(crate) oldest_code: i32,
    pub(crate) sql: &'static str,
    /// Built behind it, one after the other.
    pub(crate) indexes: &'static [Index],
}

/// An index that is built while others write.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    /// The table and what of it, as behind `ON {schema}.`.
    pub(crate) on: &'static str,
}

/// The outbox's tables.
pub(crate) const OUTBOX: Component = Component {
    name: "outbox",
    migrations: &[Migration {
        version: 1,
        oldest_code: 1,
        sql: include_str!("schema/outbox_1.sql"),
        indexes: &[
            Index {
                name: "outbox_archive_by_time",
                on: "outbox_archive (published_at)",
            },
            Index {
                name: "outbox_sequence_by_time",
                on: "outbox_sequence (at)",
            },
        ],
    }],
    oldest_schema: 1,
};

/// The inbox's tables.
pub(crate) const INBOX: Component = Component {
    name: "inbox",
    migrations: &[Migration {
        version: 1,
        oldest_code: 1,
        sql: include_str!("schema/inbox_1.sql"),
        indexes: &[],
    }],
    oldest_schema: 1,
};

/// The table of idempotent requests.
pub(crate) const IDEMPOTENCY: Component = Component {
    name: "idempotency",
    migrations: &[Migration {
        version: 1,
        oldest_code: 1,
        sql: include_str!("schema/idempotency_1.sql"),
        indexes: &[Index {
            name: "idempotency_by_time",
            on: "idempotency (expires_at)",
        }],
    }],
    oldest_schema: 1,
};

/// The tables of sagas.
pub(crate) const SAGA: Component = Component {
    name: "saga",
    migrations: &[Migration {
        version: 1,
        oldest_code: 1,
        sql: concat!(
            include_str!("schema/saga_1.sql"),
            include_str!("schema/saga_1_lines.sql")
        ),
        indexes: &[],
    }],
    oldest_schema: 1,
};

/// What is done about tables that are missing or old.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    /// They are made, and brought up to date.
    #[default]
    Migrate,
    /// They are expected to be there; a schema without them is refused.
    Expect,
}

impl Component {
    fn version(&self) -> i32 {
        self.migrations.last().map_or(0, |last| last.version)
    }

    /// All of it as a script, for those who let no program do it.
    pub(crate) fn to_sql(self, schema: &Schema) -> String {
        let mut script = format!("BEGIN;\n{}", versions(schema));
        for step in self.migrations {
            let sql = step.sql.replace("{schema}", &schema.to_string());
            let mark = step.mark(self.name, schema);
            script += &format!("\n-- {} {}\n{sql}{mark}", self.name, step.version);
        }
        script += "COMMIT;\n\n-- Not in a transaction:\n";
        for index in self.migrations.iter().flat_map(|step| step.indexes) {
            script += &format!("{};\n", index.build(schema, CONCURRENTLY));
        }
        script
    }

    /// Makes sure that a schema's tables are those that this code works with.
    pub(crate) async fn prepare(
        &self,
        connection: &mut Client,
        schema: &Schema,
        tables: Tables,
    ) -> Result<(), StoreError> {
        let found = Found::read(connection, schema, self.name).await?;
        if self.is_met_by(found)? {
            return Ok(());
        }
        match tables {
            Tables::Expect => Err(self.refuse(found)),
            Tables::Migrate => self.migrate(connection, schema).await,
        }
    }

    /// Builds the indexes that are missing or broken. The connection is not
    /// to be used for anything else: if this is dropped it may hold a lock.
    pub(crate) async fn build_indexes(
        &self,
        connection: &Client,
        schema: &Schema,
    ) -> Result<(), StoreError> {
        let mut is_locked = false;
        for index in self.migrations.iter().flat_map(|step| step.indexes) {
            if index.is_valid(connection, schema).await? == Some(true) {
                continue;
            }
            if !is_locked {
                lock(connection, schema).await?;
                is_locked = true;
            }
            // Whoever had the lock before may have built it.
            match index.is_valid(connection, schema).await? {
                Some(true) => continue,
                Some(false) => run(connection, &index.remove(schema)).await?,
                None => {}
            }
            run(connection, &index.build(schema, CONCURRENTLY)).await?;
        }
        Ok(())
    }

    async fn migrate(&self, connection: &mut Client, schema: &Schema) -> Result<(), StoreError> {
        let tx = connection.transaction().await.map_err(store_error)?;
        tx.execute("SELECT pg_advisory_xact_lock($1)", &[&lock_of(schema)])
            .await
            .map_err(store_error)?;
        // What was read may be old by now: another process may have done it.
        let found = Found::read(tx.client(), schema, self.name).await?;
        if !self.is_met_by(found)? {
            let done = found.map_or(0, |found| found.version);
            let mut script = versions(schema);
            for step in self.migrations.iter().filter(|step| step.version > done) {
                script += &step.sql.replace("{schema}", &schema.to_string());
                script += &step.mark(self.name, schema);
            }
            // Tables that were made just now are empty, and nobody writes them.
            if found.is_none() {
                for index in self.migrations.iter().flat_map(|step| step.indexes) {
                    script += &format!("{};\n", index.build(schema, ""));
                }
            }
            tx.batch_execute(&script).await.map_err(store_error)?;
        }
        tx.commit().await.map_err(store_error)
    }

    /// Whether there is nothing to do.
    fn is_met_by(&self, found: Option<Found>) -> Result<bool, StoreError> {
        let code = self.version();
        match found {
            None => Ok(false),
            Some(there) if there.version > code && there.oldest_code > code => {
                Err(self.refuse(found))
            }
            Some(there) if there.version < self.oldest_schema => Err(self.refuse(found)),
            Some(there) => Ok(there.version >= code),
        }
    }

    fn refuse(&self, found: Option<Found>) -> StoreError {
        StoreError::new(Why::Incompatible).because(Mismatch {
            component: self.name,
            found,
            code: self.version(),
            oldest_schema: self.oldest_schema,
        })
    }
}

impl Migration {
    /// Writes down that it was done.
    fn mark(&self, component: &str, schema: &Schema) -> String {
        let Migration {
            version,
            oldest_code,
            ..
        } = self;
        format!(
            "INSERT INTO {schema}.schema_version (component, version, oldest_code) \
             VALUES ('{component}', {version}, {oldest_code}) ON CONFLICT (component) \
             DO UPDATE SET version = excluded.version, oldest_code = excluded.oldest_code;\n"
        )
    }
}

impl Index {
    /// The statement, with a word as to how.
    fn build(&self, schema: &Schema, how: &str) -> String {
        let Index { name, on } = self;
        format!("CREATE INDEX {how} IF NOT EXISTS {name} ON {schema}.{on}")
    }

    fn remove(&self, schema: &Schema) -> String {
        format!("DROP INDEX CONCURRENTLY IF EXISTS {schema}.{}", self.name)
    }

    /// Whether it is whole, if it is there. One that another is building is
    /// not.
    async fn is_valid(
        &self,
        connection: &Client,
        schema: &Schema,
    ) -> Result<Option<bool>, StoreError> {
        let is_valid = "SELECT i.indisvalid FROM pg_catalog.pg_index i \
                        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
                        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                        WHERE n.nspname = $1::text AND c.relname = $2::text";
        let found = connection
            .query_opt(is_valid, &[&schema.name(), &self.name])
            .await;
        Ok(found.map_err(store_error)?.map(|row| row.get(0)))
    }
}

async fn run(connection: &Client, sql: &str) -> Result<(), StoreError> {
    connection.batch_execute(sql).await.map_err(store_error)
}

/// Waits until nobody else builds indexes of this schema; for as long as the
/// session lasts.
///
/// It asks again and again, since whoever waits within a statement holds a
/// snapshot, and whoever builds concurrently waits for all snapshots.
async fn lock(connection: &Client, schema: &Schema) -> Result<(), StoreError> {
    let own = "SELECT pg_try_advisory_lock($1)";
    loop {
        let row = connection.query_one(own, &[&lock_of(schema)]).await;
        if row.map_err(store_error)?.get(0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const CONCURRENTLY: &str = "CONCURRENTLY";

/// The schema, and the table in which versions stand.
fn versions(schema: &Schema) -> String {
    format!(
        "CREATE SCHEMA IF NOT EXISTS {schema};\n\
         CREATE TABLE IF NOT EXISTS {schema}.schema_version (\n  component text PRIMARY KEY,\n  \
         version integer NOT NULL,\n  oldest_code integer NOT NULL\n);\n"
    )
}

/// Under which number those who migrate this schema take turns.
fn lock_of(schema: &Schema) -> i64 {
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    hasher
        .hash(format!("axiomatic schema {}", schema.name()).as_bytes())
        .cast_signed()
}

/// What a schema says of a component.
#[derive(Copy, Clone, Debug)]
struct Found {
    version: i32,
    oldest_code: i32,
}

impl Found {
    async fn read(
        connection: &Client,
        schema: &Schema,
        component: &str,
    ) -> Result<Option<Found>, StoreError> {
        // Not by `to_regclass`: within a transaction that has waited for a
        // lock it may not see what was committed meanwhile.
        let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
                     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                     WHERE n.nspname = $1::text AND c.relname = 'schema_version')";
        let there = connection.query_one(there, &[&schema.name()]).await;
        if !there.map_err(store_error)?.get::<_, bool>(0) {
            return Ok(None);
        }
        let row = format!(
            "SELECT version, oldest_code FROM {schema}.schema_version WHERE component = $1"
        );
        let found = connection.query_opt(&row, &[&component]).await;
        Ok(found.map_err(store_error)?.map(|row| Found {
            version: row.get(0),
            oldest_code: row.get(1),
        }))
    }
}

/// The code and the schema do not go together.
#[derive(Debug)]
struct Mismatch {
    component: &'static str,
    found: Option<Found>,
    code: i32,
    oldest_schema: i32,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch {
            component,
            found,
            code,
            oldest_schema,
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
                 of versions {oldest_schema} and up"
            ),
        }
    }
}

impl std::error::Error for Mismatch {}
