//! Operations and phases that are dropped at each of their awaits: done or not
//! done, no session stays in a transaction, and asked again they are answered
//! as if they had been asked once.

use std::collections::HashSet;
use std::pin::Pin;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::idempotency::PhaseError;
use axiomatic_postgres::idempotency::AtomicPhase;
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::{PgConnection, Postgres};
use tokio_postgres::Transaction;

use super::*;
use crate::cancel::{BOTH, polled};

/// What an operation answers, as text.
type Operation = for<'a> fn(&'a Idempotency, Lease) -> Pin<Box<dyn Future<Output = String> + 'a>>;

macro_rules! operation {
    (|$store:ident, $lease:ident| $operation:expr) => {
        |$store: &Idempotency, $lease: Lease| {
            Box::pin(async move {
                let _ = &$lease;
                format!("{:?}", $operation.await.expect("an answer"))
            })
        }
    };
}

/// Whose claim it is, and whose adoption, each time that it is asked.
fn one() -> Owner {
    Owner(uuid::Uuid::from_u128(1))
}

/// A request that runs, and that is all there is. Its ids are the same each
/// time.
async fn reset(scene: &Scene, is_abandoned: bool) -> Lease {
    scene.execute("DELETE FROM {schema}.idempotency").await;
    let name = name("stored");
    let request = request();
    let mut first = claim(&name);
    first.owner = Owner(uuid::Uuid::from_u128(9));
    first.request = Some(&request);
    let lease = scene.mine(&first).await.lease;
    if is_abandoned {
        scene.let_leases_end().await;
    }
    lease
}

