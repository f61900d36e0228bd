//! Operations that are dropped at each of their awaits: done or not done, no
//! session stays in a transaction, and asked again they are answered as if
//! they had been asked once.

use std::collections::HashSet;
use std::pin::Pin;

use axiomatic_coordination::saga::{Departing, Locked};

use super::lines::{last, wants};
use super::local::pay;
use super::*;
use crate::cancel::{BOTH, polled};

/// What there is each time.
struct Stage {
    /// One that this executor holds, with a line and a letter.
    held: SagaId,
    /// One that is due.
    due: SagaId,
    lease: Lease,
}

/// What an operation answers, as text.
type Operation = for<'a> fn(&'a Scene, &'a Stage) -> Pin<Box<dyn Future<Output = String> + 'a>>;

macro_rules! operation {
    (|$scene:ident, $stage:ident| $operation:expr) => {
        |$scene: &Scene, $stage: &Stage| {
            Box::pin(async move {
                let _ = &$stage;
                format!("{:?}", $operation.await.expect("an answer"))
            })
        }
    };
}

/// Ids that are the same each time, all of one bucket.
fn ids() -> [SagaId; 4] {
    let first = SagaId(Uuid::from_u128(1));
    let same = (1..).map(|id| SagaId(Uuid::from_u128(id)));
    let mut same = same.filter(|saga| saga.bucket() == first.bucket());
    [(); 4].map(|()| same.next().expect("there are many"))
}

async fn reset(scene: &Scene) -> Stage {
    let clear = "DELETE FROM {schema}.saga; DELETE FROM {schema}.saga_event; \
                 DELETE FROM {schema}.saga_mail; DELETE FROM {schema}.saga_executor; \
                 DELETE FROM {schema}.account; DELETE FROM {schema}.saga_lock; \
                 DELETE FROM {schema}.saga_archive; \
                 UPDATE {schema}.saga_lease SET owner = NULL, epoch = 0";
    scene.execute(clear).await;
    let [held, due, ended, _] = ids();
    let bucket = [held.bucket()];
    let lease = scene.store.claim(&scene.executor, &bucket, HOUR);
    let lease = lease.await.expect("an answer").remove(0);
    for saga in [held, ended] {
        let started = scene.store.start(&start_held(saga, &lease)).await;
        assert_eq!(started.expect("an answer"), Started::Held);
    }
    assert_eq!(scene.post(held, &letter(1)).await, Posted::Accepted);
    let mut last = line(ended, 1, "b");
    last.change.stage = axiomatic_coordination::saga::Stage::Done;
    assert_eq!(scene.append(&lease, &last).await, Appended::Held);
    let started = scene.store.start(&start(due)).await;
    assert_eq!(started.expect("an answer"), Started::Waits);
    // It has what another may want.
    let locked = scene.store.lock(&lease, &wants(held, &["a"])).await;
    assert_eq!(locked.expect("an answer"), Locked::Held);
    Stage { held, due, lease }
}

/// What the tables hold, but for times.
async fn rows(scene: &Scene) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "saga",
        "saga_event",
        "saga_mail",
        "saga_lease",
        "saga_executor",
        "saga_lock",
        "saga_archive",
        "account",
    ] {
        let rows = format!(
            "SELECT (to_jsonb(t) - '{{at,nth,until,since,started,changed,place,log_at,mail_at}}'::text[] \
             || jsonb_build_object('wake', to_jsonb(t)->'wake' <> 'null', \
             'mail_due', to_jsonb(t)->'mail_due' <> 'null', \
             'ended', to_jsonb(t)->'ended' <> 'null'))::text FROM {{schema}}.{table} t"
        );
        let rows = scene.look.query(&scene.sql(&rows), &[]).await.unwrap();
        let mut rows: Vec<String> = rows
            .iter()
            .map(|row| format!("{table} {}", row.get::<_, String>(0)))
            .collect();
        rows.sort();
        all.extend(rows);
    }
    all
}

/// What was put in line before has been written, or will not be.
async fn until_all_is_written(scene: &Scene, stage: &Stage) {
    let [.., missing] = ids();
    let mut nothing = line(missing, 9, "b");
    nothing.change.records.clear();
    let conflict = scene.append(&stage.lease, &nothing).await;
    assert_eq!(conflict, Appended::Conflict);
    scene.until_nobody_is_at_work().await;
}

