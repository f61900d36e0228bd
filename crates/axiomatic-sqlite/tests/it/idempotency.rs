//! What idempotent requests do with SQLite's transactions.

use std::time::Duration;

use axiomatic_coordination::Why;
use axiomatic_coordination::idempotency::{
    Claim, Claimed, Fence, Fingerprint, Key, Kind, Mine, Name, Owner, PhaseError, Phases, Scope,
    Step, Store, StoredRequest, StoredResponse,
};
use axiomatic_coordination::outbox::Message;
use axiomatic_core::BoxError;
use axiomatic_sqlite::idempotency::{self, AtomicPhase, Idempotency};
use axiomatic_sqlite::{Database, Options, Tables, Transaction};

use crate::scene::HOUR;
use crate::support::{Place, hold, insert};

pub(crate) fn name(key: &str) -> Name {
    let scope = Scope {
        tenant: "acme".into(),
        method: "POST".into(),
        route: "/payments".into(),
    };
    let key = Key::new(key).expect("a key");
    Name { scope, key }
}

pub(crate) fn claim(name: &Name) -> Claim<'_> {
    Claim {
        name,
        fingerprint: Fingerprint([1; 32]),
        owner: Owner::unique(),
        lease: HOUR,
        retention: HOUR,
        request: None,
    }
}

pub(crate) fn response(body: &'static str) -> StoredResponse {
    StoredResponse {
        status: 201,
        headers: vec![("location".into(), "/payments/1".into())],
        body: body.into(),
    }
}

pub(crate) async fn mine(store: &Idempotency, claim: &Claim<'_>) -> Mine {
    match store.claim(claim).await.expect("claims") {
        Claimed::Mine(mine) => mine,
        other => panic!("not ours: {other:?}"),
    }
}

/// A row and a message.
pub(crate) fn work(tx: &mut Transaction<'_>) -> Result<i64, BoxError> {
    insert(tx, "paid")?;
    let row = tx.last_insert_rowid();
    tx.enqueue(Message::new("mail", "thanks"))?;
    Ok(row)
}

fn open() -> (Place, Database, Idempotency) {
    let place = Place::new();
    let database = place.open(Options::new());
    let store = Idempotency::new(&database).expect("a table");
    (place, database, store)
}

