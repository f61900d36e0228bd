//! What sagas do with PostgreSQL's transactions and locks.

mod archive;
mod batches;
mod cancel;
mod lines;
mod local;
mod locked;
mod races;
mod reading;
mod refused;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::outbox::Bucket;
use axiomatic_coordination::saga::{
    Append, Appended, Change, Definition, ExecutorId, Kind, Lease, Loaded, Mail, Posted, Record,
    SagaId, Stage, Start, Started, Store, Subject, Swept, Wake,
};
use axiomatic_postgres::Database;
use axiomatic_postgres::saga::Sagas;
use bytes::Bytes;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{Place, until};

const HOUR: Duration = Duration::from_secs(3600);

/// A database with a table of business.
struct Scene {
    place: Place,
    store: Sagas,
    executor: ExecutorId,
    /// To look from outside.
    look: Client,
}

impl Scene {
    async fn find() -> Option<Scene> {
        Self::with(8).await
    }

    /// With so many connections of the store.
    async fn with(connections: usize) -> Option<Scene> {
        let place = Place::find().await?;
        let options = place.options().connections(connections);
        let database = Database::new(&named(&place), options).expect("an address");
        let store = Sagas::new(&database).await.expect("tables");
        let look = place.client().await;
        let table = format!("CREATE TABLE {}.account (name text NOT NULL)", place.schema);
        look.batch_execute(&table).await.expect("a table");
        Some(Scene {
            place,
            store,
            executor: ExecutorId::new("one"),
            look,
        })
    }

    fn sql(&self, sql: &str) -> String {
        sql.replace("{schema}", &self.place.schema)
    }

    async fn execute(&self, sql: &str) {
        let done = self.look.batch_execute(&self.sql(sql)).await;
        done.expect("what is asked for");
    }

    async fn number(&self, sql: &str) -> i64 {
        let row = self.look.query_one(&self.sql(sql), &[]).await;
        row.expect("a number").get(0)
    }

    async fn accounts(&self) -> i64 {
        self.number("SELECT count(*) FROM {schema}.account").await
    }

    /// How many sessions are in this state, such as `state <> 'idle'`.
    async fn sessions(&self, that: &str) -> i64 {
        self.number(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{{schema}}' \
             AND {that}"
        ))
        .await
    }

    async fn until_nobody_is_at_work(&self) {
        until("all sessions are idle", async || {
            self.sessions("state <> 'idle'").await == 0
        })
        .await;
    }

    async fn until_one_waits_for_a_lock(&self) {
        until("one waits for a lock", async || {
            self.sessions("wait_event_type = 'Lock'").await == 1
        })
        .await;
    }

    /// Makes the leases end, as time would.
    async fn let_leases_end(&self) {
        self.execute("UPDATE {schema}.saga_lease SET until = 'epoch'")
            .await;
    }

    async fn claim_as(&self, executor: &ExecutorId) -> Vec<Lease> {
        let all: Vec<_> = (0..64).map(Bucket).collect();
        let leases = self.store.claim(executor, &all, HOUR).await;
        leases.expect("an answer")
    }

    /// All leases.
    async fn claim(&self) -> Vec<Lease> {
        let leases = self.claim_as(&self.executor).await;
        assert_eq!(leases.len(), 64);
        leases
    }

    /// A saga that is held, with one line.
    async fn held(&self, leases: &[Lease]) -> (SagaId, Lease) {
        let saga = SagaId::unique();
        let lease = lease_of(leases, saga);
        let start = start_held(saga, &lease);
        let started = self.store.start(&start).await.expect("an answer");
        assert_eq!(started, Started::Held);
        (saga, lease)
    }

    async fn append(&self, lease: &Lease, append: &Append) -> Appended {
        let appended = self.store.append(lease, append).await;
        appended.expect("an answer")
    }

    async fn load(&self, lease: &Lease, saga: SagaId) -> Loaded {
        let loaded = self.store.load(lease, saga).await;
        loaded.expect("an answer").expect("it is there")
    }

    async fn take(&self, leases: &[Lease]) -> Vec<Loaded> {
        let taken = self.store.take(leases, 1000, HOUR).await;
        let taken = taken.expect("an answer").sagas.into_iter();
        taken.map(|saga| saga.expect("it is whole")).collect()
    }

    async fn post(&self, saga: SagaId, mail: &Mail) -> Posted {
        self.store.post(saga, mail).await.expect("an answer")
    }
}

/// The server knows the sessions by the schema's name.
fn named(place: &Place) -> String {
    format!("{}?application_name={}", place.url, place.schema)
}

fn lease_of(leases: &[Lease], saga: SagaId) -> Lease {
    let lease = leases.iter().find(|lease| lease.bucket == saga.bucket());
    lease.expect("it was claimed").clone()
}

fn record(kind: Kind, step: &str) -> Record {
    Record {
        kind,
        step: step.into(),
        item: 0,
        attempt: 1,
        data: Bytes::from_static(b"{}"),
        mail: None,
    }
}

fn change(records: Vec<Record>) -> Change {
    Change {
        records,
        stage: Stage::Running,
        wake: Wake::Held,
        result: None,
        progress: false,
    }
}

/// One line, behind so many.
fn line(saga: SagaId, after: u64, step: &str) -> Append {
    Append {
        saga,
        after,
        change: change(vec![record(Kind::Done, step)]),
        read: 0,
    }
}

fn start(saga: SagaId) -> Start {
    Start {
        saga,
        definition: Definition {
            name: Arc::from("order"),
            version: 1,
            hash: u64::MAX,
        },
        input: Bytes::from_static(b"{\"cents\":2000}"),
        deadline: None,
        held: None,
    }
}

fn start_held(saga: SagaId, lease: &Lease) -> Start {
    let mut start = start(saga);
    start.held = Some((lease.clone(), change(vec![record(Kind::Began, "pay")])));
    start
}

fn letter(number: u128) -> Mail {
    Mail {
        id: Uuid::from_u128(number),
        subject: Subject::Signal,
        name: "paid".into(),
        data: Bytes::from_static(b"1"),
    }
}
