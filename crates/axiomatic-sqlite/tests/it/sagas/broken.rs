//! Rows that nobody writes.

use std::time::Duration;

use axiomatic_coordination::Why;
use axiomatic_coordination::saga::{Appended, SagaId, Stage, Started, Store, Swept, Taken};

use super::scene::{Scene, append, change, letter, line, saga_in, start};
use crate::scene::HOUR;

/// What somebody may do to a saga's rows by hand, or a release that knows more.
const DAMAGE: [&str; 12] = [
    "UPDATE saga SET stage = 'what' WHERE saga = ?1",
    "UPDATE saga SET version = -1 WHERE saga = ?1",
    "UPDATE saga SET loads = 4294967296 WHERE saga = ?1",
    "UPDATE saga SET length = 1 WHERE saga = ?1",
    "UPDATE saga SET name = CAST(x'ff' AS TEXT) WHERE saga = ?1",
    "UPDATE saga_event SET kind = 'what' WHERE saga = ?1",
    "UPDATE saga_event SET item = -1 WHERE saga = ?1",
    "UPDATE saga_event SET mail = x'17' WHERE saga = ?1",
    "UPDATE saga_event SET step = CAST(x'ff' AS TEXT) WHERE saga = ?1",
    "DELETE FROM saga_event WHERE saga = ?1 AND seq = 1",
    "DELETE FROM saga_event WHERE saga = ?1 AND seq = 2",
    "UPDATE saga_mail SET subject = 'what' WHERE saga = ?1",
];

/// Two lines, and a letter.
async fn sleeping(scene: &Scene, saga: SagaId) -> axiomatic_coordination::saga::Lease {
    let lease = scene.claim(saga).await;
    let mut held = start(saga);
    held.held = Some((lease.clone(), change([line("book"), line("pay")])));
    assert_eq!(scene.sagas.start(&held).await.unwrap(), Started::Held);
    scene.sagas.post(saga, &letter("go")).await.unwrap();
    lease
}

fn damage(scene: &Scene, saga: SagaId, damage: &str) {
    let look = scene.place.look();
    let done = look.execute(damage, [saga.0.as_bytes()]).unwrap();
    assert!(done > 0, "{damage}");
}

fn broken(taken: &Taken) -> Vec<(SagaId, Why)> {
    let broken = taken.sagas.iter().filter_map(|saga| saga.as_ref().err());
    broken
        .map(|broken| (broken.saga, broken.error.why()))
        .collect()
}

#[tokio::test]
async fn a_saga_that_cannot_be_read_is_put_off_and_the_others_go_on() {
    for what in DAMAGE {
        let scene = Scene::new();
        let saga = SagaId::unique();
        let lease = sleeping(&scene, saga).await;
        let others = [(); 3].map(|()| saga_in(saga.bucket()));
        for other in others {
            let started = scene.sagas.start(&start(other)).await.unwrap();
            assert_eq!(started, Started::Waits);
        }
        // It is the first that is due, and nobody has it.
        scene.execute("UPDATE saga SET wake = 1 WHERE wake IS NULL");
        damage(&scene, saga, what);
        let leases = std::slice::from_ref(&lease);
        let taken = scene.sagas.take(leases, 10, HOUR).await.unwrap();
        assert_eq!(broken(&taken), [(saga, Why::Corrupt)], "{what}");
        assert_eq!(taken.sagas.len(), 4, "{what}");
        assert!(taken.sagas[0].is_err(), "it was due the longest");
        assert_eq!(taken.next, Some(HOUR));
        assert!(!taken.more);
        let loaded = scene.sagas.load(&lease, saga).await;
        assert_eq!(loaded.expect_err(what).why(), Why::Corrupt);
        let found = scene.sagas.find(saga).await;
        assert_eq!(found.expect_err(what).why(), Why::Corrupt);

        // Its mail does not make it due, old or new.
        scene.sagas.post(saga, &letter("again")).await.unwrap();
        let taken = scene.sagas.take(leases, 10, HOUR).await.unwrap();
        assert!(taken.sagas.is_empty() && taken.next.is_some(), "{taken:?}");

        scene.execute("UPDATE saga SET wake = 1 WHERE wake IS NOT NULL");
        let taken = scene.sagas.take(leases, 10, Duration::MAX).await.unwrap();
        assert_eq!(broken(&taken), [(saga, Why::Corrupt)], "{what}");
        assert_eq!(taken.next, None, "never is never");
    }
}

