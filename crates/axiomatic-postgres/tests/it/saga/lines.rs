//! Who stands in line, while others enter and leave; in sessions that stand
//! still where it matters.

use axiomatic_coordination::saga::{Lock, LockRequest, Locked, Worked};
use axiomatic_postgres::saga::SagaWork;
use futures::future::join_all;
use tokio::time::timeout;

use super::races::begin;
use super::tables::end_session;
use super::*;
use crate::support::FOR_EVER;

/// What a session does that enters a line and has not committed.
const ENTER: &str = "SELECT pg_advisory_xact_lock(\
                     hashtextextended('a', '{schema}.saga_lock'::regclass::oid::bigint))";

pub(super) fn wants(saga: SagaId, resources: &[&str]) -> LockRequest {
    let locks = resources.iter().map(|resource| Lock::exclusive(*resource));
    LockRequest {
        saga,
        name: "lock".into(),
        locks: locks.collect(),
        waits: true,
    }
}

pub(super) fn last(saga: SagaId, after: u64) -> Append {
    let mut last = line(saga, after, "b");
    last.change.stage = Stage::Done;
    last
}

/// A row of one who stands there, written by hand.
fn row(saga: SagaId, resource: &str, place: &str) -> String {
    format!(
        "INSERT INTO {{schema}}.saga_lock (resource, place, saga, name, mode, letter, told) \
         VALUES ('{resource}', {place}, '{saga}', 'lock', 'exclusive', '{}', true)",
        LockRequest::letter(saga, "lock").id
    )
}

impl Scene {
    async fn locks(&self, lease: &Lease, request: &LockRequest) -> Locked {
        let locked = self.store.lock(lease, request).await;
        locked.expect("an answer")
    }

    /// Asks in the background.
    fn locking(&self, lease: &Lease, request: &LockRequest) -> tokio::task::JoinHandle<Locked> {
        let (store, lease, request) = (self.store.clone(), lease.clone(), request.clone());
        tokio::spawn(async move { store.lock(&lease, &request).await.expect("an answer") })
    }

    async fn until_it_waits_or_is_done<T>(&self, task: &tokio::task::JoinHandle<T>) {
        until("it waits, or is done", async || {
            task.is_finished() || self.sessions("wait_event_type = 'Lock'").await == 1
        })
        .await;
    }

    /// Who stands in a line, and whether it has it.
    async fn stand(&self, resource: &str) -> Vec<(SagaId, bool)> {
        let line = self.store.line(resource).await.expect("an answer");
        { line.iter().map(|place| (place.saga, place.has_it)) }.collect()
    }

    async fn is_told(&self, saga: SagaId) -> bool {
        let found = self.store.find(saga).await.expect("an answer");
        let mail = found.expect("it is there").mail;
        mail.contains(&LockRequest::letter(saga, "lock"))
    }
}

/// Of two that ask at once one has it, and the other stands behind it.
#[tokio::test(flavor = "multi_thread")]
async fn who_enters_waits_for_who_enters_the_same_line() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (first, _) = scene.held(&leases).await;
    let (second, lease) = scene.held(&leases).await;
    let mut rival = scene.place.client().await;
    let place = "nextval('{schema}.saga_lock_place')";
    let enter = format!("{ENTER}; {}", row(first, "a", place));
    let tx = begin(&scene, &mut rival, &enter).await;
    let locking = scene.locking(&lease, &wants(second, &["a", "b"]));
    scene.until_it_waits_or_is_done(&locking).await;
    // Who wants something else does not.
    let (other, of_other) = scene.held(&leases).await;
    let free = wants(other, &["c"]);
    let free = timeout(FOR_EVER / 2, scene.locks(&of_other, &free));
    assert_eq!(free.await.expect("it waits for nobody"), Locked::Held);
    tx.commit().await.expect("commits");
    assert_eq!(locking.await.expect("no panic"), Locked::Waits);
    let line = [(first, true), (second, false)];
    assert_eq!(scene.stand("a").await, line);
}