/// All rows, whole.
fn rows(place: &Place) -> Vec<Vec<rusqlite::types::Value>> {
    let look = place.look();
    let mut select = look
        .prepare("SELECT * FROM idempotency ORDER BY record")
        .unwrap();
    let columns = select.column_count();
    let rows = select.query_map((), |row| {
        (0..columns).map(|column| row.get(column)).collect()
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn end_leases(place: &Place) {
    let end = "UPDATE idempotency SET lease_until = 1";
    place.look().execute(end, ()).unwrap();
}

#[tokio::test]
async fn a_phase_leaves_its_row_its_message_and_its_step_once() {
    let (place, _database, store) = open();
    let name = name("1");
    let ours = mine(&store, &claim(&name)).await;
    let phases = Phases::new(store.clone(), name.clone(), ours);
    assert_eq!(phases.phase("pay").atomic(work).await.unwrap(), 1);
    assert_eq!((place.count("account"), place.count("outbox")), (1, 1));
    let step = Step {
        name: "pay".into(),
        kind: Kind::Atomic,
        value: 1.into(),
    };
    assert_eq!(phases.steps(), std::slice::from_ref(&step));

    end_leases(&place);
    let ours = mine(&store, &claim(&name)).await;
    assert_eq!(ours.steps, [step]);
    let phases = Phases::new(store, name, ours);
    let again = phases
        .phase("pay")
        .atomic(|_| -> Result<i64, BoxError> { panic!("it was done") });
    assert_eq!(again.await.unwrap(), 1);
    assert_eq!((place.count("account"), place.count("outbox")), (1, 1));
}

#[tokio::test]
async fn work_that_fails_leaves_neither_row_nor_message_nor_step() {
    let (place, _database, store) = open();
    let name = name("1");
    let ours = mine(&store, &claim(&name)).await;
    let before = rows(&place);
    let phases = Phases::new(store.clone(), name.clone(), ours.clone());
    let failed = phases.phase("pay").atomic(|tx| {
        work(tx)?;
        Err::<i64, BoxError>("after all".into())
    });
    assert!(matches!(failed.await, Err(PhaseError::Work(_))));
    let panics = phases.clone();
    let panics = tokio::spawn(async move {
        let panics = panics
            .phase("pay again")
            .atomic(|tx| -> Result<i64, BoxError> {
                work(tx)?;
                panic!("planned")
            });
        panics.await.map(drop).map_err(drop)
    });
    assert!(panics.await.is_err());
    // What cannot be written down was not done.
    let unwritable = phases.phase("pay in another way").atomic(|tx| {
        work(tx)?;
        Ok::<_, BoxError>(std::collections::BTreeMap::from([((1, 2), 3)]))
    });
    assert!(matches!(unwritable.await, Err(PhaseError::Value(..))));
    assert_eq!((place.count("account"), place.count("outbox")), (0, 0));
    assert_eq!(rows(&place), before);
}

#[tokio::test]
async fn whoever_was_followed_writes_nothing() {
    let (place, _database, store) = open();
    let name = name("1");
    let zombie = mine(&store, &claim(&name)).await;
    end_leases(&place);
    let ours = mine(&store, &claim(&name)).await;
    let before = rows(&place);

    let lease = &zombie.lease;
    let phases = Phases::new(store.clone(), name.clone(), zombie.clone());
    let late = phases.phase("pay").atomic(work).await;
    assert!(matches!(late, Err(PhaseError::Lost)), "{late:?}");
    let late = phases.phase("charge").foreign(async |_| Ok::<_, ()>(17));
    assert!(matches!(late.await, Err(PhaseError::Lost)));
    assert_eq!(store.renew(lease, HOUR).await.unwrap(), Fence::Lost);
    let late = store.complete(lease, &response("late"), HOUR).await;
    assert_eq!(late.unwrap(), Fence::Lost);
    assert_eq!(store.release(lease).await.unwrap(), Fence::Lost);
    assert_eq!((place.count("account"), place.count("outbox")), (0, 0));
    assert_eq!(rows(&place), before);

    let done = store.complete(&ours.lease, &response("done"), HOUR).await;
    assert_eq!(done.unwrap(), Fence::Held);
    let late = store.complete(lease, &response("late"), HOUR).await;
    assert_eq!(late.unwrap(), Fence::Lost, "also when it is complete");
    let answer = store.claim(&claim(&name)).await.unwrap();
    assert_eq!(answer, Claimed::Completed(response("done")));
}

/// As when the future of the first was dropped, and its lease is used again.
#[tokio::test]
async fn a_phase_that_ended_unheard_of_is_not_done_again() {
    let (place, _database, store) = open();
    let name = name("1");
    let ours = mine(&store, &claim(&name)).await;
    let run = || Phases::new(store.clone(), name.clone(), ours.clone());
    assert_eq!(run().phase("pay").atomic(work).await.unwrap(), 1);
    let again = run();
    assert_eq!(again.phase("pay").atomic(work).await.unwrap(), 1);
    assert_eq!(again.steps().len(), 1);
    assert_eq!((place.count("account"), place.count("outbox")), (1, 1));
    let charges = run();
    let charged = charges.phase("charge").foreign(async |_| Ok::<_, ()>(17));
    assert_eq!(charged.await.unwrap(), 17);
    let otherwise = run().phase("charge").atomic(work).await;
    assert!(matches!(otherwise, Err(PhaseError::Value("charge", _))));
    assert_eq!(place.count("account"), 1);
}

#[tokio::test]
async fn a_repeat_does_not_wait_for_those_who_write() {
    let (_place, database, store) = open();
    let (complete, running) = (name("complete"), name("running"));
    let ours = mine(&store, &claim(&complete)).await;
    let done = store.complete(&ours.lease, &response("done"), HOUR).await;
    assert_eq!(done.unwrap(), Fence::Held);
    mine(&store, &claim(&running)).await;

    let gate = hold(database.writer()).await;
    let repeats = async {
        let answer = store.claim(&claim(&complete)).await.unwrap();
        assert_eq!(answer, Claimed::Completed(response("done")));
        let mut other = claim(&complete);
        other.fingerprint = Fingerprint([2; 32]);
        assert_eq!(store.claim(&other).await.unwrap(), Claimed::Mismatch);
        let found = store.claim(&claim(&running)).await.unwrap();
        assert!(matches!(found, Claimed::InProgress { .. }), "{found:?}");
    };
    let repeats = tokio::time::timeout(Duration::from_secs(60), repeats).await;
    repeats.expect("they wait");
    gate.open().await;
}

#[tokio::test]
async fn of_what_is_complete_the_answer_alone_is_kept() {
    let (place, _database, store) = open();
    let name = name("1");
    let request = StoredRequest {
        method: "POST".into(),
        uri: "/payments".into(),
        headers: Vec::new(),
        body: "20".into(),
    };
    let ours = Claim {
        request: Some(&request),
        ..claim(&name)
    };
    let ours = mine(&store, &ours).await;
    let step = Step {
        name: "charge".into(),
        kind: Kind::Foreign,
        value: 20.into(),
    };
    assert_eq!(store.record(&ours.lease, &step).await.unwrap(), Fence::Held);
    let all = "(SELECT * FROM idempotency WHERE steps <> '' AND request_body IS NOT NULL)";
    assert_eq!(place.count(all), 1);
    let done = store.complete(&ours.lease, &response("done"), HOUR).await;
    assert_eq!(done.unwrap(), Fence::Held);
    let alone = "(SELECT * FROM idempotency WHERE steps = '' AND request_head IS NULL \
                 AND request_body IS NULL AND response_body IS NOT NULL)";
    assert_eq!(place.count(alone), 1);
}

/// As in two processes: each has a thread that writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_claims_by_two_databases_one_has_it() {
    let (place, _database, first) = open();
    let second = Database::open(place.file(), Options::new()).unwrap();
    let second = Idempotency::new(&second).unwrap();
    for round in 0..50 {
        let claims = [&first, &second, &first, &second].map(|store| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = name(&format!("{round}"));
                store.claim(&claim(&name)).await.expect("claims")
            })
        });
        let mut ours = 0;
        for claim in claims {
            match claim.await.unwrap() {
                Claimed::Mine(_) => ours += 1,
                Claimed::InProgress { .. } => {}
                other => panic!("round {round}: {other:?}"),
            }
        }
        assert_eq!(ours, 1, "round {round}");
    }
}

