//! Claims, sweeps, adoptions and phases at the same time.

use std::collections::HashMap;
use std::sync::Arc;

use axiomatic_coordination::Why;
use axiomatic_coordination::idempotency::PhaseError;
use axiomatic_postgres::idempotency::AtomicPhase;
use tokio::sync::{Barrier, oneshot};
use tokio::time::timeout;
use tokio_postgres::Transaction;

use super::*;
use crate::support::FOR_EVER;

/// Claims by SQL in this transaction, as it stands in the schema.
async fn claim_in(scene: &Scene, tx: &Transaction<'_>, key: &str) -> String {
    let claim = scene.sql(
        "SELECT outcome FROM {schema}.idempotency_claim('acme', 'POST', '/charges', $1, \
         decode(repeat('07', 32), 'hex'), gen_random_uuid(), 3600000000, 3600000000, NULL, NULL)",
    );
    let row = tx.query_one(&claim, &[&key]).await;
    row.expect("an answer").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_first_claims_at_once_one_has_the_key_and_all_have_an_answer() {
    let Some(scene) = Scene::with(12).await else {
        return;
    };
    const AT_ONCE: usize = 12;
    let barrier = Arc::new(Barrier::new(AT_ONCE));
    let claiming = (0..AT_ONCE).map(|_| {
        let (store, barrier) = (scene.store.clone(), barrier.clone());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for key in 0..40 {
                let name = name(&key.to_string());
                barrier.wait().await;
                // Looked at when nobody waits for this one any more.
                answers.push(store.claim(&claim(&name)).await);
            }
            answers
        })
    });
    let mut mine = 0;
    for claiming in claiming.collect::<Vec<_>>() {
        for answer in claiming.await.expect("no panic") {
            match answer.expect("an answer") {
                Claimed::Mine(ours) => {
                    assert_eq!(ours.attempts, 1);
                    mine += 1;
                }
                Claimed::InProgress { lease_ends_in } => {
                    assert!(lease_ends_in > HOUR / 2, "{lease_ends_in:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(mine, 40);
}

/// Its statement does not see the row of who won when it begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_claim_that_loses_a_race_says_what_became_of_who_won() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let mut rival = scene.client().await;
    for (key, wins) in [("commits", true), ("rolls back", false)] {
        let tx = rival.transaction().await.expect("begins");
        assert_eq!(claim_in(&scene, &tx, key).await, "mine");
        let store = scene.store.clone();
        let other = tokio::spawn(async move { store.claim(&claim(&name(key))).await });
        until("it waits for the rival", async || {
            scene.sessions("wait_event_type = 'Lock'").await == 1
        })
        .await;
        if wins {
            tx.commit().await.expect("commits");
        } else {
            tx.rollback().await.expect("ends");
        }
        match other.await.expect("no panic").expect("an answer") {
            Claimed::InProgress { lease_ends_in } => {
                assert!(wins && lease_ends_in > HOUR / 2, "{lease_ends_in:?}");
            }
            Claimed::Mine(_) => assert!(!wins),
            other => panic!("{other:?}"),
        }
    }
}

/// However the rival came to hold its row for so long.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_claim_does_not_wait_for_ever_for_a_rival() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let mut rival = scene.client().await;
    let tx = rival.transaction().await.expect("begins");
    assert_eq!(claim_in(&scene, &tx, "held").await, "mine");
    let name = name("held");
    let claiming = claim(&name);
    let other = timeout(FOR_EVER / 2, scene.store.claim(&claiming)).await;
    let refused = other.expect("it ends").expect_err("nobody can tell");
    assert_eq!(refused.why(), Why::Busy);
    scene.execute("SELECT 1").await;
    tx.commit().await.expect("commits");
}

/// Who has given up waiting asks again, while the server is at it.
#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_is_asked_again_while_it_is_under_way_is_one() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let request = request();
    for round in 0..15 {
        for which in 0..2 {
            let name = name(&format!("{round} {which}"));
            let mut first = claim(&name);
            (first.request, first.lease) = (Some(&request), Duration::ZERO);
            scene.mine(&first).await;
        }
        let adopt = adopt();
        let barrier = Barrier::new(3);
        let ask = async || {
            barrier.wait().await;
            let adopted = scene.store.adopt(&adopt).await;
            adopted.expect("an answer").expect("two are abandoned")
        };
        let (one, two, three) = tokio::join!(ask(), ask(), ask());
        assert_eq!((&two, &three), (&one, &one));
        scene.execute("DELETE FROM {schema}.idempotency").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_has_one_key() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let names = [name("one"), name("other")];
    let first = claim(&names[0]);
    scene.mine(&first).await;
    let mut second = claim(&names[1]);
    second.owner = first.owner;
    let refused = scene.store.claim(&second).await.expect_err("it has one");
    assert_eq!(refused.why(), Why::Refused);
}

/// Whoever asks for a request whose row is locked is answered all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_phase_keeps_nobody_waiting() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let name = name("long");
    let request = request();
    let mut first = claim(&name);
    first.request = Some(&request);
    let phases = scene.phases(&name, scene.mine(&first).await);
    let lease = *phases.lease();
    let (working, is_working) = oneshot::channel();
    let (end, is_over) = oneshot::channel::<()>();
    let insert = scene.insert();
    let mut client = scene.client().await;
    let phase = tokio::spawn(async move {
        let work = async |tx: &mut Transaction<'_>| {
            tx.execute(&insert, &[]).await?;
            let _ = (working.send(()), is_over.await);
            Ok::<_, tokio_postgres::Error>(7)
        };
        let done = phases.phase("book").atomic(&mut client, work).await;
        (phases, done)
    });
    timeout(FOR_EVER, is_working).await.expect("works").unwrap();
    let meanwhile = async {
        assert!(matches!(
            scene.claim(&claim(&name)).await,
            Claimed::InProgress { lease_ends_in } if lease_ends_in > HOUR / 2
        ));
        let held = scene.store.renew(&lease, HOUR).await.unwrap();
        assert_eq!(held, Fence::Held, "it is its own phase");
        let zombie = Lease { epoch: 0, ..lease };
        let lost = scene.store.renew(&zombie, HOUR).await.unwrap();
        assert_eq!(lost, Fence::Lost);
        let lost = scene.store.record(&zombie, &step("late")).await.unwrap();
        assert_eq!(lost, Fence::Lost);
        assert_eq!(scene.store.adopt(&adopt()).await.unwrap(), None);
        assert_eq!(scene.store.sweep(10).await.unwrap(), 0);
    };
    timeout(FOR_EVER / 2, meanwhile)
        .await
        .expect("nobody waits");
    end.send(()).unwrap();
    let (phases, done) = phase.await.expect("no panic");
    assert_eq!(done.expect("it is ours"), 7);
    assert_eq!(scene.complete(phases.lease(), "7").await, Fence::Held);
    assert_eq!(scene.accounts().await, 1);
}