/// It would stand there for ever. The one that asks may be an executor that
/// has lost its lease, or have been given up by who asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_ends_while_it_enters_stands_in_no_line() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let mut rival = scene.place.client().await;
    let end = format!(
        "UPDATE {{schema}}.saga SET ended = now(), stage = 'done', held = NULL \
         WHERE id = '{saga}'; DELETE FROM {{schema}}.saga_lock WHERE saga = '{saga}'"
    );
    let tx = begin(&scene, &mut rival, &end).await;
    let locking = scene.locking(&lease, &wants(saga, &["a"]));
    scene.until_it_waits_or_is_done(&locking).await;
    tx.commit().await.expect("commits");
    assert_eq!(locking.await.expect("no panic"), Locked::Lost);
    assert_eq!(scene.stand("a").await, []);
    assert!(!scene.is_told(saga).await);

    // And the other way round: it has entered, and not committed, when it ends.
    let (saga, lease) = scene.held(&leases).await;
    let enter = format!(
        "SELECT FROM {{schema}}.saga WHERE id = '{saga}' FOR NO KEY UPDATE; {}",
        row(saga, "a", "1000000")
    );
    let tx = begin(&scene, &mut rival, &enter).await;
    let (store, append) = (scene.store.clone(), last(saga, 1));
    let appending = tokio::spawn(async move {
        // It gives up after two seconds, and asks again.
        loop {
            match store.append(&lease, &append).await {
                Err(error) if error.why().is_transient() => {}
                appended => return appended.expect("an answer"),
            }
        }
    });
    scene.until_one_waits_for_a_lock().await;
    tx.commit().await.expect("commits");
    assert_eq!(appending.await.expect("no panic"), Appended::Held);
    assert_eq!(scene.stand("a").await, []);
}

/// Who leaves between the look of who enters and its commit sees nobody, and is
/// not seen.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_entered_looks_again_at_who_left_meanwhile() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (first, of_first) = scene.held(&leases).await;
    assert_eq!(
        scene.locks(&of_first, &wants(first, &["a"])).await,
        Locked::Held
    );
    let (second, lease) = scene.held(&leases).await;
    let mut rival = scene.place.client().await;
    // The place that is drawn next is taken already, as it seems: whoever
    // inserts waits to see.
    let next = "nextval('{schema}.saga_lock_place') + 1";
    let hold = row(SagaId::unique(), "b", next);
    let tx = begin(&scene, &mut rival, &hold).await;
    let locking = scene.locking(&lease, &wants(second, &["a", "b"]));
    scene.until_one_waits_for_a_lock().await;
    assert_eq!(
        scene.append(&of_first, &last(first, 1)).await,
        Appended::Held
    );
    assert!(!scene.is_told(second).await, "it has not entered");
    tx.rollback().await.expect("ends");
    assert_eq!(locking.await.expect("no panic"), Locked::Held);
    assert!(scene.is_told(second).await);
    assert_eq!(scene.stand("a").await, [(second, true)]);
}

/// One that died between its commit and its look at those it has left.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_attends_passes_on_for_the_dead() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let mut sagas = Vec::new();
    for wanted in [&["a", "b"][..], &["b"], &["a"], &["b"], &["c"]] {
        let (saga, lease) = scene.held(&leases).await;
        scene.locks(&lease, &wants(saga, wanted)).await;
        sagas.push((saga, lease));
    }
    let told = async || {
        let mut told = Vec::new();
        for (saga, _) in &sagas {
            told.push(scene.is_told(*saga).await);
        }
        told
    };
    let waiting = [true, false, false, false, true];
    assert_eq!(told().await, waiting);
    let attend = async || scene.store.attend(&scene.executor, HOUR).await.unwrap();
    attend().await;
    assert_eq!(told().await, waiting, "nobody has ended");
    let dead = format!(
        "UPDATE {{schema}}.saga SET ended = now(), stage = 'done', held = NULL \
         WHERE id = '{0}'; DELETE FROM {{schema}}.saga_lock WHERE saga = '{0}'",
        sagas[0].0
    );
    scene.execute(&dead).await;
    // One that is just changing keeps nobody waiting, and is told by the next.
    let mut rival = scene.place.client().await;
    let change = format!(
        "SELECT FROM {{schema}}.saga WHERE id = '{}' FOR UPDATE",
        sagas[1].0
    );
    let tx = begin(&scene, &mut rival, &change).await;
    let mut wake_ups = scene.store.wake_ups();
    timeout(FOR_EVER / 2, attend()).await.expect("no waiting");
    assert_eq!(told().await, [true, false, true, false, true]);
    timeout(FOR_EVER, wake_ups.next()).await.expect("it is due");
    tx.rollback().await.expect("ends");
    attend().await;
    assert_eq!(told().await, [true, true, true, false, true]);
    // Nobody is told twice.
    let letters = "SELECT count(*) FROM {schema}.saga_mail";
    let before = scene.number(letters).await;
    attend().await;
    assert_eq!(scene.number(letters).await, before);
}