#[tokio::test]
async fn what_nobody_stores_is_corrupt() {
    for damage in [
        "steps = 'what'",
        "state = 'completed', response_head = '', response_body = x''",
    ] {
        let (place, _database, store) = open();
        let name = name("1");
        let ours = mine(&store, &claim(&name)).await;
        assert_eq!(store.release(&ours.lease).await.unwrap(), Fence::Held);
        let damage = format!("UPDATE idempotency SET {damage}");
        place.look().execute(&damage, ()).unwrap();
        let refused = store.claim(&claim(&name)).await.expect_err("is damaged");
        assert_eq!(refused.why(), Why::Corrupt);
    }
}

#[tokio::test]
async fn a_table_of_another_release_is_refused() {
    let place = Place::new();
    let expects = Options::new().tables(Tables::Expect);
    drop(place.open(Options::new()));
    let database = Database::open(place.file(), expects).unwrap();
    let missing = Idempotency::new(&database).expect_err("there is none");
    assert_eq!(missing.why(), Why::Incompatible);
    place.look().execute_batch(&idempotency::schema()).unwrap();
    Idempotency::new(&database).expect("finds what it expects");
    let newer = "UPDATE axiomatic_schema SET version = 9, oldest_code = 8 \
                 WHERE component = 'idempotency'";
    place.look().execute_batch(newer).unwrap();
    let newer = Idempotency::new(&database).expect_err("is newer");
    assert_eq!(newer.why(), Why::Incompatible);
}