/// As the one before, and the lease has ended by the clock: whoever looks
/// could take it over, but for the lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ended_is_not_taken_over_while_its_phase_works() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    for retention in [HOUR, Duration::ZERO] {
        let name = name(if retention.is_zero() { "old" } else { "ended" });
        let request = request();
        let mut first = claim(&name);
        first.request = Some(&request);
        (first.lease, first.retention) = (Duration::ZERO, retention);
        let phases = scene.phases(&name, scene.mine(&first).await);
        let mut client = scene.client().await;
        let (scene, lease) = (&scene, *phases.lease());
        let insert = scene.insert();
        let work = async |tx: &mut Transaction<'_>| {
            tx.execute(&insert, &[]).await?;
            let meanwhile = async {
                let other = scene.claim(&claim(&name)).await;
                let Claimed::InProgress { lease_ends_in } = other else {
                    panic!("two run it: {other:?}");
                };
                assert_eq!(lease_ends_in, Duration::ZERO);
                let held = scene.store.renew(&lease, HOUR).await.unwrap();
                assert_eq!(held, Fence::Held);
                assert_eq!(scene.store.adopt(&adopt()).await.unwrap(), None);
                assert_eq!(scene.store.sweep(10).await.unwrap(), 0);
            };
            timeout(FOR_EVER / 2, meanwhile)
                .await
                .expect("nobody waits");
            Ok::<_, tokio_postgres::Error>(())
        };
        let done = phases.phase("book").atomic(&mut client, work).await;
        done.expect("it is ours still");
        assert_eq!(scene.complete(&lease, "ok").await, Fence::Held);
    }
    assert_eq!(scene.accounts().await, 2);
}

