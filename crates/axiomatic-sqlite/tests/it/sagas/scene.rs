//! Sagas with a file of their own, and what tests ask of them.

use axiomatic_coordination::outbox::Bucket;
use axiomatic_coordination::saga::{
    Append, BUCKETS, Change, Definition, ExecutorId, Kind, Lease, Loaded, Mail, Record, SagaId,
    Stage, Start, Started, Store, Subject, Wake,
};
use axiomatic_sqlite::saga::Sagas;
use axiomatic_sqlite::{Database, Durability, Options};
use rusqlite::types::Value;
use uuid::Uuid;

use crate::scene::HOUR;
use crate::support::Place;

pub(crate) struct Scene {
    pub(crate) database: Database,
    pub(crate) sagas: Sagas,
    pub(crate) place: Place,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        let fast = Options::new().durability(Durability::ProcessCrash);
        let database = place.open(fast);
        let sagas = Sagas::new(&database).expect("tables");
        Scene {
            database,
            sagas,
            place,
        }
    }

    /// A lease of the saga's bucket, which nobody holds, by somebody new.
    pub(crate) async fn claim(&self, saga: SagaId) -> Lease {
        let executor = ExecutorId::new("host");
        let claimed = self.sagas.claim(&executor, &[saga.bucket()], HOUR).await;
        let mut claimed = claimed.expect("claims");
        assert_eq!(claimed.len(), 1, "nobody holds it");
        claimed.remove(0)
    }

    /// Leases of all buckets, in their order.
    pub(crate) async fn claim_all(&self) -> Vec<Lease> {
        let all: Vec<_> = BUCKETS.all().collect();
        let leases = self.sagas.claim(&ExecutorId::new("host"), &all, HOUR).await;
        let leases = leases.expect("claims");
        assert_eq!(leases.len(), all.len());
        leases
    }

    /// A saga that is held, with one line.
    pub(crate) async fn held(&self) -> (SagaId, Lease) {
        let mut start = start(SagaId::unique());
        let lease = self.claim(start.saga).await;
        start.held = Some((lease.clone(), change([line("book")])));
        let started = self.sagas.start(&start).await;
        assert_eq!(started.expect("starts"), Started::Held);
        (start.saga, lease)
    }

    /// What is due, all of which can be read.
    pub(crate) async fn take(&self, leases: &[Lease]) -> Vec<Loaded> {
        let taken = self.sagas.take(leases, 1000, HOUR).await.expect("takes");
        assert!(!taken.more);
        let sagas = taken.sagas.into_iter();
        sagas.map(|saga| saga.expect("can be read")).collect()
    }

    pub(crate) async fn log(&self, saga: SagaId) -> Vec<Record> {
        let found = self.sagas.find(saga).await.expect("is read");
        let records = found.expect("is there").records.into_iter();
        records.map(|recorded| recorded.record).collect()
    }

    /// Makes all leases end, as time would.
    pub(crate) fn end_leases(&self) {
        self.execute("UPDATE saga_lease SET until = 1");
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.place.look().execute(sql, ()).expect("is done");
    }

    pub(crate) fn count(&self, table: &str) -> i64 {
        self.place.count(table)
    }
}

pub(crate) fn start(saga: SagaId) -> Start {
    Start {
        saga,
        definition: Definition {
            name: "transfer".into(),
            version: 3,
            hash: u64::MAX - 6,
        },
        input: "20".into(),
        deadline: None,
        held: None,
    }
}

pub(crate) fn line(step: &str) -> Record {
    Record {
        kind: Kind::Done,
        step: step.into(),
        item: 0,
        attempt: 1,
        data: "17".into(),
        mail: None,
    }
}

/// A change by which a saga goes on, held.
pub(crate) fn change(records: impl IntoIterator<Item = Record>) -> Change {
    Change {
        records: records.into_iter().collect(),
        stage: Stage::Running,
        wake: Wake::Held,
        result: None,
        progress: true,
    }
}

pub(crate) fn append(saga: SagaId, after: u64, change: Change) -> Append {
    Append {
        saga,
        after,
        change,
        read: 0,
    }
}

pub(crate) fn letter(name: &str) -> Mail {
    Mail {
        id: Uuid::now_v7(),
        subject: Subject::Signal,
        name: name.into(),
        data: "true".into(),
    }
}

/// A saga of this bucket.
pub(crate) fn saga_in(bucket: Bucket) -> SagaId {
    let mut ids = std::iter::repeat_with(SagaId::unique);
    ids.find(|saga| saga.bucket() == bucket).expect("endless")
}

/// A saga of another.
pub(crate) fn saga_outside(bucket: Bucket) -> SagaId {
    let mut ids = std::iter::repeat_with(SagaId::unique);
    ids.find(|saga| saga.bucket() != bucket).expect("endless")
}

/// All that the tables hold.
pub(crate) fn rows(place: &Place) -> Vec<Vec<Value>> {
    let look = place.look();
    let tables = [
        "saga",
        "saga_event",
        "saga_mail",
        "saga_lock",
        "saga_archive",
        "saga_lease",
        "saga_executor",
    ];
    let mut all = Vec::new();
    for table in tables {
        let mut select = look
            .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))
            .expect("a table");
        let columns = select.column_count();
        let rows = select.query_map((), |row| {
            (0..columns).map(|column| row.get(column)).collect()
        });
        let rows = rows.expect("rows");
        all.extend(rows.collect::<Result<Vec<_>, _>>().expect("values"));
    }
    all
}