#[tokio::test]
async fn operations_that_are_dropped_are_done_or_not_done_and_can_be_asked_again() {
    // With one connection what was asked before is done before.
    let Some(scene) = Scene::with(1).await else {
        return;
    };
    let operations: [(&str, bool, Operation); 8] = [
        (
            "a first claim",
            false,
            operation!(|store, lease| async {
                let name = name("new");
                let mut claim = claim(&name);
                claim.owner = one();
                store.claim(&claim).await
            }),
        ),
        (
            "a claim that takes over",
            true,
            operation!(|store, lease| async {
                let name = name("stored");
                let mut claim = claim(&name);
                claim.owner = one();
                store.claim(&claim).await
            }),
        ),
        (
            "renew",
            false,
            operation!(|store, lease| store.renew(&lease, HOUR)),
        ),
        (
            "record",
            false,
            operation!(|store, lease| async { store.record(&lease, &step("told")).await }),
        ),
        (
            "complete",
            false,
            operation!(|store, lease| async {
                store.complete(&lease, &response("ok"), HOUR).await
            }),
        ),
        (
            "release",
            false,
            operation!(|store, lease| async { store.release(&lease).await }),
        ),
        (
            "adopt",
            true,
            operation!(|store, lease| async {
                let mut adopt = adopt();
                adopt.owner = one();
                store.adopt(&adopt).await
            }),
        ),
        ("sweep", false, operation!(|store, lease| store.sweep(10))),
    ];
    for (what, is_abandoned, operation) in operations {
        let lease = reset(&scene, is_abandoned).await;
        let before = scene.rows().await;
        let answer = operation(&scene.store, lease).await;
        let done = scene.rows().await;
        let mut found = HashSet::new();
        for dropped in BOTH {
            for polls in 0.. {
                let lease = reset(&scene, is_abandoned).await;
                let completed = polled(operation(&scene.store, lease), polls, dropped).await;
                let what = format!("{what}, {dropped:?} after {polls} polls");
                scene.until_nobody_is_at_work().await;
                let rows = scene.rows().await;
                assert!(rows == before || rows == done, "{what}: {rows:#?}");
                found.insert(rows);
                assert_eq!(operation(&scene.store, lease).await, answer, "{what}");
                assert_eq!(scene.rows().await, done, "{what}");
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

#[tokio::test]
async fn wherever_a_phase_is_dropped_it_happens_once() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let (mut number, mut kept) = (0, 0);
    for by_sqlx in [false, true] {
        for dropped in BOTH {
            for polls in 0.. {
                let what = format!("by sqlx: {by_sqlx}, {dropped:?} after {polls} polls");
                let key = number.to_string();
                number += 1;
                let name = name(&key);
                let ours = scene.mine(&claim(&name)).await;
                let insert = scene.sql(&format!(
                    "INSERT INTO {{schema}}.account (name) VALUES ('{key}')"
                ));
                let completed = if by_sqlx {
                    let mut sqlx = PgConnection::connect(&named(&scene.place)).await.unwrap();
                    let phases = scene.phases(&name, ours);
                    let phase = book_by_sqlx(&phases, &mut sqlx, &insert);
                    let completed = polled(phase, polls, dropped).await;
                    // Not before it is used again does sqlx roll back, and if it
                    // was dropped while it began, when the next one ends.
                    if let Ok(tx) = sqlx.begin().await {
                        let _ = tx.rollback().await;
                    }
                    let _ = sqlx.ping().await;
                    scene.until_nobody_is_at_work().await;
                    completed.map(|done| done.is_ok())
                } else {
                    let mut client = scene.client().await;
                    let phases = scene.phases(&name, ours);
                    let phase = book(&phases, &mut client, &insert);
                    let completed = polled(phase, polls, dropped).await;
                    // It is answered behind all that was asked before, of
                    // which the server may not have heard yet.
                    let asked = client.batch_execute("SELECT 1").await;
                    asked.expect("it goes on");
                    scene.until_nobody_is_at_work().await;
                    completed.map(|done| done.is_ok())
                };
                scene.let_leases_end().await;
                let again = scene.mine(&claim(&name)).await;
                let accounts =
                    format!("SELECT count(*) FROM {{schema}}.account WHERE name = '{key}'");
                let steps = again.steps.len();
                assert_eq!(
                    scene.number(&accounts).await,
                    i64::try_from(steps).unwrap(),
                    "{what}: the effect and the step"
                );
                kept += steps;
                let phases = scene.phases(&name, again);
                let mut client = scene.client().await;
                book(&phases, &mut client, &insert).await.expect("works");
                assert_eq!(scene.number(&accounts).await, 1, "{what}");
                let done = scene.complete(phases.lease(), "ok").await;
                assert_eq!(done, Fence::Held);
                if let Some(works) = completed {
                    assert!(works, "{what}");
                    assert!(polls > 4, "{what}: it waits for the server");
                    break;
                }
            }
        }
    }
    assert!(kept > 4, "some were dropped behind the commit: {kept}");
    assert!(kept < number, "and some before it: {kept} of {number}");
}

async fn book(
    phases: &Phases<Idempotency>,
    client: &mut Client,
    insert: &str,
) -> Result<(), PhaseError<tokio_postgres::Error>> {
    let work = async |tx: &mut Transaction<'_>| tx.execute(insert, &[]).await.map(drop);
    phases.phase("book").atomic(client, work).await
}

async fn book_by_sqlx(
    phases: &Phases<Idempotency>,
    connection: &mut PgConnection,
    insert: &str,
) -> Result<(), PhaseError<sqlx_core::Error>> {
    let work = async |tx: &mut PgConnection| {
        let insert = query::<Postgres>(AssertSqlSafe(insert.to_owned()));
        insert.execute(tx).await.map(drop)
    };
    let phase = phases.phase("book");
    phase.atomic_with_sqlx(connection, work).await
}

/// A phase that is dropped while another's lock keeps it waiting.
#[tokio::test]
async fn a_phase_that_is_dropped_while_it_waits_for_a_lock_leaves_no_transaction() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let name = name("waits");
    let phases = scene.phases(&name, scene.mine(&claim(&name)).await);
    let mut client = scene.client().await;
    let mut other = scene.place.client().await;
    let tx = other.transaction().await.unwrap();
    let lock = scene.sql("LOCK TABLE {schema}.account");
    tx.batch_execute(&lock).await.unwrap();
    let insert = scene.insert();
    let waits = until("it waits for a lock", async || {
        scene.sessions("wait_event_type = 'Lock'").await == 1
    });
    tokio::select! {
        done = book(&phases, &mut client, &insert) => panic!("it does not wait: {done:?}"),
        () = waits => {}
    }
    tx.rollback().await.unwrap();
    scene.until_nobody_is_at_work().await;
    assert_eq!(scene.accounts().await, 0);
    scene.let_leases_end().await;
    let again: Result<_, StoreError> = scene.store.claim(&claim(&name)).await;
    assert!(matches!(again, Ok(Claimed::Mine(mine)) if mine.steps.is_empty()));
}
