//! What sagas do with SQLite's tables and transactions.

mod broken;
mod group;
mod locks;
mod order;
mod parked;
mod processes;
mod scene;

use std::time::Duration;

use axiomatic_coordination::Why;
use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::saga::{
    Appended, Departing, ExecutorId, Fault, Posted, SagaId, Stage, Started, Store, Wake, Worked,
};
use axiomatic_core::BoxError;
use axiomatic_sqlite::saga::{self, SagaWork, Sagas};
use axiomatic_sqlite::{Database, Options, Tables, Transaction};

pub(crate) use self::scene::{Scene, append, change, letter, line, rows, start};
use crate::scene::HOUR;
use crate::support::{Place, hold, insert};

/// A row and a message.
pub(crate) fn effect(tx: &mut Transaction<'_>) -> Result<(), Fault> {
    insert(tx, "paid")?;
    tx.enqueue(Message::new("mail", "thanks"))?;
    Ok(())
}

#[tokio::test]
async fn a_saga_begins_with_the_transaction_that_starts_it() {
    let scene = Scene::new();
    let mut wake_ups = scene.sagas.wake_ups();
    let saga = SagaId::unique();
    let run = |commits: bool| {
        let sagas = scene.sagas.clone();
        scene.database.writer().run(move |tx| {
            insert(tx, "ordered")?;
            let started = sagas.start_in(tx, &start(saga))?;
            match commits {
                true => Ok::<_, BoxError>(started),
                false => Err("after all".into()),
            }
        })
    };
    run(false).await.expect_err("it rejects itself");
    assert_eq!(scene.sagas.find(saga).await.unwrap(), None);
    assert_eq!(scene.place.count("account"), 0);
    assert!(!is_woken(&mut wake_ups).await, "nothing has begun");

    assert_eq!(run(true).await.unwrap(), Started::Waits);
    assert!(is_woken(&mut wake_ups).await);
    assert_eq!(scene.place.count("account"), 1);
    let leases = scene.claim_all().await;
    let taken = scene.take(&leases).await;
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].saga, taken[0].loads), (saga, 1));
}

/// What was to be written with a lease is left to whoever takes the saga.
#[tokio::test]
async fn a_saga_that_begins_in_a_transaction_is_held_by_nobody() {
    let scene = Scene::new();
    let lease = scene.claim(SagaId::unique()).await;
    let mut held = start(scene::saga_in(lease.bucket));
    held.held = Some((lease.clone(), change([line("book")])));
    let (sagas, start) = (scene.sagas.clone(), held.clone());
    let run = scene.database.writer().run(move |tx| {
        let first = sagas.start_in(tx, &start)?;
        let again = sagas.start_in(tx, &start)?;
        let mut other = start.clone();
        other.input = "17".into();
        let other = sagas.start_in(tx, &other)?;
        Ok::<_, BoxError>([first, again, other])
    });
    let started = [Started::Waits, Started::Before, Started::Other];
    assert_eq!(run.await.unwrap(), started);
    let taken = scene.take(&[lease]).await;
    assert_eq!(taken[0].saga, held.saga);
    assert_eq!(taken[0].records, []);
}

/// Its closure stays where it is until the gate opens.
#[tokio::test]
async fn executors_are_woken_when_what_they_wait_for_is_committed() {
    let scene = Scene::new();
    let mut wake_ups = scene.sagas.wake_ups();
    let (entered, within) = tokio::sync::oneshot::channel();
    let (gate, closed) = std::sync::mpsc::channel::<()>();
    let (sagas, saga) = (scene.sagas.clone(), SagaId::unique());
    let writer = scene.database.writer().clone();
    let run = tokio::spawn(async move {
        let run = writer.run(move |tx| {
            let started = sagas.start_in(tx, &start(saga));
            let _ = entered.send(());
            let _ = closed.recv();
            started
        });
        run.await.unwrap()
    });
    within.await.unwrap();
    assert!(!is_woken(&mut wake_ups).await, "it is not committed");
    drop(gate);
    assert_eq!(run.await.unwrap(), Started::Waits);
    assert!(is_woken(&mut wake_ups).await);

    // And by whatever else may leave something to do.
    let lease = scene.claim(saga).await;
    let executor = lease.owner.clone();
    assert_eq!(scene.take(std::slice::from_ref(&lease)).await.len(), 1);
    assert!(!is_woken(&mut wake_ups).await);
    let mail = letter("go");
    let posted = scene.sagas.post(saga, &mail).await.unwrap();
    assert_eq!(posted, Posted::Accepted);
    assert!(is_woken(&mut wake_ups).await, "by mail");
    let mut later = append(saga, 0, change([line("book")]));
    later.change.wake = Wake::In(HOUR);
    assert_eq!(
        scene.sagas.append(&lease, &later).await.unwrap(),
        Appended::Held
    );
    assert!(is_woken(&mut wake_ups).await, "by an hour");
    let leases = [lease];
    let released = scene.sagas.release(&executor, &leases, Departing::Yes);
    released.await.unwrap();
    assert!(is_woken(&mut wake_ups).await, "by a lease");
}

