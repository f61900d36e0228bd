//! A schema and a directory with a history, and the children that work in it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::history::{Consumer, Event, History, Log, check};
use axiomatic_postgres::idempotency::Idempotency;
use axiomatic_postgres::outbox::Outbox;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use super::child::options;
use super::consumer;
use super::requests;
use super::running::Running;
use crate::support;

/// Where a child finds its files.
pub(crate) const PLACE: &str = "AXIOMATIC_KILL_PLACE";

/// The schema in which it works.
pub(crate) const SCHEMA: &str = "AXIOMATIC_KILL_SCHEMA";

/// What a child does.
pub(crate) const ROLE: &str = "AXIOMATIC_KILL_ROLE";

const ORDERS: &str = "CREATE TABLE {schema}.orders (key text, number bigint, message uuid);
    CREATE TABLE {schema}.account (key text PRIMARY KEY, last bigint NOT NULL);
    CREATE SEQUENCE {schema}.number;
    CREATE TABLE {schema}.effects (message uuid)";

/// A schema and a directory of the test's own, gone when it ends.
pub(crate) struct Place {
    schema: support::Place,
    directory: TempDir,
    client: Client,
    // Last: the client is dropped before it.
    runtime: Runtime,
}

impl Place {
    /// With all tables, if there is a PostgreSQL.
    pub(crate) fn find() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let (schema, client) = runtime.block_on(async {
            let schema = support::Place::find().await?;
            let database = schema.database();
            Outbox::new(&database, options()).await.unwrap();
            consumer::inbox(&database).await;
            let client = schema.client().await;
            Idempotency::new(&database).await.unwrap();
            let orders = format!("{ORDERS};{}", requests::TABLES);
            let orders = orders.replace("{schema}", &schema.schema);
            client.batch_execute(&orders).await.unwrap();
            let quick = "SET synchronous_commit = off";
            client.batch_execute(quick).await.unwrap();
            Some((schema, client))
        })?;
        let directory = tempfile::Builder::new().prefix("axiomatic-kill-").tempdir();
        Some(Place {
            schema,
            directory: directory.unwrap(),
            client,
            runtime,
        })
    }

    /// As new: nothing has happened. Tables are older than what is in them.
    pub(crate) fn clear(&self) {
        let tables = "SELECT c.oid::regclass::text FROM pg_class c \
                      WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r' \
                      AND c.relname <> 'schema_version'";
        let tables: Vec<String> = self.column(tables);
        let clear = tables.iter().map(|table| format!("DELETE FROM {table};"));
        self.execute(&clear.collect::<String>());
        for file in fs::read_dir(self.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema.schema
    }

    pub(crate) fn wait_for<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.path().join("history")
    }

    pub(crate) fn record(&self, event: &Event) {
        Log::open(self.history()).unwrap().record(event).unwrap();
    }

    /// Starts a child with these variables.
    pub(crate) fn start(&self, role: &str, variables: &[(&str, &str)]) -> Running {
        let path = self.path().to_str().unwrap();
        let mut all = vec![(PLACE, path), (SCHEMA, &self.schema.schema), (ROLE, role)];
        all.extend(variables);
        Running::start(&all)
    }

    /// Lets a child work until it is done; or until it ends at a boundary,
    /// which is returned, and is a crash in the history.
    pub(crate) fn run(&self, role: &str, variables: &[(&str, &str)]) -> Option<String> {
        let ended = self.start(role, variables).wait();
        let said = String::from_utf8_lossy(&ended.stderr);
        if ended.status.success() {
            return None;
        }
        let at = said.lines().find_map(|line| {
            let at = line.strip_prefix("the process ends at ")?;
            Some(at.to_owned())
        });
        assert!(
            at.is_some() && ended.status.signal() == Some(6),
            "{}: {said}",
            ended.status
        );
        self.record(&Event::Crash);
        self.bury_sessions();
        self.let_leases_expire();
        at
    }

    /// What the dead had asked for is done or given up when their sessions
    /// are gone.
    pub(crate) fn bury_sessions(&self) {
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{schema}'";
        until("the sessions of the dead are gone", || {
            self.number(sessions) == 0
        });
    }

    /// The clock goes on for as long as the dead would be missed.
    pub(crate) fn let_leases_expire(&self) {
        self.execute(
            "UPDATE {schema}.outbox_lease SET until = 'epoch' WHERE owner IS NOT NULL;
             UPDATE {schema}.outbox_relay SET until = 'epoch';
             UPDATE {schema}.idempotency SET lease_until = 'epoch' WHERE state = 'running'",
        );
    }

    fn sql(&self, sql: &str) -> String {
        sql.replace("{schema}", &self.schema.schema)
    }

    pub(crate) fn execute(&self, sql: &str) {
        let sql = self.sql(sql);
        let executed = self.client.batch_execute(&sql);
        self.runtime.block_on(executed).unwrap();
    }

    fn column<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> Vec<T> {
        let rows = self.runtime.block_on(async {
            let sql = self.sql(sql);
            self.client.query(&sql, &[]).await.unwrap()
        });
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.column(sql)[0]
    }

    fn ids(&self, sql: &str) -> Vec<MessageId> {
        let ids: Vec<String> = self.column(sql);
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    /// Checks the history with what the tables say, and that nothing is left
    /// over.
    pub(crate) fn check(&self, consumer: Consumer) -> History {
        let mut history = History::read(self.history()).unwrap();
        let ids = self.ids("SELECT message::text FROM {schema}.orders ORDER BY number, key");
        let keys: Vec<Option<String>> =
            self.column("SELECT key FROM {schema}.orders ORDER BY number, key");
        let numbers: Vec<i64> =
            self.column("SELECT number FROM {schema}.orders ORDER BY number, key");
        for ((id, key), number) in ids.into_iter().zip(keys).zip(numbers) {
            history.record(Event::Committed {
                id,
                key: key.map(String::into_boxed_str),
                order: number.unsigned_abs(),
            });
        }
        let dead = self.ids("SELECT message_id::text FROM {schema}.outbox_dead");
        history.extend(dead.into_iter().map(|id| Event::Buried { id }));
        let effects = self.ids("SELECT message::text FROM {schema}.effects");
        history.extend(effects.into_iter().map(|id| Event::Effect { id }));
        let violations = check(&history, consumer);
        assert!(violations.is_empty(), "{violations:#?}");

        let number = |sql| self.number(sql);
        assert_eq!(number("SELECT count(*) FROM {schema}.outbox"), 0);
        assert_eq!(number("SELECT count(*) FROM {schema}.outbox_lane"), 0);
        let settled = "SELECT (SELECT count(*) FROM {schema}.outbox_archive) + \
                       (SELECT count(*) FROM {schema}.outbox_dead)";
        let orders = number("SELECT count(*) FROM {schema}.orders");
        assert!(orders > 0);
        assert_eq!(number(settled), orders, "each is settled once");
        history
    }
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
