//! Sagas that are written together. Tests of one thread put all in line before
//! any is written, so they are one batch.

use std::error::Error;

use axiomatic_coordination::Why;
use axiomatic_coordination::saga::Worked;
use futures::FutureExt;
use futures::future::join_all;
use tokio::time::timeout;

use super::local::pay;
use super::*;
use crate::support::FOR_EVER;

/// How many transactions have written these lines.
async fn transactions(scene: &Scene, step: &str) -> i64 {
    let count = format!(
        "SELECT count(DISTINCT xmin::text) FROM {{schema}}.saga_event WHERE step = '{step}'"
    );
    scene.number(&count).await
}

/// By the store's count, and by what stands in the rows.
#[tokio::test(flavor = "multi_thread")]
async fn sagas_that_are_written_at_once_share_their_commits() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    const SAGAS: usize = 256;
    let scene = Arc::new(scene);
    let leases = Arc::new(scene.claim().await);
    let running = (0..SAGAS).map(|_| {
        let (scene, leases) = (scene.clone(), leases.clone());
        tokio::spawn(async move {
            let (saga, lease) = scene.held(&leases).await;
            for after in 1..4 {
                let appended = scene.append(&lease, &line(saga, after, "b")).await;
                assert_eq!(appended, Appended::Held);
            }
        })
    });
    for done in join_all(running.collect::<Vec<_>>()).await {
        done.expect("no panic");
    }
    let written = scene
        .number("SELECT count(*) FROM {schema}.saga_event")
        .await;
    assert_eq!(written, 4 * SAGAS as i64);
    let commits = scene.store.commits();
    let seen = transactions(&scene, "pay").await + transactions(&scene, "b").await;
    println!("{commits} commits for {SAGAS} sagas of 4 writes; {seen} seen");
    assert!(commits < SAGAS as u64, "{commits}: less than one a saga");
    assert!(seen <= 2 * commits as i64, "{seen} seen and {commits} told");
}

/// All of one thread, and so one statement.
#[tokio::test]
async fn a_batch_is_one_transaction() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let begun = join_all((0..200).map(|_| scene.held(&leases))).await;
    assert_eq!(scene.store.commits(), 1);
    assert_eq!(transactions(&scene, "pay").await, 1);
    let appends: Vec<_> = begun
        .iter()
        .map(|(saga, lease)| (lease, line(*saga, 1, "b")))
        .collect();
    let appended = appends
        .iter()
        .map(|(lease, append)| scene.append(lease, append));
    for appended in join_all(appended).await {
        assert_eq!(appended, Appended::Held);
    }
    assert_eq!(scene.store.commits(), 2);
    assert_eq!(transactions(&scene, "b").await, 1);
}

/// And not in the one behind that: two sagas that came one after the other would
/// take turns, with a commit for each.
#[tokio::test]
async fn who_is_answered_and_asks_again_is_in_the_next_batch() {
    const LINES: u64 = 5;
    let Some(scene) = Scene::find().await else {
        return;
    };
    let scene = Arc::new(scene);
    let leases = scene.claim().await;
    let (first, second) = (scene.held(&leases).await, scene.held(&leases).await);
    let before = scene.store.commits();
    let writing = |(saga, lease): (SagaId, Lease)| {
        let scene = scene.clone();
        tokio::spawn(async move {
            for after in 1..=LINES {
                let appended = scene.append(&lease, &line(saga, after, "b")).await;
                assert_eq!(appended, Appended::Held);
            }
        })
    };
    // The second comes while the first is written.
    let mut rival = scene.place.client().await;
    let tx = rival.transaction().await.expect("begins");
    let lock = scene.sql("LOCK TABLE {schema}.saga_event");
    tx.batch_execute(&lock).await.expect("nobody has it");
    let first = writing(first);
    scene.until_one_waits_for_a_lock().await;
    let second = writing(second);
    tokio::task::yield_now().await;
    tx.rollback().await.expect("an answer");
    for done in [first, second] {
        done.await.expect("no panic");
    }
    assert_eq!(scene.store.commits(), before + 1 + LINES);
}

/// Its executor would look for what is due, and find nothing.
#[tokio::test]
async fn a_saga_that_ends_wakes_nobody() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let mut wake_ups = scene.store.wake_ups();
    let ends = Change {
        stage: Stage::Done,
        wake: Wake::In(Duration::MAX),
        ..change(vec![record(Kind::Done, "b")])
    };
    let (saga, lease) = scene.held(&leases).await;
    let mut append = line(saga, 1, "b");
    append.change = ends.clone();
    assert_eq!(scene.append(&lease, &append).await, Appended::Held);
    let (saga, lease) = scene.held(&leases).await;
    let work = pay(&scene, ends);
    let worked = scene.store.append_with(&lease, saga, 1, work).await;
    assert!(matches!(worked, Ok(Worked::Done(_))), "{worked:?}");
    assert!(wake_ups.next().now_or_never().is_none());
    // One that waits may have mail.
    let (saga, lease) = scene.held(&leases).await;
    let mut append = line(saga, 1, "b");
    append.change.wake = Wake::In(Duration::MAX);
    assert_eq!(scene.append(&lease, &append).await, Appended::Held);
    assert!(wake_ups.next().now_or_never().is_some());
}

