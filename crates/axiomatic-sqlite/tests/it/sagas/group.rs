//! Sagas that share a commit.

use std::task::{Context, Waker};

use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::saga::{Appended, Fault, SagaId, Started, Store, Worked};
use axiomatic_sqlite::Transaction;
use axiomatic_sqlite::saga::SagaWork;

use super::scene::{Scene, append, change, line, start};
use crate::support::{hold, insert, queue};

/// As when the disk is full, in work of one saga, while another's is written.
#[tokio::test]
async fn of_sagas_that_share_a_commit_one_that_fails_costs_the_others_nothing() {
    let scene = Scene::new();
    let leases = scene.claim_all().await;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut start = start(SagaId::unique());
        let lease = &leases[usize::from(start.saga.bucket().0)];
        start.held = Some((lease.clone(), change([line("book")])));
        assert_eq!(scene.sagas.start(&start).await.unwrap(), Started::Held);
        held.push((start.saga, lease.clone()));
    }
    let gate = hold(scene.database.writer()).await;
    let tasks = held
        .iter()
        .cloned()
        .enumerate()
        .map(|(nth, (saga, lease))| {
            let sagas = scene.sagas.clone();
            tokio::spawn(async move {
                let work = SagaWork::new(move |tx| {
                    effect_named(tx, nth)?;
                    match nth % 2 {
                        0 => Ok(change([line("pay")])),
                        _ => Err(Fault::failed("declined")),
                    }
                });
                sagas.append_with(&lease, saga, 1, work).await.unwrap()
            })
        });
    let tasks: Vec<_> = tasks.collect();
    gate.open().await;
    for (nth, (task, (saga, _))) in tasks.into_iter().zip(&held).enumerate() {
        let worked = task.await.unwrap();
        let is_done = matches!(worked, Worked::Done(_));
        assert_eq!(is_done, nth % 2 == 0, "{worked:?}");
        let lines = scene.log(*saga).await.len();
        assert_eq!(lines, 1 + usize::from(is_done));
    }
    assert_eq!((scene.count("account"), scene.count("outbox")), (10, 10));
}

/// They share a savepoint, in which all is undone if one fails: then each is
/// done again in one of its own. What was done before or between is kept.
#[tokio::test]
async fn an_append_that_fails_costs_those_of_its_group_nothing() {
    let scene = Scene::new();
    let leases = scene.claim_all().await;
    let mut held = Vec::new();
    for _ in 0..12 {
        let mut start = start(SagaId::unique());
        let lease = &leases[usize::from(start.saga.bucket().0)];
        start.held = Some((lease.clone(), change([line("book")])));
        assert_eq!(scene.sagas.start(&start).await.unwrap(), Started::Held);
        held.push((start.saga, lease.clone()));
    }
    let is_damaged = |nth: usize| [4, 5, 10].contains(&nth);
    for (nth, (saga, _)) in held.iter().enumerate() {
        if is_damaged(nth) {
            let damage = "UPDATE saga SET length = 0 WHERE saga = ?1";
            let damaged = scene.place.look().execute(damage, [saga.0.as_bytes()]);
            assert_eq!(damaged.unwrap(), 1);
        }
    }
    let gate = hold(scene.database.writer()).await;
    let (mut appends, mut others) = (Vec::new(), Vec::new());
    for (nth, (saga, lease)) in held.iter().cloned().enumerate() {
        let sagas = scene.sagas.clone();
        let after = u64::from(!is_damaged(nth));
        let mut appending = Box::pin(async move {
            let append = append(saga, after, change([line("pay")]));
            sagas.append(&lease, &append).await
        });
        // The first poll sends it.
        let mut context = Context::from_waker(Waker::noop());
        assert!(appending.as_mut().poll(&mut context).is_pending());
        appends.push(appending);
        if nth == 7 {
            let other = queue(scene.database.writer(), |tx| insert(tx, "other"));
            others.push(other);
        }
    }
    gate.open().await;
    for (nth, appending) in appends.into_iter().enumerate() {
        match appending.await {
            Ok(appended) => assert_eq!((appended, is_damaged(nth)), (Appended::Held, false)),
            Err(error) => assert!(is_damaged(nth), "{nth}: {error}"),
        }
        if !is_damaged(nth) {
            assert_eq!(scene.log(held[nth].0).await.len(), 2, "{nth}");
        }
    }
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(scene.count("account"), 1);
    assert_eq!(scene.count("saga_event"), 12 + 9);
    assert_eq!(scene.count("(SELECT * FROM saga WHERE length = 0)"), 3);
}

fn effect_named(tx: &mut Transaction<'_>, nth: usize) -> Result<(), Fault> {
    insert(tx, &format!("paid {nth}"))?;
    tx.enqueue(Message::new("mail", "thanks"))?;
    Ok(())
}
