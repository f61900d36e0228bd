//! What is taken, loaded and found.

use axiomatic_coordination::Why;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_is_begun_taken_told_and_ended() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let there = scene.store.attend(&scene.executor, HOUR).await.unwrap();
    assert_eq!(there.executors, std::slice::from_ref(&scene.executor));
    assert_eq!(there.leases, []);
    let leases = scene.claim().await;
    let there = scene.store.attend(&scene.executor, HOUR).await.unwrap();
    assert_eq!(there.leases, leases);
    let saga = SagaId::unique();
    let mut begins = start(saga);
    begins.deadline = Some(HOUR);
    assert_eq!(scene.store.start(&begins).await.unwrap(), Started::Waits);
    assert_eq!(scene.store.start(&begins).await.unwrap(), Started::Before);
    let mut other = begins.clone();
    other.input = "{}".into();
    assert_eq!(scene.store.start(&other).await.unwrap(), Started::Other);
    let [taken] = &scene.take(&leases).await[..] else {
        panic!("one is due");
    };
    assert_eq!((taken.saga, taken.loads), (saga, 1));
    assert_eq!(taken.lease, lease_of(&leases, saga));
    assert_eq!(taken.definition, begins.definition);
    let turns_in = taken.deadline.unwrap().saturating_since(taken.now);
    assert!(turns_in > HOUR / 2, "{turns_in:?}");
    let none = scene.store.take(&leases, usize::MAX, Duration::MAX).await;
    assert!(none.unwrap().sagas.is_empty());
    let lease = taken.lease.clone();
    assert_eq!(
        scene.append(&lease, &line(saga, 0, "a")).await,
        Appended::Held
    );
    assert_eq!(scene.post(saga, &letter(1)).await, Posted::Accepted);
    assert_eq!(scene.post(saga, &letter(2)).await, Posted::Accepted);
    assert_eq!(scene.post(saga, &letter(1)).await, Posted::Accepted);
    let [told] = &scene.take(&leases).await[..] else {
        panic!("it has mail");
    };
    assert_eq!(told.mail, [letter(1), letter(2)]);
    assert_eq!(told.loads, 1);
    let mut signalled = line(saga, 1, "paid");
    signalled.change.records[0].kind = Kind::Signalled;
    signalled.change.records[0].mail = Some(letter(1).id);
    signalled.read = 1;
    assert_eq!(scene.append(&lease, &signalled).await, Appended::Held);
    assert_eq!(scene.append(&lease, &signalled).await, Appended::Held);
    let loaded = scene.load(&lease, saga).await;
    assert_eq!(loaded.mail, [letter(2)]);
    assert_eq!(loaded.records.len(), 2);
    assert_eq!(scene.post(saga, &letter(1)).await, Posted::Accepted);
    assert_eq!(scene.load(&lease, saga).await.mail, [letter(2)]);
    let mut last = line(saga, 2, "b");
    last.change.stage = Stage::Done;
    last.change.result = Some("7".into());
    assert_eq!(scene.append(&lease, &last).await, Appended::Held);
    assert_eq!(scene.append(&lease, &last).await, Appended::Held);
    assert_eq!(
        scene.append(&lease, &line(saga, 3, "c")).await,
        Appended::Conflict
    );
    assert_eq!(scene.store.load(&lease, saga).await.unwrap(), None);
    assert_eq!(scene.take(&leases).await, []);
    assert_eq!(scene.post(saga, &letter(3)).await, Posted::Ended);
    let found = scene.store.find(saga).await.unwrap().expect("it is there");
    assert_eq!(found.summary.result, Some("7".into()));
    assert_eq!(found.records.len(), 3);
    let listed = scene.store.list(Stage::Done, None, 10).await.unwrap();
    assert_eq!(listed, [found.summary]);
    assert_eq!(
        scene.store.list(Stage::Done, Some(saga), 10).await.unwrap(),
        []
    );
    assert_eq!(scene.store.count().await.unwrap(), [0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(
        scene
            .store
            .sweep(HOUR, Swept::Deleted, usize::MAX)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        scene
            .store
            .sweep(Duration::ZERO, Swept::Deleted, 10)
            .await
            .unwrap(),
        1
    );
    assert_eq!(scene.store.find(saga).await.unwrap(), None);
    assert_eq!(scene.post(saga, &letter(3)).await, Posted::Missing);
}

/// Whatever somebody wrote into the tables, or a later release.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_cannot_be_read_is_broken_and_due_after_the_pause() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let damages = [
        "UPDATE {schema}.saga SET stage = 'elsewhere'",
        "UPDATE {schema}.saga SET version = -1",
        "UPDATE {schema}.saga SET version = 4294967296",
        "UPDATE {schema}.saga SET loads = -7",
        "UPDATE {schema}.saga SET length = 3",
        "UPDATE {schema}.saga SET length = 1",
        "UPDATE {schema}.saga_event SET kind = 'guessed'",
        "UPDATE {schema}.saga_event SET item = -1",
        "UPDATE {schema}.saga_event SET attempt = 4294967296",
        "UPDATE {schema}.saga_event SET seq = 3 WHERE seq = 2",
        "UPDATE {schema}.saga_event SET seq = 0 WHERE seq = 1",
        "DELETE FROM {schema}.saga_event WHERE seq = 1",
        "UPDATE {schema}.saga_mail SET subject = 'beg'",
    ];
    let mut pauses = Vec::new();
    for damage in damages {
        let (saga, lease) = scene.held(&leases).await;
        let mut next = line(saga, 1, "b");
        next.change.wake = Wake::In(Duration::ZERO);
        assert_eq!(scene.append(&lease, &next).await, Appended::Held);
        assert_eq!(scene.post(saga, &letter(1)).await, Posted::Accepted);
        let (column, and) = match damage.contains("saga SET") {
            true => ("id", " WHERE "),
            false if damage.contains("WHERE") => ("saga", " AND "),
            false => ("saga", " WHERE "),
        };
        scene
            .execute(&format!("{damage}{and}{column} = '{saga}'"))
            .await;
        let whole = SagaId::unique();
        scene.store.start(&start(whole)).await.unwrap();

        let taken = scene.store.take(&leases, 1000, HOUR).await.unwrap();
        assert_eq!(taken.sagas.len(), 2, "{damage}");
        assert!(!taken.more);
        for taken in taken.sagas {
            match taken {
                Ok(loaded) => assert_eq!(loaded.saga, whole, "{damage}"),
                Err(broken) => {
                    assert_eq!(broken.saga, saga, "{damage}: {}", broken.error);
                    assert_eq!(broken.error.why(), Why::Corrupt);
                }
            }
        }
        let next = taken.next.expect("it is due again");
        assert!(next <= HOUR && next > HOUR / 2, "{damage}: {next:?}");
        assert_eq!(scene.take(&leases).await, [], "{damage}");
        pauses.push(saga);
    }
    // And when it is, nobody has it.
    scene
        .execute("UPDATE {schema}.saga SET wake = 'epoch' WHERE wake IS NOT NULL")
        .await;
    let taken = scene.store.take(&leases, 1000, HOUR).await.unwrap();
    let broken = taken
        .sagas
        .into_iter()
        .map(|taken| taken.expect_err("still").saga);
    let mut broken: Vec<_> = broken.collect();
    broken.sort();
    pauses.sort();
    assert_eq!(broken, pauses);
    // What is repaired goes on.
    let repair = "UPDATE {schema}.saga SET stage = 'running', wake = 'epoch' \
                  WHERE stage = 'elsewhere'";
    scene.execute(repair).await;
    let [repaired] = &scene.take(&leases).await[..] else {
        panic!("it can be read");
    };
    assert_eq!(
        (repaired.records.len(), &repaired.mail[..]),
        (2, &[letter(1)][..])
    );
}

