//! Lines, and what SQLite's transactions have to do with them.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use axiomatic_coordination::saga::{
    Appended, Lease, Lock, LockRequest, Locked, SagaId, Stage, Started, Store, Worked,
};
use axiomatic_sqlite::saga::SagaWork;

use super::is_woken;
use super::scene::{Scene, append, change, line, start};
use crate::support::hold;

async fn held(scene: &Scene, leases: &[Lease]) -> (SagaId, Lease) {
    let mut start = start(SagaId::unique());
    let lease = leases[usize::from(start.saga.bucket().0)].clone();
    start.held = Some((lease.clone(), change([line("book")])));
    assert_eq!(scene.sagas.start(&start).await.unwrap(), Started::Held);
    (start.saga, lease)
}

async fn locks(scene: &Scene, (saga, lease): &(SagaId, Lease), resource: &str) -> Locked {
    let request = LockRequest {
        saga: *saga,
        name: "lock".into(),
        locks: vec![Lock::exclusive(resource)],
        waits: true,
    };
    scene.sagas.lock(lease, &request).await.unwrap()
}

async fn ends(scene: &Scene, (saga, lease): &(SagaId, Lease)) {
    let mut end = append(*saga, 1, change([line("ship")]));
    end.change.stage = Stage::Done;
    let ended = scene.sagas.append(lease, &end).await.unwrap();
    assert_eq!(ended, Appended::Held);
}

#[tokio::test]
async fn executors_are_woken_when_somebody_hears_of_its_turn() {
    let scene = Scene::new();
    let leases = scene.claim_all().await;
    let mut sagas = Vec::new();
    for _ in 0..4 {
        sagas.push(held(&scene, &leases).await);
    }
    let mut wake_ups = scene.sagas.wake_ups();
    assert_eq!(locks(&scene, &sagas[0], "a").await, Locked::Held);
    assert!(is_woken(&mut wake_ups).await, "it has a letter");
    assert_eq!(locks(&scene, &sagas[1], "a").await, Locked::Waits);
    assert_eq!(locks(&scene, &sagas[2], "a").await, Locked::Waits);
    assert!(!is_woken(&mut wake_ups).await);
    ends(&scene, &sagas[3]).await;
    assert!(!is_woken(&mut wake_ups).await, "it stood in no line");
    ends(&scene, &sagas[0]).await;
    assert!(is_woken(&mut wake_ups).await, "the second has a letter");
    let work = SagaWork::new(|_| {
        let mut end = change([line("pay")]);
        end.stage = Stage::Done;
        Ok(end)
    });
    let (second, lease) = &sagas[1];
    let worked = scene.sagas.append_with(lease, *second, 1, work).await;
    assert!(matches!(worked, Ok(Worked::Done(_))), "{worked:?}");
    assert!(is_woken(&mut wake_ups).await, "the third has a letter");
    ends(&scene, &sagas[2]).await;
    assert!(!is_woken(&mut wake_ups).await, "nobody is left");
    assert_eq!(scene.count("saga_lock"), 0);
}

/// What is queued while somebody else writes is one group.
async fn together<T>(
    scene: &Scene,
    mut asked: Vec<Pin<Box<dyn Future<Output = T> + '_>>>,
) -> Vec<T> {
    let gate = hold(scene.database.writer()).await;
    for asked in &mut asked {
        let polled = poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
    }
    gate.open().await;
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await);
    }
    answers
}

/// They ask in one transaction, in this order, and their turns come in one.
#[tokio::test]
async fn of_those_who_share_a_commit_one_has_it() {
    let scene = Scene::new();
    let leases = scene.claim_all().await;
    let mut sagas = Vec::new();
    for _ in 0..20 {
        sagas.push(held(&scene, &leases).await);
    }
    let asked = sagas
        .iter()
        .map(|saga| Box::pin(locks(&scene, saga, "a")) as Pin<Box<_>>);
    let locked = together(&scene, asked.collect()).await;
    assert_eq!(locked[0], Locked::Held);
    assert_eq!(locked[1..], [Locked::Waits; 19]);
    let in_line = scene.sagas.line("a").await.unwrap();
    let places = in_line.iter().map(|place| (place.saga, place.has_it));
    let expected = sagas.iter().enumerate();
    let expected = expected.map(|(at, (saga, _))| (*saga, at == 0));
    assert!(places.eq(expected), "{in_line:?}");

    let ended = sagas[..19]
        .iter()
        .map(|saga| Box::pin(ends(&scene, saga)) as Pin<Box<_>>);
    together(&scene, ended.collect()).await;
    let in_line = scene.sagas.line("a").await.unwrap();
    assert_eq!(in_line.len(), 1);
    assert!(in_line[0].has_it);
    for (saga, _) in &sagas {
        let found = scene.sagas.find(*saga).await.unwrap().unwrap();
        let letter = LockRequest::letter(*saga, "lock");
        assert_eq!(found.mail, [letter], "it hears of it once");
    }
}