/// It cannot read the letter that it has, and who posts another rings.
#[tokio::test]
async fn a_saga_that_is_parked_until_mail_comes_wakes_nobody() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    assert_eq!(scene.post(saga, &letter(1)).await, Posted::Accepted);
    let mut wake_ups = scene.store.wake_ups();
    let parks = |wake| Append {
        saga,
        after: 1,
        change: Change {
            stage: Stage::Parked,
            wake,
            ..change(Vec::new())
        },
        read: 0,
    };
    let never = parks(Wake::In(Duration::MAX));
    assert_eq!(scene.append(&lease, &never).await, Appended::Held);
    assert!(wake_ups.next().now_or_never().is_none());
    assert_eq!(scene.post(saga, &letter(2)).await, Posted::Accepted);
    assert!(wake_ups.next().now_or_never().is_some());
    // Who looks hears when one is due that has a time.
    let later = parks(Wake::In(HOUR));
    assert_eq!(scene.append(&lease, &later).await, Appended::Held);
    assert!(wake_ups.next().now_or_never().is_some());
}

/// Whatever becomes of one, the others are as if they had been alone.
#[tokio::test]
async fn one_that_is_lost_or_in_conflict_fails_no_other() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let mut sagas = Vec::new();
    for _ in 0..5 {
        sagas.push(scene.held(&leases).await);
    }
    let before = scene.store.commits();
    let zombie = {
        let mut lease = sagas[1].1.clone();
        lease.epoch.0 -= 1;
        lease
    };
    let again = line(sagas[4].0, 1, "again");
    assert_eq!(scene.append(&sagas[4].1, &again).await, Appended::Held);
    let appends = [
        (&sagas[0].1, line(sagas[0].0, 1, "good"), Appended::Held),
        (&zombie, line(sagas[1].0, 1, "zombie"), Appended::Lost),
        (&sagas[2].1, line(sagas[2].0, 7, "far"), Appended::Conflict),
        (&sagas[3].1, line(sagas[3].0, 1, "good"), Appended::Held),
        (&sagas[4].1, again.clone(), Appended::Held),
    ];
    let (new, old) = (SagaId::unique(), sagas[0].0);
    let held = SagaId::unique();
    let starts = [
        (start(new), Started::Waits),
        (start_held(held, &lease_of(&leases, held)), Started::Held),
    ];
    // Of one saga is one thing a batch: the second is written behind it.
    let behind = (start(old), Started::Before);
    let appending = appends.iter().map(async |(lease, append, expected)| {
        assert_eq!(scene.append(lease, append).await, *expected, "{append:?}");
    });
    let starting = starts
        .iter()
        .chain([&behind])
        .map(async |(start, expected)| {
            let started = scene.store.start(start).await.expect("an answer");
            assert_eq!(started, *expected, "{start:?}");
        });
    tokio::join!(join_all(appending), join_all(starting));
    assert_eq!(scene.store.commits(), before + 3);
    for ((saga, _), lines) in sagas.iter().zip([2, 1, 1, 2, 2]) {
        let found = scene.store.find(*saga).await.unwrap().expect("it is there");
        assert_eq!(found.records.len(), lines);
    }
}

/// Which of them it was nobody knows: each is written alone.
#[tokio::test]
async fn one_that_the_server_refuses_fails_no_other() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let poison = "CREATE FUNCTION {schema}.poison() RETURNS trigger LANGUAGE plpgsql AS $$ \
                  BEGIN RAISE 'poison'; END $$; \
                  CREATE TRIGGER poison BEFORE INSERT ON {schema}.saga_event FOR EACH ROW \
                  WHEN (NEW.step = 'poison') EXECUTE FUNCTION {schema}.poison()";
    scene.execute(poison).await;
    let leases = scene.claim().await;
    let begun = join_all((0..20).map(|_| scene.held(&leases))).await;
    let appending = begun
        .iter()
        .enumerate()
        .map(async |(number, (saga, lease))| {
            let step = if number == 7 { "poison" } else { "b" };
            let appended = scene.store.append(lease, &line(*saga, 1, step)).await;
            match appended {
                Ok(appended) => assert_eq!((appended, step), (Appended::Held, "b")),
                Err(error) => {
                    assert_eq!((error.why(), step), (Why::Refused, "poison"));
                    let said = error.source().and_then(Error::source);
                    let said = said.expect("the server's words").to_string();
                    assert!(said.contains("poison"), "{error}: {said}");
                }
            }
        });
    timeout(FOR_EVER, join_all(appending)).await.expect("ends");
    let lines = scene
        .number("SELECT count(*) FROM {schema}.saga_event")
        .await;
    assert_eq!(lines, 20 + 19);
    // What no server could take is not sent.
    let (saga, lease) = &begun[0];
    let refused = scene.store.append(lease, &line(*saga, 2, "a\0b")).await;
    assert_eq!(refused.expect_err("no text").why(), Why::Refused);
}

