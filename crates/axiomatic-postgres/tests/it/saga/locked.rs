//! What is taken and posted while others have rows locked.

use tokio::time::timeout;

use super::races::begin;
use super::*;
use crate::support::FOR_EVER;

/// It is changing, and will be looked at when it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_take_passes_over_what_another_has_locked() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let sagas = [(); 3].map(|()| SagaId::unique());
    for saga in sagas {
        scene.store.start(&start(saga)).await.unwrap();
    }
    let mut rival = scene.place.client().await;
    let lock = format!(
        "SELECT FROM {{schema}}.saga WHERE id = '{}' FOR UPDATE",
        sagas[1]
    );
    let tx = begin(&scene, &mut rival, &lock).await;
    let taking = timeout(FOR_EVER / 2, scene.store.take(&leases, 10, HOUR));
    let taken = taken_ids(taking.await.expect("it does not wait"));
    assert_eq!(taken, ([sagas[0], sagas[2]].to_vec(), true));
    tx.rollback().await.expect("ends");
    let taken = scene.store.take(&leases, 10, HOUR).await;
    assert_eq!(taken_ids(taken), ([sagas[1]].to_vec(), false));
}

fn taken_ids(
    taken: Result<axiomatic_coordination::saga::Taken, axiomatic_coordination::StoreError>,
) -> (Vec<SagaId>, bool) {
    let taken = taken.expect("an answer");
    let sagas = taken.sagas.into_iter();
    let sagas = sagas.map(|saga| saga.expect("whole").saga).collect();
    (sagas, taken.more)
}

/// Whoever has read all that there was forgets that there is mail, and has not
/// seen what comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_comes_while_others_are_read_makes_the_saga_due() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, _) = scene.held(&leases).await;
    assert_eq!(scene.post(saga, &letter(1)).await, Posted::Accepted);
    let mut rival = scene.place.client().await;
    let read = format!(
        "DELETE FROM {{schema}}.saga_mail WHERE saga = '{saga}'; \
         UPDATE {{schema}}.saga SET mail_due = NULL WHERE id = '{saga}'"
    );
    let tx = begin(&scene, &mut rival, &read).await;
    let store = scene.store.clone();
    let posting = tokio::spawn(async move { store.post(saga, &letter(2)).await });
    until("it waits, or is done", async || {
        posting.is_finished() || scene.sessions("wait_event_type = 'Lock'").await == 1
    })
    .await;
    tx.commit().await.expect("commits");
    let posted = posting.await.expect("no panic").expect("an answer");
    assert_eq!(posted, Posted::Accepted);
    let [taken] = &scene.take(&leases).await[..] else {
        panic!("it has mail, and nobody is told");
    };
    assert_eq!((taken.saga, &taken.mail[..]), (saga, &[letter(2)][..]));
}

/// Nobody can tell whether it was written; who asks again need not know.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_session_ends_is_written_once_when_it_is_asked_again() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let mut rival = scene.place.client().await;
    let lock = format!("SELECT FROM {{schema}}.saga WHERE id = '{saga}' FOR UPDATE");
    let tx = begin(&scene, &mut rival, &lock).await;
    let append = line(saga, 1, "b");
    let (store, held, asked) = (scene.store.clone(), lease.clone(), append.clone());
    let appending = tokio::spawn(async move { store.append(&held, &asked).await });
    scene.until_one_waits_for_a_lock().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = '{schema}'";
    assert!(scene.number(end).await > 0);
    let error = appending.await.expect("no panic").expect_err("it broke");
    assert!(error.why().is_transient(), "{error}");
    tx.rollback().await.expect("ends");
    for _ in 0..2 {
        // A connection that broke may not have been found to be broken.
        until("it is told", async || {
            let appended = scene.store.append(&lease, &append).await;
            appended.is_ok_and(|appended| appended == Appended::Held)
        })
        .await;
    }
    assert_eq!(scene.load(&lease, saga).await.records.len(), 2);
}