/// Sagas whose letters are not read, since they are in the middle of a step,
/// do not keep others from being taken.
#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_not_read_keep_nobody_from_being_taken() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let mut held = Vec::new();
    for number in 0..3 {
        let (saga, _) = scene.held(&leases).await;
        assert_eq!(scene.post(saga, &letter(number)).await, Posted::Accepted);
        held.push(saga);
    }
    let late = SagaId::unique();
    scene.store.start(&start(late)).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..6 {
        let one = scene.store.take(&leases, 1, HOUR).await.unwrap();
        assert!(one.more || taken.contains(&late));
        taken.extend(one.sagas.into_iter().map(|one| one.expect("whole").saga));
    }
    let expected = [&held[..], &[late], &held[..2]].concat();
    assert_eq!(taken, expected, "each has its turn");
}

/// A letter that comes is not lost to a change without a line that reads
/// another, asked again or asked anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_line_that_is_asked_again_reads_no_more() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    for number in 1..=3 {
        assert_eq!(scene.post(saga, &letter(number)).await, Posted::Accepted);
    }
    let mut read = line(saga, 1, "");
    read.change.records.clear();
    read.read = 1;
    for _ in 0..2 {
        assert_eq!(scene.append(&lease, &read).await, Appended::Held);
        let left = scene.load(&lease, saga).await.mail;
        assert_eq!(left, [letter(2), letter(3)]);
    }
    // Who has seen what is left means the next.
    assert_eq!(scene.take(&leases).await.len(), 1);
    assert_eq!(scene.append(&lease, &read).await, Appended::Held);
    assert_eq!(scene.load(&lease, saga).await.mail, [letter(3)]);
    let mut last = read.clone();
    last.change.stage = Stage::Abandoned;
    for _ in 0..2 {
        assert_eq!(scene.append(&lease, &last).await, Appended::Held);
    }
    last.change.stage = Stage::Done;
    assert_eq!(scene.append(&lease, &last).await, Appended::Conflict);
}
