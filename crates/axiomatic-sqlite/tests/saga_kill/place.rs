//! A directory with a database and a ledger, and the children that work in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axiomatic_coordination::saga::SagaId;
use axiomatic_coordination::saga::history::Call;
use axiomatic_sqlite::{Database, Durability, Options};
use rusqlite::Connection;

pub(crate) use axiomatic_sqlite::saga::Sagas;

use super::running::{PLACE, ROLE, Running};
use super::stories::{ACCOUNTS, BALANCE};

/// Boundaries that the store has at least.
pub(crate) const EXPECTED_OF_ENGINE: &[&str] = &[
    "sqlite.saga.starting",
    "sqlite.saga.started",
    "sqlite.saga.attended",
    "sqlite.saga.claimed",
    "sqlite.saga.taken",
    "sqlite.saga.fenced",
    "sqlite.saga.worked",
    "sqlite.saga.changed",
    "sqlite.saga.recorded",
    "sqlite.saga.posted",
    "sqlite.saga.locked",
    "sqlite.saga.unlocked",
    "sqlite.saga.told",
    "sqlite.saga.read",
    "sqlite.saga.released",
    "sqlite.saga.departed",
    "sqlite.group.committed",
];

/// How many transfers there are unless all is asked for.
pub(crate) const TRANSFERS: u32 = 10_000;

/// A directory of the test's own, gone when it ends.
pub(crate) struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Place {
    pub(crate) fn find() -> Option<Self> {
        let name = format!("axiomatic-saga-kill-{}", SagaId::unique());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Some(Place(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Starts a child with these variables.
    pub(crate) fn start(&self, role: &str, variables: &[(&str, &str)]) -> Running {
        let place = self.0.to_str().unwrap();
        let own = [(PLACE, place), (ROLE, role)];
        Running::start(own.into_iter().chain(variables.iter().copied()))
    }

    /// The clock goes on for as long as the dead would be missed.
    pub(crate) fn let_leases_expire(&self) {
        // The tables may not have been made.
        let look = self.look();
        let _ = look.execute("UPDATE saga_lease SET until = 1 WHERE owner NOT NULL", ());
        let _ = look.execute("UPDATE saga_executor SET until = 1", ());
    }

    /// Whether nobody holds the lock for long.
    pub(crate) fn can_be_written(&self) -> bool {
        let look = self.look();
        look.busy_timeout(Duration::from_millis(500)).unwrap();
        look.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    }

    /// Whether all leases have ended.
    pub(crate) fn is_nobody_there(&self) -> bool {
        let live = "SELECT (SELECT count(*) FROM saga_lease WHERE until > now) + \
                    (SELECT count(*) FROM saga_executor WHERE until > now) \
                    FROM (SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now)";
        let live = self.look().query_row(live, (), |row| row.get::<_, i64>(0));
        live.unwrap() == 0
    }

    /// All that local steps have done, in its order.
    pub(crate) fn seen(&self) -> Vec<Call> {
        let look = self.look();
        let mut lines = look
            .prepare("SELECT line FROM effect ORDER BY nth")
            .unwrap();
        let lines = lines.query_map((), |row| row.get::<_, String>(0));
        let lines = lines.unwrap().map(|line| line.unwrap().parse().unwrap());
        lines.collect()
    }

    /// What is in all accounts.
    pub(crate) fn total(&self) -> i64 {
        let sum = "SELECT sum(balance) FROM account";
        self.look().query_row(sum, (), |row| row.get(0)).unwrap()
    }

    /// Does something with the sagas of this place.
    pub(crate) fn with<T>(&self, work: impl AsyncFnOnce(&Sagas) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let sagas = open(&self.0).await;
            work(&sagas).await
        })
    }

    fn look(&self) -> Connection {
        let look = Connection::open(self.0.join("sagas.db")).unwrap();
        look.busy_timeout(Duration::from_secs(10)).unwrap();
        look
    }
}

/// The sagas of a place, beside accounts.
pub(crate) async fn open(place: &Path) -> Sagas {
    // A process that ends takes nothing with it that it has written.
    let options = Options::new().durability(Durability::ProcessCrash);
    let database = Database::open(place.join("sagas.db"), options).unwrap();
    let tables = format!(
        "CREATE TABLE IF NOT EXISTS effect (nth INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT); \
         CREATE TABLE IF NOT EXISTS account (number INTEGER PRIMARY KEY, balance INTEGER); \
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ACCOUNTS}) \
         INSERT OR IGNORE INTO account SELECT n, {BALANCE} FROM n"
    );
    let made = database.writer().run(move |tx| tx.execute_batch(&tables));
    made.await.unwrap();
    Sagas::new(&database).unwrap()
}