/// What is written with it is answered, though one that waited cannot be told
/// yet.
#[tokio::test]
async fn only_who_ends_waits_until_others_are_told() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (first, of_first) = scene.held(&leases).await;
    let (second, of_second) = scene.held(&leases).await;
    let (other, of_other) = scene.held(&leases).await;
    scene.locks(&of_first, &wants(first, &["a"])).await;
    scene.locks(&of_second, &wants(second, &["a"])).await;
    let mut rival = scene.place.client().await;
    let change = format!("SELECT FROM {{schema}}.saga WHERE id = '{second}' FOR UPDATE");
    let tx = begin(&scene, &mut rival, &change).await;
    let (store, append) = (scene.store.clone(), last(first, 1));
    // Of one batch: nothing is written before both stand in line.
    let ending = tokio::spawn(async move { store.append(&of_first, &append).await });
    let store = scene.store.clone();
    let append = line(other, 1, "b");
    let others = tokio::spawn(async move { store.append(&of_other, &append).await });
    let answered = timeout(FOR_EVER / 2, others).await.expect("no waiting");
    assert_eq!(answered.unwrap().unwrap(), Appended::Held);
    scene.until_one_waits_for_a_lock().await;
    assert!(!ending.is_finished());
    tx.rollback().await.expect("ends");
    assert_eq!(ending.await.unwrap().unwrap(), Appended::Held);
    assert!(scene.is_told(second).await);
}

/// Who stands behind hears of it, however long the line.
#[tokio::test(flavor = "multi_thread")]
async fn work_passes_on_when_it_has_committed() {
    // Of the one connection that there is nobody waits for another.
    let Some(scene) = Scene::with(1).await else {
        return;
    };
    let leases = scene.claim().await;
    let (first, of_first) = scene.held(&leases).await;
    let (second, of_second) = scene.held(&leases).await;
    scene.locks(&of_first, &wants(first, &["a"])).await;
    scene.locks(&of_second, &wants(second, &["a"])).await;
    let change = last(first, 1).change;
    let work = SagaWork::new(|_| Box::pin(async { Ok(change) }));
    let worked = scene.store.append_with(&of_first, first, 1, work);
    let worked = timeout(FOR_EVER / 2, worked).await.expect("no waiting");
    assert!(matches!(worked, Ok(Worked::Done(_))), "{worked:?}");
    assert!(scene.is_told(second).await);
    assert_eq!(scene.stand("a").await, [(second, true)]);
}

