//! What is done in transactions: work of the store's, and starts in the
//! user's.

use axiomatic_coordination::saga::{Fault, Worked};
use axiomatic_postgres::saga::SagaWork;
use futures::future::join_all;
use sqlx_core::connection::Connection;
use sqlx_postgres::PgConnection;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::*;
use crate::support::FOR_EVER;

/// Inserts a row, and appends a line.
pub(super) fn pay(scene: &Scene, change: Change) -> SagaWork {
    let insert = scene.sql("INSERT INTO {schema}.account VALUES ('paid')");
    SagaWork::new(move |tx| {
        Box::pin(async move {
            tx.execute(&insert, &[]).await?;
            Ok(change)
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_begins_with_the_users_transaction_or_not_at_all() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let mut client = scene.place.client().await;
    let mut sqlx = PgConnection::connect(&scene.place.url).await.unwrap();
    for (by_sqlx, commits) in [(false, false), (false, true), (true, false), (true, true)] {
        let saga = SagaId::unique();
        // A lease is of no use to it.
        let begins = start_held(saga, &lease_of(&leases, saga));
        let mut other = begins.clone();
        other.input = "7".into();
        let all = [
            (&begins, Started::Waits),
            (&begins, Started::Before),
            (&other, Started::Other),
        ];
        if by_sqlx {
            let mut tx = sqlx.begin().await.unwrap();
            for (start, expected) in all {
                let started = scene.store.start_in(&mut tx, start).await.unwrap();
                assert_eq!(started, expected);
            }
            match commits {
                true => tx.commit().await.unwrap(),
                false => tx.rollback().await.unwrap(),
            }
        } else {
            let mut tx = client.transaction().await.unwrap();
            for (start, expected) in all {
                let started = scene.store.start_in(&mut tx, start).await.unwrap();
                assert_eq!(started, expected);
            }
            // What is set stays the user's.
            for (setting, is) in [
                ("lock_timeout", "0"),
                ("enable_seqscan", "on"),
                ("plan_cache_mode", "auto"),
            ] {
                let shown = tx.query_one(&format!("SHOW {setting}"), &[]).await;
                assert_eq!(shown.unwrap().get::<_, &str>(0), is, "{setting}");
            }
            match commits {
                true => tx.commit().await.unwrap(),
                false => tx.rollback().await.unwrap(),
            }
        }
        let taken = scene.take(&leases).await;
        let taken: Vec<_> = taken.iter().map(|loaded| loaded.saga).collect();
        assert_eq!(taken, if commits { vec![saga] } else { vec![] });
    }
    // Who waits is woken by who has committed.
    let mut wake_ups = scene.store.wake_ups();
    scene.store.wake();
    timeout(FOR_EVER, wake_ups.next()).await.expect("it heard");
}

/// As the database is set, and not as this crate's sessions are.
#[tokio::test(flavor = "multi_thread")]
async fn work_is_planned_as_the_database_is_set() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let settings = "enable_seqscan enable_bitmapscan enable_hashjoin enable_mergejoin \
                    enable_memoize jit plan_cache_mode transaction_isolation";
    let show = async |client: &Client| {
        let mut all = Vec::new();
        for setting in settings.split(' ') {
            let row = client.query_one(&format!("SHOW {setting}"), &[]).await;
            all.push(row.unwrap().get::<_, String>(0));
        }
        all
    };
    let expected = show(&scene.look).await;
    let (tell, told) = oneshot::channel();
    let work = SagaWork::new(move |tx| {
        Box::pin(async move {
            let mut all = Vec::new();
            for setting in settings.split(' ') {
                let row = tx.query_one(&format!("SHOW {setting}"), &[]).await?;
                all.push(row.get::<_, String>(0));
            }
            tell.send(all).unwrap();
            Ok(change(vec![record(Kind::Done, "pay")]))
        })
    });
    let worked = scene.store.append_with(&lease, saga, 1, work).await;
    assert!(matches!(worked, Ok(Worked::Done(_))), "{worked:?}");
    assert_eq!(told.await.unwrap(), expected);
}

/// What a step's closure returns becomes what its executor appends.
#[tokio::test(flavor = "multi_thread")]
async fn a_steps_output_becomes_its_line() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let step = |then: Result<(), &'static str>| {
        let insert = scene.sql("INSERT INTO {schema}.account VALUES ('paid')");
        SagaWork::step(
            move |tx| {
                Box::pin(async move {
                    tx.execute(&insert, &[]).await?;
                    Ok(Bytes::from_static(b"17"))
                })
            },
            Box::new(move |output| {
                then.map_err(Fault::failed)?;
                let mut done = record(Kind::Done, "pay");
                done.data = output;
                Ok(change(vec![done]))
            }),
        )
    };
    let too_long = step(Err("too long"));
    let worked = scene.store.append_with(&lease, saga, 1, too_long).await;
    assert!(matches!(worked, Ok(Worked::Faulted(Fault::Failed(_)))));
    assert_eq!(scene.accounts().await, 0);
    let worked = scene.store.append_with(&lease, saga, 1, step(Ok(()))).await;
    assert!(matches!(worked, Ok(Worked::Done(_))), "{worked:?}");
    let loaded = scene.load(&lease, saga).await;
    assert_eq!(loaded.records[1].record.data, "17");
    assert_eq!(scene.accounts().await, 1);
}

/// A statement of the work that failed has aborted its transaction, whatever
/// the work says of it.
#[tokio::test(flavor = "multi_thread")]
async fn work_that_hides_an_error_leaves_nothing() {
    let Some(scene) = Scene::with(1).await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let work = SagaWork::new(|tx| {
        Box::pin(async move {
            let _ = tx.batch_execute("SELECT 1 / 0").await;
            Ok(change(vec![record(Kind::Done, "pay")]))
        })
    });
    let worked = scene.store.append_with(&lease, saga, 1, work).await;
    worked.expect_err("it is aborted");
    assert_eq!(scene.load(&lease, saga).await.records.len(), 1);
    let worked = scene.store.append_with(&lease, saga, 1, {
        pay(&scene, change(vec![record(Kind::Done, "pay")]))
    });
    assert!(matches!(worked.await, Ok(Worked::Done(_))));
    scene.until_nobody_is_at_work().await;
}

/// However much work there is, leases are prolonged and other sagas go on.
#[tokio::test(flavor = "multi_thread")]
async fn work_never_has_all_connections() {
    let Some(scene) = Scene::with(4).await else {
        return;
    };
    let leases = scene.claim().await;
    let gate = Arc::new(Semaphore::new(0));
    let mut working = Vec::new();
    let (arrived, mut arrives) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..6 {
        let (saga, lease) = scene.held(&leases).await;
        let (store, gate, arrived) = (scene.store.clone(), gate.clone(), arrived.clone());
        let work = SagaWork::new(move |_| {
            Box::pin(async move {
                arrived.send(()).unwrap();
                gate.acquire().await?.forget();
                Ok(change(vec![record(Kind::Done, "pay")]))
            })
        });
        working.push(tokio::spawn(async move {
            store.append_with(&lease, saga, 1, work).await
        }));
    }
    let meanwhile = async {
        for _ in 0..2 {
            arrives.recv().await.unwrap();
        }
        let there = scene.store.attend(&scene.executor, HOUR).await.unwrap();
        assert_eq!(there.leases.len(), 64);
        let (saga, lease) = scene.held(&leases).await;
        let appended = scene.append(&lease, &line(saga, 1, "b")).await;
        assert_eq!(appended, Appended::Held);
    };
    timeout(FOR_EVER / 2, meanwhile).await.expect("they go on");
    gate.add_permits(6);
    for worked in join_all(working).await {
        assert!(matches!(worked.unwrap(), Ok(Worked::Done(_))));
    }
}

/// Whoever comes next does not wait behind what was asked before.
#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_dropped_while_it_waits_for_a_lock_leaves_no_transaction() {
    let Some(scene) = Scene::with(1).await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let mut other = scene.place.client().await;
    let tx = other.transaction().await.unwrap();
    let lock = scene.sql("LOCK TABLE {schema}.account");
    tx.batch_execute(&lock).await.unwrap();
    let done = change(vec![record(Kind::Done, "pay")]);
    let work = pay(&scene, done);
    tokio::select! {
        done = scene.store.append_with(&lease, saga, 1, work) => panic!("it does not wait: {done:?}"),
        () = scene.until_one_waits_for_a_lock() => {}
    }
    // There is one connection, and it is not that one.
    let next = line(saga, 1, "b");
    let next = scene.append(&lease, &next);
    let appended = timeout(FOR_EVER / 2, next).await.expect("it is not kept");
    assert_eq!(appended, Appended::Held);
    tx.rollback().await.unwrap();
    scene.until_nobody_is_at_work().await;
    assert_eq!(scene.accounts().await, 0);
}
