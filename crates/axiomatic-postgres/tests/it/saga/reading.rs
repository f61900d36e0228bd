//! What is taken, loaded and found.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_is_begun_taken_told_and_ended() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let there = scene.store.attend(&scene.executor, HOUR).await.unwrap();
    assert_eq!(there.executors, [scene.executor.clone()]);
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
    assert_eq!(
        taken.deadline.unwrap().saturating_since(taken.now) > HOUR / 2,
        true
    );
    assert_eq!(scene.take(&leases).await, []);
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
    assert_eq!(scene.store.sweep(HOUR, 10).await.unwrap(), 0);
    assert_eq!(scene.store.sweep(Duration::ZERO, 10).await.unwrap(), 1);
    assert_eq!(scene.store.find(saga).await.unwrap(), None);
    assert_eq!(scene.post(saga, &letter(3)).await, Posted::Missing);
}
