//! A schema, and a directory with a ledger; and the children that work there.

use std::path::Path;

use axiomatic_coordination::saga::history::Call;
use axiomatic_postgres::{Database, Options};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

pub(crate) use axiomatic_postgres::saga::Sagas;

use super::running::{PLACE, ROLE, Running, until};
use super::stories::{ACCOUNTS, BALANCE};
use crate::support::{self, FOR_EVER};

/// In which schema a child works.
const SCHEMA: &str = "AXIOMATIC_KILL_SCHEMA";

/// Boundaries that the store has at least.
pub(crate) const EXPECTED_OF_ENGINE: &[&str] = &[
    "postgres.saga.write.asked",
    "postgres.saga.write.done",
    "postgres.saga.local.asked",
    "postgres.saga.local.begun",
    "postgres.saga.local.fenced",
    "postgres.saga.local.worked",
    "postgres.saga.local.appended",
    "postgres.saga.local.committed",
    "postgres.saga.attend.asked",
    "postgres.saga.attend.done",
    "postgres.saga.claim.asked",
    "postgres.saga.claim.done",
    "postgres.saga.release.asked",
    "postgres.saga.release.done",
    "postgres.saga.take.asked",
    "postgres.saga.take.done",
    "postgres.saga.post.asked",
    "postgres.saga.post.done",
    "postgres.saga.lock.asked",
    "postgres.saga.lock.entered",
    "postgres.saga.lock.looked",
    "postgres.saga.pass_on.asked",
    "postgres.saga.pass_on.done",
];

/// How many transfers there are unless all is asked for.
pub(crate) const TRANSFERS: u32 = 2_000;

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
            Sagas::new(&schema.database()).await.unwrap();
            let client = schema.client().await;
            let tables = format!(
                "SET search_path TO {}; SET synchronous_commit TO off; \
                 CREATE TABLE effect (nth bigserial PRIMARY KEY, line text NOT NULL); \
                 CREATE TABLE account (number int PRIMARY KEY, balance bigint NOT NULL); \
                 INSERT INTO account SELECT n, {BALANCE} FROM generate_series(1, {ACCOUNTS}) n",
                schema.schema
            );
            client.batch_execute(&tables).await.unwrap();
            Some((schema, client))
        })?;
        let named = "axiomatic-saga-kill-";
        let directory = tempfile::Builder::new().prefix(named).tempdir();
        Some(Place {
            schema,
            directory: directory.unwrap(),
            client,
            runtime,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a child with these variables.
    pub(crate) fn start(&self, role: &str, variables: &[(&str, &str)]) -> Running {
        let place = self.path().to_str().unwrap();
        let own = [(PLACE, place), (SCHEMA, &*self.schema.schema), (ROLE, role)];
        Running::start(own.into_iter().chain(variables.iter().copied()))
    }

    /// What the dead had asked for is done or given up when their sessions are
    /// gone; and the clock goes on for as long as they would be missed.
    pub(crate) fn let_leases_expire(&self) {
        let sessions = "SELECT count(*) FROM pg_stat_activity \
                        WHERE application_name = current_schema()";
        until("the sessions of the dead are gone", || {
            self.number(sessions) == 0
        });
        let expire = "UPDATE saga_lease SET until = 'epoch' WHERE owner IS NOT NULL; \
                      UPDATE saga_executor SET until = 'epoch'";
        let expired = self.client.batch_execute(expire);
        self.runtime.block_on(expired).unwrap();
    }

    /// Whether nobody holds a lock: no session stands still within a
    /// transaction.
    pub(crate) fn can_be_written(&self) -> bool {
        let open = "SELECT count(*) FROM pg_stat_activity \
                    WHERE application_name = current_schema() AND xact_start IS NOT NULL";
        let looks = std::iter::repeat_with(|| self.number(open) == 0).take(100);
        // A statement may be under way that ends by itself.
        { looks }.any(|is_idle| is_idle)
    }

    /// Whether all leases have ended.
    pub(crate) fn is_nobody_there(&self) -> bool {
        let live = "SELECT (SELECT count(*) FROM saga_lease WHERE until > clock_timestamp()) \
                    + (SELECT count(*) FROM saga_executor WHERE until > clock_timestamp())";
        self.number(live) == 0
    }

    /// All that local steps have done, in its order.
    pub(crate) fn seen(&self) -> Vec<Call> {
        let lines = self
            .client
            .query("SELECT line FROM effect ORDER BY nth", &[]);
        let lines = self.runtime.block_on(lines).unwrap();
        let lines = lines.iter().map(|row| row.get::<_, String>(0));
        lines.map(|line| line.parse().unwrap()).collect()
    }

    /// What is in all accounts.
    pub(crate) fn total(&self) -> i64 {
        self.number("SELECT sum(balance)::bigint FROM account")
    }

    /// Does something with the sagas of this place.
    pub(crate) fn with<T>(&self, work: impl AsyncFnOnce(&Sagas) -> T) -> T {
        self.runtime.block_on(async {
            let sagas = Sagas::new(&self.schema.database()).await.unwrap();
            work(&sagas).await
        })
    }

    fn number(&self, sql: &str) -> i64 {
        let row = self.client.query_one(sql, &[]);
        self.runtime.block_on(row).unwrap().get(0)
    }
}

/// The sagas of a place, beside accounts: for a child.
pub(crate) async fn open(_: &Path) -> Sagas {
    let schema = std::env::var(SCHEMA).unwrap();
    // What local steps do finds its tables; and whoever looks, the sessions.
    let url = format!(
        "{}?application_name={schema}&options=-csearch_path%3D{schema}%20-csynchronous_commit%3Doff",
        support::url()
    );
    let options = Options::new().schema(schema).unwrap().patience(FOR_EVER);
    let database = Database::new(&url, options).unwrap();
    Sagas::new(&database).await.unwrap()
}