async fn is_woken(wake_ups: &mut axiomatic_coordination::outbox::WakeUps) -> bool {
    let next = wake_ups.next();
    tokio::time::timeout(Duration::ZERO, next).await.is_ok()
}

#[tokio::test]
async fn work_leaves_its_row_its_message_and_its_line_once() {
    let scene = Scene::new();
    let (saga, lease) = scene.held().await;
    let work = || {
        SagaWork::new(|tx| {
            effect(tx)?;
            Ok(change([line("pay")]))
        })
    };
    let worked = scene.sagas.append_with(&lease, saga, 1, work()).await;
    let Worked::Done(done) = worked.unwrap() else {
        panic!("it is not done");
    };
    assert_eq!(done, change([line("pay")]));
    assert_eq!((scene.count("account"), scene.count("outbox")), (1, 1));
    assert_eq!(scene.log(saga).await, [line("book"), line("pay")]);

    let again = scene.sagas.append_with(&lease, saga, 1, work()).await;
    assert!(matches!(again, Ok(Worked::Conflict)), "{again:?}");
    assert_eq!((scene.count("account"), scene.count("outbox")), (1, 1));
}

#[tokio::test]
async fn work_that_fails_leaves_neither_row_nor_message_nor_line() {
    let scene = Scene::new();
    let (saga, lease) = scene.held().await;
    let before = rows(&scene.place);
    let fails = SagaWork::new(|tx| {
        effect(tx)?;
        Err(Fault::failed("no such account"))
    });
    let faulted = scene.sagas.append_with(&lease, saga, 1, fails).await;
    let Worked::Faulted(Fault::Failed(why)) = faulted.unwrap() else {
        panic!("it has not failed");
    };
    assert_eq!(why.to_string(), "no such account");
    // What SQLite has against it is not known to be for ever.
    let refused = SagaWork::new(|tx| {
        effect(tx)?;
        tx.execute("INSERT INTO nowhere VALUES (1)", ())?;
        Ok(change([line("pay")]))
    });
    let refused = scene.sagas.append_with(&lease, saga, 1, refused).await;
    assert!(matches!(
        refused.unwrap(),
        Worked::Faulted(Fault::Unknown(_))
    ));
    let (sagas, of) = (scene.sagas.clone(), lease.clone());
    let panics = tokio::spawn(async move {
        let panics = SagaWork::new(|tx| {
            effect(tx)?;
            panic!("planned")
        });
        sagas.append_with(&of, saga, 1, panics).await
    });
    assert!(panics.await.is_err());
    assert_eq!((scene.count("account"), scene.count("outbox")), (0, 0));
    assert_eq!(rows(&scene.place), before);
}

/// The work has the time go on, as a clock would while it takes long.
#[tokio::test]
async fn a_lease_that_ends_while_work_is_done_takes_the_work_back() {
    let scene = Scene::new();
    let (saga, lease) = scene.held().await;
    let before = rows(&scene.place);
    let slow = SagaWork::new(|tx| {
        effect(tx)?;
        tx.execute("UPDATE saga_lease SET until = 1", ())?;
        Ok(change([line("pay")]))
    });
    let slow = scene.sagas.append_with(&lease, saga, 1, slow).await;
    assert!(matches!(slow, Ok(Worked::Lost)), "{slow:?}");
    let writes = SagaWork::new(|tx| {
        effect(tx)?;
        tx.execute("UPDATE saga SET length = 2", ())?;
        Ok(change([line("pay")]))
    });
    let writes = scene.sagas.append_with(&lease, saga, 1, writes).await;
    assert!(matches!(writes, Ok(Worked::Conflict)), "{writes:?}");
    let ends = SagaWork::new(|tx| {
        effect(tx)?;
        tx.execute("DELETE FROM saga", ())?;
        Ok(change([line("pay")]))
    });
    let ends = scene.sagas.append_with(&lease, saga, 1, ends).await;
    assert!(matches!(ends, Ok(Worked::Conflict)), "{ends:?}");
    assert_eq!((scene.count("account"), scene.count("outbox")), (0, 0));
    assert_eq!(rows(&scene.place), before);
}