/// As long as a user's transaction has begun a saga of the same id, or an
/// operator looks at a row.
#[tokio::test]
async fn one_whose_row_is_locked_holds_up_no_other() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let begun = join_all((0..10).map(|_| scene.held(&leases))).await;
    let mut rival = scene.place.client().await;
    let mut tx = rival.transaction().await.expect("begins");
    let lock = format!(
        "SELECT FROM {{schema}}.saga WHERE id = '{}' FOR UPDATE",
        begun[3].0
    );
    tx.batch_execute(&scene.sql(&lock)).await.unwrap();
    let same = start(SagaId::unique());
    let started = scene.store.start_in(&mut tx, &same).await.unwrap();
    assert_eq!(started, Started::Waits);
    let (ended, mut others) = tokio::sync::mpsc::unbounded_channel();
    let appending = begun.iter().enumerate().map(|(number, (saga, lease))| {
        let (scene, ended) = (&scene, ended.clone());
        async move {
            let appended = scene.store.append(lease, &line(*saga, 1, "b")).await;
            match (number, appended) {
                (3, Err(error)) => assert_eq!(error.why(), Why::Busy),
                (_, appended) => assert_eq!(appended.unwrap(), Appended::Held),
            }
            ended.send(number).unwrap();
        }
    });
    let starting = async {
        match scene.store.start(&same).await {
            Err(error) => assert_eq!(error.why(), Why::Busy),
            Ok(started) => assert_eq!(started, Started::Before),
        }
    };
    let unlock = async {
        for _ in 0..9 {
            others.recv().await.expect("they are not held up");
        }
        tx.commit().await.expect("commits");
    };
    let all = async { tokio::join!(join_all(appending), starting, unlock) };
    timeout(FOR_EVER, all).await.expect("it ends");
    let appended = scene.append(&begun[3].1, &line(begun[3].0, 1, "b")).await;
    assert_eq!(appended, Appended::Held);
    let again = scene.store.start(&same).await.expect("an answer");
    assert_eq!(again, Started::Before);
}

/// Of the same saga, in the order in which they were asked.
#[tokio::test]
async fn what_is_asked_of_one_saga_is_written_in_its_order() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let appends: Vec<_> = (1..6).map(|after| line(saga, after, "b")).collect();
    let appending = appends.iter().map(|append| scene.append(&lease, append));
    for appended in join_all(appending).await {
        assert_eq!(appended, Appended::Held);
    }
    assert_eq!(scene.load(&lease, saga).await.records.len(), 6);
}

/// The task that wrote ended with the runtime it was on.
#[test]
fn a_store_outlives_the_runtime_it_was_made_on() {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        { runtime }.enable_all().build().expect("a runtime")
    };
    let first = runtime();
    let begun = first.block_on(async {
        let scene = Scene::find().await?;
        let leases = scene.claim().await;
        let (saga, lease) = scene.held(&leases).await;
        // One is being written, and one is in line, when it ends.
        let mut rival = scene.place.client().await;
        let tx = rival.transaction().await.expect("begins");
        let lock = scene.sql("LOCK TABLE {schema}.saga");
        tx.batch_execute(&lock).await.expect("nobody has it");
        for step in ["b", "c"] {
            let (store, lease) = (scene.store.clone(), lease.clone());
            tokio::spawn(async move { store.append(&lease, &line(saga, 1, step)).await });
        }
        scene.until_one_waits_for_a_lock().await;
        Some((scene, saga, lease))
    });
    let Some((scene, saga, lease)) = begun else {
        return;
    };
    first.shutdown_background();
    let second = runtime();
    second.block_on(async {
        let append = async || scene.store.append(&lease, &line(saga, 1, "b")).await;
        // The connections of the first runtime are found to be broken.
        until("it is written", async || {
            matches!(append().await, Ok(Appended::Held | Appended::Conflict))
        })
        .await;
    });
    // Its session is of the first runtime, and it is removed by a third.
    drop(scene);
}