/// Those who wait on the server for who enters leave connections to whoever
/// keeps their leases.
#[tokio::test(flavor = "multi_thread")]
async fn who_enters_never_has_all_connections() {
    let Some(scene) = Scene::with(4).await else {
        return;
    };
    let leases = scene.claim().await;
    let mut wanted = Vec::new();
    for _ in 0..8 {
        let (saga, lease) = scene.held(&leases).await;
        wanted.push((lease, wants(saga, &["a"])));
    }
    let mut rival = scene.place.client().await;
    let tx = begin(&scene, &mut rival, ENTER).await;
    // All ask before anything else is asked.
    let locking = { wanted.iter() }.map(|(lease, request)| scene.locks(lease, request));
    let meanwhile = async {
        until("two wait for who enters", async || {
            scene.sessions("wait_event_type = 'Lock'").await >= 2
        })
        .await;
        let attend = scene.store.attend(&scene.executor, HOUR);
        let there = timeout(FOR_EVER / 2, attend).await.expect("no waiting");
        assert_eq!(there.expect("an answer").leases.len(), 64);
        tx.commit().await.expect("ends");
    };
    let (locked, ()) = futures::join!(join_all(locking), meanwhile);
    let count = |what| locked.iter().filter(|locked| **locked == what).count();
    assert_eq!((count(Locked::Held), count(Locked::Waits)), (1, 7));
}

/// The connections on which they wait are nobody else's: of those that are left
/// each answers.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_dropped_while_it_enters_keeps_nobody_waiting() {
    let Some(scene) = Scene::with(4).await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let mut rival = scene.place.client().await;
    let tx = begin(&scene, &mut rival, ENTER).await;
    let request = wants(saga, &["a"]);
    tokio::select! {
        locked = scene.locks(&lease, &request) => panic!("{locked:?}, while another enters"),
        () = until("it waits for who enters", async || {
            scene.sessions("wait_event_type = 'Lock'").await >= 1
        }) => {}
    }
    let attending = (0..8).map(|_| scene.store.attend(&scene.executor, HOUR));
    let there = timeout(FOR_EVER / 2, join_all(attending)).await;
    for there in there.expect("no waiting") {
        assert_eq!(there.expect("an answer").leases.len(), 64);
    }
    tx.commit().await.expect("ends");
}

/// What the server reads of lines when one ends that has shared a line with so
/// many who wait in another.
async fn rows_read_when_one_of_many_ends(waiting: i64) -> Option<i64> {
    let scene = Scene::with(1).await?;
    let leases = scene.claim().await;
    let mut sagas = Vec::new();
    for _ in 0..2 {
        let (saga, lease) = scene.held(&leases).await;
        let mut request = wants(saga, &["acc"]);
        request.locks = vec![Lock::shared("tariff"), Lock::exclusive("acc")];
        let locked = scene.locks(&lease, &request).await;
        sagas.push((saga, lease, locked));
    }
    let [(first, of_first, Locked::Held), (second, _, Locked::Waits)] = &sagas[..] else {
        panic!("one has all: {sagas:?}");
    };
    let behind = format!(
        "INSERT INTO {{schema}}.saga_lock (resource, place, saga, name, mode, letter, told) \
         SELECT l.resource, 1000000 + n, md5(n::text)::uuid, 'lock', l.mode, \
         md5(n::text)::uuid, false FROM generate_series(1, {waiting}) n, \
         (VALUES ('tariff', 'shared'), ('acc', 'exclusive')) l (resource, mode)"
    );
    scene.execute(&behind).await;
    assert_eq!(
        scene.append(of_first, &last(*first, 1)).await,
        Appended::Held
    );
    assert!(scene.is_told(*second).await);
    end_session(&scene).await;
    let read = "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes \
                WHERE relid = '{schema}.saga_lock'::regclass)::bigint + \
                (SELECT seq_tup_read FROM pg_stat_user_tables \
                WHERE relid = '{schema}.saga_lock'::regclass)";
    Some(scene.number(read).await)
}

/// They wait for other things, and a place that was shared was in the way of
/// none of them.
#[tokio::test(flavor = "multi_thread")]
async fn who_shared_a_line_passes_on_without_reading_all_who_share_it() {
    let Some(few) = rows_read_when_one_of_many_ends(100).await else {
        return;
    };
    let many = rows_read_when_one_of_many_ends(4000).await.expect("again");
    println!("rows read: {few} of 100, {many} of 4000");
    assert!(many < few + 100, "{few} of 100, and {many} of 4000");
}