/// With leases that end at once, so that each takes over from the others, and
/// retentions that do, so that keys are forgotten meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn claims_phases_adoptions_and_sweeps_at_once_neither_fail_nor_deadlock() {
    let Some(scene) = Scene::with(10).await else {
        return;
    };
    let scene = Arc::new(scene);
    let working = (0..8u32).map(|worker| {
        let scene = scene.clone();
        tokio::spawn(async move {
            let mut client = scene.client().await;
            let mut counted: HashMap<&str, u32> = HashMap::new();
            for round in 0..60 {
                let name = name(&((worker * 7 + round) % 5).to_string());
                let request = request();
                let mut claim = claim(&name);
                claim.request = Some(&request);
                claim.lease = Duration::from_millis(u64::from(round % 3));
                claim.retention = Duration::from_millis(u64::from(round % 4) * 5);
                let claimed = scene.claim(&claim).await;
                let mine = match (claimed, round % 4) {
                    (Claimed::Mine(mine), _) => Some(mine),
                    (_, 0) => {
                        let adopted = scene.store.adopt(&adopt()).await;
                        adopted.expect("an answer").map(|adopted| adopted.mine)
                    }
                    (_, 1) => {
                        scene.store.sweep(3).await.expect("sweeps");
                        None
                    }
                    _ => None,
                };
                let Some(mine) = mine else {
                    continue;
                };
                let phases = scene.phases(&name, mine);
                let insert = scene.insert();
                let work =
                    async |tx: &mut Transaction<'_>| tx.execute(&insert, &[]).await.map(drop);
                let done = phases.phase("book").atomic(&mut client, work).await;
                *counted.entry("phases").or_default() += u32::from(done.is_ok());
                assert!(matches!(done, Ok(()) | Err(PhaseError::Lost)), "{done:?}");
                let lease = phases.lease();
                let recorded = scene.store.record(lease, &step("told")).await;
                let renewed = scene.store.renew(lease, Duration::ZERO).await;
                let ended = match round % 2 {
                    0 => scene.store.release(lease).await,
                    _ => {
                        let retention = Duration::from_millis(1);
                        let response = response("done");
                        scene.store.complete(lease, &response, retention).await
                    }
                };
                for fence in [recorded, renewed, ended] {
                    let fence = fence.expect("an answer");
                    let fence = ["lost", "held"][usize::from(fence == Fence::Held)];
                    *counted.entry(fence).or_default() += 1;
                }
            }
            counted
        })
    });
    let mut all: HashMap<&str, u32> = HashMap::new();
    for working in working.collect::<Vec<_>>() {
        let ended = timeout(FOR_EVER * 2, working).await;
        let counted = ended.expect("no deadlock").expect("no failure");
        for (what, times) in counted {
            *all.entry(what).or_default() += times;
        }
    }
    println!("{all:?}");
    for what in ["phases", "lost", "held"] {
        assert!(all.get(what).is_some_and(|times| *times > 0), "{all:?}");
    }
    scene.until_nobody_is_at_work().await;
}

/// Several processes run the same requests, each taking over from the others
/// as soon as it can; leases end before the work does. A lease that is always
/// too short would let nobody finish on a slow machine, so it doubles with each
/// claim.
#[tokio::test(flavor = "multi_thread")]
async fn however_often_a_request_is_taken_over_its_phase_happens_once() {
    let Some(scene) = Scene::with(8).await else {
        return;
    };
    let scene = Arc::new(scene);
    let running = (0..6).map(|_| {
        let scene = scene.clone();
        tokio::spawn(async move {
            let mut client = scene.client().await;
            let mut taken_over = 0;
            for key in 0..15 {
                let name = name(&key.to_string());
                let mut lease = Duration::from_millis(1);
                loop {
                    let mut claim = claim(&name);
                    claim.lease = lease;
                    let mine = match scene.claim(&claim).await {
                        Claimed::Completed(_) => break,
                        Claimed::Mine(mine) => mine,
                        _ => continue,
                    };
                    lease *= 2;
                    taken_over += u32::from(mine.attempts > 1);
                    let phases = scene.phases(&name, mine);
                    let insert = scene.sql(&format!(
                        "INSERT INTO {{schema}}.account (name) VALUES ('{key}')"
                    ));
                    tokio::time::sleep(Duration::from_millis(key % 4)).await;
                    let work =
                        async |tx: &mut Transaction<'_>| tx.execute(&insert, &[]).await.map(drop);
                    let done = phases.phase("book").atomic(&mut client, work).await;
                    if done.is_ok() {
                        let _ = scene.complete(phases.lease(), "ok").await;
                    }
                }
            }
            taken_over
        })
    });
    let mut taken_over = 0;
    for running in running.collect::<Vec<_>>() {
        let ended = timeout(FOR_EVER * 2, running).await;
        taken_over += ended.expect("it ends").expect("no failure");
    }
    assert!(taken_over > 0, "nobody took over from anybody");
    let names = "SELECT count(DISTINCT name) FROM {schema}.account";
    assert_eq!(scene.number(names).await, 15);
    assert_eq!(scene.accounts().await, 15, "each once");
}