/// And costs the others nothing there either.
#[tokio::test]
async fn a_saga_that_cannot_be_read_is_archived_like_any_other() {
    for what in DAMAGE {
        let scene = Scene::new();
        let saga = SagaId::unique();
        let lease = sleeping(&scene, saga).await;
        let other = saga_in(saga.bucket());
        let mut held = start(other);
        held.held = Some((lease.clone(), change([line("book")])));
        assert_eq!(scene.sagas.start(&held).await.unwrap(), Started::Held);
        for (saga, lines) in [(saga, 2), (other, 1)] {
            let mut end = append(saga, lines, change([line("ship")]));
            end.change.stage = Stage::Done;
            let ended = scene.sagas.append(&lease, &end).await.unwrap();
            assert_eq!(ended, Appended::Held);
        }
        let whole = scene.sagas.find(other).await.unwrap();
        damage(&scene, saga, what);
        let archived = scene.sagas.sweep(Duration::ZERO, Swept::Archived, 10).await;
        assert_eq!(archived.unwrap(), 2, "{what}");
        assert_eq!(scene.count("saga") + scene.count("saga_event"), 0);
        assert_eq!(scene.sagas.find(other).await.unwrap(), whole);
        // How often it was loaded is of no interest any more.
        if !what.contains("loads") {
            let found = scene.sagas.find(saga).await;
            assert_eq!(found.expect_err(what).why(), Why::Corrupt);
        }
    }
}

#[tokio::test]
async fn what_is_repaired_is_given_again() {
    let scene = Scene::new();
    let saga = SagaId::unique();
    let lease = sleeping(&scene, saga).await;
    scene.execute("UPDATE saga SET wake = 1");
    damage(
        &scene,
        saga,
        "UPDATE saga SET stage = 'what' WHERE saga = ?1",
    );
    let leases = std::slice::from_ref(&lease);
    let taken = scene.sagas.take(leases, 10, Duration::ZERO).await.unwrap();
    assert_eq!(broken(&taken), [(saga, Why::Corrupt)]);
    scene.execute("UPDATE saga SET stage = 'running'");
    let taken = scene.take(leases).await;
    assert_eq!((taken[0].saga, taken[0].loads), (saga, 1));
    assert_eq!((taken[0].records.len(), taken[0].mail.len()), (2, 1));
}

/// Whoever runs it knows its log, and goes on.
#[tokio::test]
async fn a_held_saga_whose_mail_cannot_be_read_stays_held() {
    let scene = Scene::new();
    let saga = SagaId::unique();
    let lease = sleeping(&scene, saga).await;
    damage(
        &scene,
        saga,
        "UPDATE saga_mail SET subject = 'what' WHERE saga = ?1",
    );
    let leases = std::slice::from_ref(&lease);
    let taken = scene.sagas.take(leases, 10, HOUR).await.unwrap();
    assert_eq!(broken(&taken), [(saga, Why::Corrupt)]);
    let taken = scene.sagas.take(leases, 10, HOUR).await.unwrap();
    assert!(taken.sagas.is_empty(), "{taken:?}");
    // It is looked at again, and was had by somebody all the time.
    scene.execute("UPDATE saga_mail SET subject = 'signal'");
    scene.execute("UPDATE saga SET mailed = 1, wake = iif(wake IS NULL, NULL, 1)");
    let taken = scene.take(leases).await;
    assert_eq!((taken[0].loads, taken[0].mail.len()), (0, 1));
    let goes_on = append(saga, 2, change([line("ship")]));
    let goes_on = scene.sagas.append(&lease, &goes_on).await.unwrap();
    assert_eq!(goes_on, Appended::Held);
}
