//! Letters of sagas that are parked.

use axiomatic_coordination::saga::{
    Appended, Lease, Mail, Posted, SagaId, Stage, Store, Wake, Worked,
};
use axiomatic_sqlite::saga::SagaWork;

use super::is_woken;
use super::scene::{Scene, append, change, letter, line};
use crate::scene::HOUR;

async fn posts(scene: &Scene, saga: SagaId, mail: &Mail) {
    let posted = scene.sagas.post(saga, mail).await.unwrap();
    assert_eq!(posted, Posted::Accepted);
}

async fn parks(scene: &Scene, (saga, lease): &(SagaId, Lease), wake: Wake, read: u32) {
    let mut parks = append(*saga, 1, change([]));
    parks.change.stage = Stage::Parked;
    parks.change.wake = wake;
    parks.read = read;
    let appended = scene.sagas.append(lease, &parks).await.unwrap();
    assert_eq!(appended, Appended::Held);
}

/// Executors would else take it and park it again, without pause.
#[tokio::test]
async fn nobody_is_woken_for_letters_of_a_saga_that_is_parked() {
    let scene = Scene::new();
    let held = scene.held().await;
    let (saga, leases) = (held.0, [held.1.clone()]);
    let mut wake_ups = scene.sagas.wake_ups();
    posts(&scene, saga, &letter("go")).await;
    assert!(is_woken(&mut wake_ups).await);
    parks(&scene, &held, Wake::In(HOUR), 0).await;
    assert!(!is_woken(&mut wake_ups).await);
    assert_eq!(scene.take(&leases).await, []);
    posts(&scene, saga, &letter("go on")).await;
    assert!(is_woken(&mut wake_ups).await, "by another");
    assert_eq!(scene.take(&leases).await.len(), 1);
}

/// Also if it is held as it was, or has read some of them.
#[tokio::test]
async fn letters_of_a_parked_saga_are_put_off_however_it_is_parked() {
    let scene = Scene::new();
    let held = scene.held().await;
    let (saga, leases) = (held.0, [held.1.clone()]);
    for (wake, read) in [
        (Wake::Held, 0),
        (Wake::Held, 0),
        (Wake::In(HOUR), 1),
        (Wake::Held, 1),
    ] {
        posts(&scene, saga, &letter("go")).await;
        assert_eq!(scene.take(&leases).await.len(), 1);
        parks(&scene, &held, wake, read).await;
        assert_eq!(scene.take(&leases).await, [], "{wake:?}, {read} read");
    }
}

#[tokio::test]
async fn letters_that_were_put_off_make_a_saga_due_that_goes_on_with_work() {
    let scene = Scene::new();
    let held = scene.held().await;
    let (saga, lease) = held.clone();
    let mails = [letter("go"), letter("go on")];
    for mail in &mails {
        posts(&scene, saga, mail).await;
    }
    parks(&scene, &held, Wake::In(HOUR), 0).await;
    let work = SagaWork::new(|_| Ok(change([line("pay")])));
    let worked = scene.sagas.append_with(&lease, saga, 1, work).await;
    assert!(matches!(worked, Ok(Worked::Done(_))), "{worked:?}");
    let taken = scene.take(&[lease]).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].mail, mails);
}