#[tokio::test]
async fn operations_that_are_dropped_are_done_or_not_done_and_can_be_asked_again() {
    let Some(scene) = Scene::with(2).await else {
        return;
    };
    let operations: [(&str, Operation); 13] = [
        (
            "attend",
            operation!(|scene, stage| async {
                let there = scene.store.attend(&scene.executor, HOUR).await;
                there.map(|there| (there.executors.len(), there.leases))
            }),
        ),
        (
            "claim",
            operation!(|scene, stage| {
                scene
                    .store
                    .claim(&scene.executor, &[Bucket(0), Bucket(1)], HOUR)
            }),
        ),
        (
            "release",
            operation!(|scene, stage| {
                let leases = std::slice::from_ref(&stage.lease);
                scene.store.release(&scene.executor, leases, Departing::Yes)
            }),
        ),
        (
            "start",
            operation!(|scene, stage| async {
                let [.., new] = ids();
                let started = scene.store.start(&start(new)).await;
                // Who asks again hears that it was begun.
                started.map(|started| matches!(started, Started::Waits | Started::Before))
            }),
        ),
        (
            "start with a lease",
            operation!(|scene, stage| async {
                let [.., new] = ids();
                let started = scene.store.start(&start_held(new, &stage.lease)).await;
                started.map(|started| matches!(started, Started::Held | Started::Before))
            }),
        ),
        (
            "append",
            operation!(|scene, stage| async {
                let mut read = line(stage.held, 1, "b");
                read.change.records[0].mail = Some(letter(1).id);
                read.read = 1;
                scene.store.append(&stage.lease, &read).await
            }),
        ),
        (
            "append nothing",
            operation!(|scene, stage| async {
                let mut sleep = line(stage.held, 1, "b");
                sleep.change.records.clear();
                sleep.change.wake = Wake::In(HOUR);
                sleep.read = 1;
                scene.store.append(&stage.lease, &sleep).await
            }),
        ),
        (
            "load",
            operation!(|scene, stage| async {
                let loaded = scene.store.load(&stage.lease, stage.held).await;
                loaded.map(|loaded| loaded.map(|loaded| loaded.records.len()))
            }),
        ),
        (
            "post",
            operation!(|scene, stage| async { scene.store.post(stage.due, &letter(2)).await }),
        ),
        (
            "lock",
            operation!(|scene, stage| async {
                let mut free = wants(stage.held, &["b", "c"]);
                free.name = "more".into();
                scene.store.lock(&stage.lease, &free).await
            }),
        ),
        (
            "lock what another has",
            operation!(|scene, stage| async {
                let wants = wants(stage.due, &["a", "b"]);
                scene.store.lock(&stage.lease, &wants).await
            }),
        ),
        (
            "find",
            operation!(|scene, stage| async {
                let found = scene.store.find(stage.due).await;
                found.map(|found| found.is_some())
            }),
        ),
        ("count", operation!(|scene, stage| scene.store.count())),
    ];
    for (what, operation) in operations {
        let stage = reset(&scene).await;
        let before = rows(&scene).await;
        let answer = operation(&scene, &stage).await;
        let done = rows(&scene).await;
        let mut found = HashSet::new();
        for dropped in BOTH {
            for polls in 0.. {
                let stage = reset(&scene).await;
                let completed = polled(operation(&scene, &stage), polls, dropped).await;
                let what = format!("{what}, {dropped:?} after {polls} polls");
                if !what.starts_with("release") {
                    until_all_is_written(&scene, &stage).await;
                }
                scene.until_nobody_is_at_work().await;
                let tables = rows(&scene).await;
                assert!(tables == before || tables == done, "{what}: {tables:#?}");
                found.insert(tables);
                assert_eq!(operation(&scene, &stage).await, answer, "{what}");
                assert_eq!(rows(&scene).await, done, "{what}");
                if completed.is_some() {
                    assert!(polls > 1, "{what}: it waits for the server");
                    break;
                }
            }
        }
        let states = if before == done { 1 } else { 2 };
        assert_eq!(found.len(), states, "{what}: dropped before and behind");
    }
}