#[tokio::test]
async fn whoever_was_followed_writes_nothing() {
    let scene = Scene::new();
    let (saga, zombie) = scene.held().await;
    assert_eq!(
        scene.sagas.post(saga, &letter("go")).await.unwrap(),
        Posted::Accepted
    );
    scene.end_leases();
    let lease = scene.claim(saga).await;
    assert!(lease.epoch > zombie.epoch);
    // Named as the zombie, too, it is another's.
    let mut renamed = zombie.clone();
    renamed.owner = lease.owner.clone();
    let mut ahead = lease.clone();
    ahead.owner = ExecutorId::new("another");
    for lost in [zombie, renamed, ahead] {
        let before = rows(&scene.place);
        let mut late = append(saga, 1, change([line("late")]));
        late.read = 1;
        let late = scene.sagas.append(&lost, &late).await.unwrap();
        assert_eq!(late, Appended::Lost);
        let work = SagaWork::new(|_| panic!("it is done"));
        let work = scene.sagas.append_with(&lost, saga, 1, work).await;
        assert!(matches!(work, Ok(Worked::Lost)), "{work:?}");
        assert!(scene.take(std::slice::from_ref(&lost)).await.is_empty());
        assert_eq!(scene.sagas.load(&lost, saga).await.unwrap(), None);
        let (owner, lost) = (lost.owner.clone(), [lost]);
        let released = scene.sagas.release(&owner, &lost, Departing::No);
        released.await.unwrap();
        assert_eq!(rows(&scene.place), before);
    }
    let loaded = scene.sagas.load(&lease, saga).await.unwrap().unwrap();
    assert_eq!((loaded.records.len(), loaded.mail.len()), (1, 1));
}

/// A lease is good for its bucket, whatever the store is told.
#[tokio::test]
async fn a_lease_is_good_for_no_other_bucket() {
    let scene = Scene::new();
    let (saga, _) = scene.held().await;
    let other = scene.claim(scene::saga_outside(saga.bucket())).await;
    let before = rows(&scene.place);
    let foreign = append(saga, 1, change([line("foreign")]));
    let foreign = scene.sagas.append(&other, &foreign).await.unwrap();
    assert_eq!(foreign, Appended::Lost);
    let work = SagaWork::new(|_| panic!("it is done"));
    let work = scene.sagas.append_with(&other, saga, 1, work).await;
    assert!(matches!(work, Ok(Worked::Lost)), "{work:?}");
    assert_eq!(scene.sagas.load(&other, saga).await.unwrap(), None);
    assert_eq!(rows(&scene.place), before);
    let mut start = start(scene::saga_in(saga.bucket()));
    start.held = Some((other, change([line("foreign")])));
    assert_eq!(scene.sagas.start(&start).await.unwrap(), Started::Waits);
    assert_eq!(scene.log(start.saga).await, []);
}

#[tokio::test]
async fn an_append_with_other_contents_is_no_repeat() {
    let scene = Scene::new();
    let (saga, lease) = scene.held().await;
    let mut first = append(saga, 1, change([line("pay"), line("ship")]));
    first.change.result = Some("so far".into());
    let asks = async |append| scene.sagas.append(&lease, append).await.unwrap();
    assert_eq!(asks(&first).await, Appended::Held);
    let before = rows(&scene.place);
    assert_eq!(asks(&first).await, Appended::Held);
    let mut others = vec![first.clone(); 4];
    others[0].change.records[1].attempt = 2;
    others[1].change.stage = Stage::Stuck;
    others[2].change.result = Some("otherwise".into());
    others[3].change.records.push(line("bill"));
    for other in &others {
        assert_eq!(asks(other).await, Appended::Conflict, "{other:?}");
    }
    assert_eq!(rows(&scene.place), before);

    // The same by another is not asked again, but written twice.
    scene.end_leases();
    let follower = scene.claim(saga).await;
    let again = scene.sagas.append(&follower, &first).await.unwrap();
    assert_eq!(again, Appended::Conflict);
}

/// Neither what is asked for without need to write, nor what is only looked at.
#[tokio::test]
async fn who_only_looks_does_not_wait_for_those_who_write() {
    let scene = Scene::new();
    let (saga, lease) = scene.held().await;
    let gate = hold(scene.database.writer()).await;
    let looks = async {
        let sagas = &scene.sagas;
        let taken = sagas.take(std::slice::from_ref(&lease), 10, HOUR).await;
        assert!(taken.unwrap().sagas.is_empty());
        assert!(sagas.load(&lease, saga).await.unwrap().is_some());
        assert!(sagas.find(saga).await.unwrap().is_some());
        let running = sagas.list(Stage::Running, None, 10).await.unwrap();
        assert_eq!(running.len(), 1);
        assert_eq!(sagas.count().await.unwrap(), [1, 0, 0, 0, 0, 0, 0]);
    };
    let looks = tokio::time::timeout(Duration::from_secs(60), looks).await;
    looks.expect("they wait");
    gate.open().await;
}

#[tokio::test]
async fn tables_of_another_release_are_refused() {
    let place = Place::new();
    let expects = Options::new().tables(Tables::Expect);
    drop(place.open(Options::new()));
    let database = Database::open(place.file(), expects).unwrap();
    let missing = Sagas::new(&database).expect_err("there are none");
    assert_eq!(missing.why(), Why::Incompatible);
    place.look().execute_batch(&saga::schema()).unwrap();
    Sagas::new(&database).expect("finds what it expects");
    assert_eq!(place.count("saga_lease"), 64);
    let newer = "UPDATE axiomatic_schema SET version = 9, oldest_code = 8 \
                 WHERE component = 'saga'";
    place.look().execute_batch(newer).unwrap();
    let newer = Sagas::new(&database).expect_err("are newer");
    assert_eq!(newer.why(), Why::Incompatible);
}