/// Those that cannot be asked again as they were: they are done or not done.
#[tokio::test]
async fn takes_sweeps_and_work_that_are_dropped_are_done_or_not_done() {
    let Some(scene) = Scene::with(2).await else {
        return;
    };
    let operations: [(&str, Operation); 4] = [
        (
            "take",
            operation!(|scene, stage| async {
                let leases = std::slice::from_ref(&stage.lease);
                let taken = scene.store.take(leases, 10, HOUR).await;
                taken.map(|taken| taken.sagas.len())
            }),
        ),
        (
            "sweep",
            operation!(|scene, stage| scene.store.sweep(Duration::ZERO, Swept::Deleted, 10)),
        ),
        (
            "sweep to the archive",
            operation!(|scene, stage| scene.store.sweep(Duration::ZERO, Swept::Archived, 10)),
        ),
        (
            "work",
            operation!(|scene, stage| async {
                let work = pay(scene, change(vec![record(Kind::Done, "pay")]));
                let worked = scene.store.append_with(&stage.lease, stage.held, 1, work);
                worked.await
            }),
        ),
    ];
    for (what, operation) in operations {
        let stage = reset(&scene).await;
        let before = rows(&scene).await;
        operation(&scene, &stage).await;
        let done = rows(&scene).await;
        let mut found = HashSet::new();
        for dropped in BOTH {
            for polls in 0.. {
                let stage = reset(&scene).await;
                let completed = polled(operation(&scene, &stage), polls, dropped).await;
                let what = format!("{what}, {dropped:?} after {polls} polls");
                scene.until_nobody_is_at_work().await;
                let tables = rows(&scene).await;
                assert!(tables == before || tables == done, "{what}: {tables:#?}");
                found.insert(tables);
                until_all_is_written(&scene, &stage).await;
                if completed.is_some() {
                    assert!(polls > 1, "{what}: it waits for the server");
                    break;
                }
            }
        }
        assert_eq!(found.len(), 2, "{what}: dropped before and behind");
    }
}

/// Who waited hears of it, if not by who has ended, by who attends.
#[tokio::test]
async fn ends_that_are_dropped_are_passed_on_or_not_done() {
    let Some(scene) = Scene::with(2).await else {
        return;
    };
    let operations: [(&str, Operation); 2] = [
        (
            "append",
            operation!(|scene, stage| scene.store.append(&stage.lease, &last(stage.held, 1))),
        ),
        (
            "work",
            operation!(|scene, stage| {
                let work = pay(scene, last(stage.held, 1).change);
                let store = &scene.store;
                store.append_with(&stage.lease, stage.held, 1, work)
            }),
        ),
    ];
    let reset = async || {
        let stage = reset(&scene).await;
        let wanted = wants(stage.due, &["a"]);
        let waits = scene.store.lock(&stage.lease, &wanted).await;
        assert_eq!(waits.expect("an answer"), Locked::Waits);
        stage
    };
    let attend = async || {
        scene
            .store
            .attend(&scene.executor, HOUR)
            .await
            .expect("an answer");
    };
    for (what, operation) in operations {
        let stage = reset().await;
        attend().await;
        let before = rows(&scene).await;
        operation(&scene, &stage).await;
        attend().await;
        let done = rows(&scene).await;
        let letters = done
            .iter()
            .filter(|row| row.starts_with("saga_mail "))
            .count();
        assert_eq!(letters, 3, "{done:#?}");
        let mut found = HashSet::new();
        for dropped in BOTH {
            for polls in 0.. {
                let stage = reset().await;
                let completed = polled(operation(&scene, &stage), polls, dropped).await;
                until_all_is_written(&scene, &stage).await;
                attend().await;
                // Who passes on may have it locked, and then has not done yet.
                scene.until_nobody_is_at_work().await;
                let tables = rows(&scene).await;
                let what = format!("{what}, {dropped:?} after {polls} polls");
                assert!(tables == before || tables == done, "{what}: {tables:#?}");
                found.insert(tables);
                if completed.is_some() {
                    assert!(polls > 1, "{what}: it waits for the server");
                    break;
                }
            }
        }
        assert_eq!(found.len(), 2, "{what}: dropped before and behind");
    }
}
