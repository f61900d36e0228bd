//! Appends, claims and all else at the same time, in sessions that stand still
//! where it matters.

use std::collections::HashMap;

use axiomatic_coordination::Why;
use axiomatic_coordination::saga::{Departing, Locked, Worked};
use axiomatic_postgres::saga::SagaWork;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::support::FOR_EVER;

/// What a rival's session does, in a transaction that stays open.
pub(super) async fn begin<'a>(
    scene: &Scene,
    rival: &'a mut Client,
    sql: &str,
) -> tokio_postgres::Transaction<'a> {
    let tx = rival.transaction().await.expect("begins");
    let done = tx.batch_execute(&scene.sql(sql)).await;
    done.expect("nobody has it locked");
    tx
}

/// Who waits for a lock gives up after two seconds, which a slow machine may
/// take between two lines of a test: then it is tried anew, so often.
const TRIES: usize = 20;

fn in_time(appended: Result<Appended, axiomatic_coordination::StoreError>) -> Option<Appended> {
    match appended {
        Err(error) if error.why() == Why::Busy => None,
        appended => Some(appended.expect("an answer")),
    }
}

/// What is compared stays so until the commit, however late that comes.
#[tokio::test(flavor = "multi_thread")]
async fn who_claims_while_an_append_stands_still_gets_nothing() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let mut rival = scene.place.client().await;
    let other = ExecutorId::new("other");
    for attempt in 1.. {
        assert!(attempt < TRIES, "it is never in time");
        let leases = scene.claim().await;
        let (saga, lease) = scene.held(&leases).await;
        let lock = format!("SELECT FROM {{schema}}.saga WHERE id = '{saga}' FOR UPDATE");
        let tx = begin(&scene, &mut rival, &lock).await;
        let (store, append) = (scene.store.clone(), line(saga, 1, "b"));
        let late = lease.clone();
        let appending = tokio::spawn(async move { store.append(&late, &append).await });
        scene.until_one_waits_for_a_lock().await;
        scene.let_leases_end().await;
        let claimed = scene.claim_as(&other).await;
        let is_taken = claimed.iter().any(|other| other.bucket == lease.bucket);
        tx.rollback().await.expect("ends");
        let Some(appended) = in_time(appending.await.expect("no panic")) else {
            scene.let_leases_end().await;
            continue;
        };
        assert!(!is_taken, "two have it, and one is about to write");
        assert_eq!(appended, Appended::Held, "it was held when it was compared");
        // And when it has committed another follows, and sees it.
        let next = scene.store.claim(&other, &[lease.bucket], HOUR).await;
        let next = next.expect("an answer");
        assert_eq!(scene.load(&next[0], saga).await.records.len(), 2);
        assert_eq!(
            scene.append(&lease, &line(saga, 2, "c")).await,
            Appended::Lost
        );
        break;
    }
}

/// It waited for the claim, and looks at what that has committed.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_waits_for_a_claim_is_refused_if_it_commits() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let mut rival = scene.place.client().await;
    for commits in [true, false] {
        for attempt in 1.. {
            assert!(attempt < TRIES, "it is never in time");
            let leases = scene.claim().await;
            let (saga, lease) = scene.held(&leases).await;
            let claim = format!(
                "WITH free AS MATERIALIZED (SELECT bucket FROM {{schema}}.saga_lease \
                 WHERE bucket = {} FOR UPDATE SKIP LOCKED) \
                 UPDATE {{schema}}.saga_lease l SET epoch = epoch + 1, owner = 'rival' \
                 FROM free f WHERE l.bucket = f.bucket",
                lease.bucket.0
            );
            let tx = begin(&scene, &mut rival, &claim).await;
            let (store, append) = (scene.store.clone(), line(saga, 1, "b"));
            let late = lease.clone();
            let appending = tokio::spawn(async move { store.append(&late, &append).await });
            scene.until_one_waits_for_a_lock().await;
            if commits {
                tx.commit().await.expect("commits");
            } else {
                tx.rollback().await.expect("ends");
            }
            let appended = in_time(appending.await.expect("no panic"));
            scene.let_leases_end().await;
            let Some(appended) = appended else { continue };
            let (expected, lines) = match commits {
                true => (Appended::Lost, 1),
                false => (Appended::Held, 2),
            };
            assert_eq!(appended, expected);
            let found = scene.store.find(saga).await.expect("an answer");
            assert_eq!(found.expect("it is there").records.len(), lines);
            break;
        }
    }
}

/// The row that it waited for is as it was, and PostgreSQL does not compare it
/// again; the time is another.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_waited_until_its_lease_had_ended_is_refused() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let mut rival = scene.place.client().await;
    let brief = Duration::from_millis(400);
    for by_work in [false, true] {
        for attempt in 1.. {
            assert!(attempt < TRIES, "it is never in time");
            let leases = scene.claim().await;
            let (saga, lease) = scene.held(&leases).await;
            let there = scene.store.attend(&scene.executor, brief).await.unwrap();
            assert_eq!(there.leases.len(), 64);
            let lock = format!(
                "SELECT FROM {{schema}}.saga_lease WHERE bucket = {} FOR UPDATE",
                lease.bucket.0
            );
            let tx = begin(&scene, &mut rival, &lock).await;
            let (store, append) = (scene.store.clone(), line(saga, 1, "b"));
            let late = lease.clone();
            let appending = tokio::spawn(async move {
                if !by_work {
                    return store.append(&late, &append).await;
                }
                let change = append.change;
                let work = SagaWork::new(|_| Box::pin(async { Ok(change) }));
                Ok(match store.append_with(&late, saga, 1, work).await? {
                    Worked::Done(_) => Appended::Held,
                    Worked::Lost => Appended::Lost,
                    _ => Appended::Conflict,
                })
            });
            scene.until_one_waits_for_a_lock().await;
            until("the lease has ended", async || {
                let ended = "SELECT count(*) FROM {schema}.saga_lease \
                             WHERE until <= clock_timestamp()";
                scene.number(ended).await == 64
            })
            .await;
            tx.rollback().await.expect("ends");
            let Some(appended) = in_time(appending.await.expect("no panic")) else {
                continue;
            };
            assert_eq!(appended, Appended::Lost, "by work: {by_work}");
            break;
        }
    }
}

/// Neither a renewal, nor who gives back, nor who posts, nor who takes waits
/// for local work.
#[tokio::test(flavor = "multi_thread")]
async fn work_keeps_nobody_waiting() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let (working, is_working) = oneshot::channel();
    let (end, is_over) = oneshot::channel::<()>();
    let insert = scene.sql("INSERT INTO {schema}.account VALUES ('paid')");
    let done = change(vec![record(Kind::Done, "pay")]);
    let work = SagaWork::new(move |tx| {
        Box::pin(async move {
            tx.batch_execute(&insert).await?;
            let _ = (working.send(()), is_over.await);
            Ok(done)
        })
    });
    let (store, held) = (scene.store.clone(), lease.clone());
    let worked = tokio::spawn(async move { store.append_with(&held, saga, 1, work).await });
    timeout(FOR_EVER, is_working).await.expect("works").unwrap();
    let meanwhile = async {
        let there = scene.store.attend(&scene.executor, HOUR).await.unwrap();
        assert_eq!(there.leases, leases);
        assert_eq!(scene.post(saga, &letter(1)).await, Posted::Accepted);
        assert_eq!(scene.take(&leases).await[0].mail, [letter(1)]);
        // Who asks for what it has hears so, and has it for longer.
        let all: Vec<_> = (0..64).map(Bucket).collect();
        let again = scene.store.claim(&scene.executor, &all, 2 * HOUR).await;
        assert_eq!(again.unwrap(), leases);
        let long = "SELECT count(*) FROM {schema}.saga_lease \
                    WHERE until > clock_timestamp() + interval '90 minutes'";
        assert_eq!(scene.number(long).await, 64);
        let (other, _) = scene.held(&leases).await;
        let of_other = lease_of(&leases, other);
        let next = line(other, 1, "b");
        assert_eq!(scene.append(&of_other, &next).await, Appended::Held);
        assert_eq!(
            scene
                .store
                .sweep(Duration::ZERO, Swept::Deleted, 10)
                .await
                .unwrap(),
            0
        );
        let given_back = scene
            .store
            .release(&scene.executor, &leases, Departing::Yes);
        given_back.await.unwrap();
        // It is given back; but nobody has it before the work has ended.
        let claimed = scene.claim_as(&ExecutorId::new("other")).await;
        assert_eq!(claimed.len(), 63);
        assert!(claimed.iter().all(|other| other.bucket != lease.bucket));
    };
    timeout(FOR_EVER / 2, meanwhile)
        .await
        .expect("nobody waits");
    end.send(()).unwrap();
    let worked = worked.await.expect("no panic").expect("an answer");
    assert!(matches!(worked, Worked::Done(_)), "{worked:?}");
    assert_eq!(scene.accounts().await, 1);
    let found = scene.store.find(saga).await.unwrap().expect("it is there");
    assert_eq!((found.records.len(), found.mail.len()), (2, 1));
}

/// Executors that take over from each other all the time; what each saga's log
/// says is what its holders were told.
#[tokio::test(flavor = "multi_thread")]
async fn all_operations_at_once_neither_fail_nor_deadlock() {
    let Some(scene) = Scene::with(10).await else {
        return;
    };
    let scene = Arc::new(scene);
    let sagas: Arc<Vec<_>> = Arc::new((0..12).map(|_| SagaId::unique()).collect());
    let working = (0..6u128).map(|worker| {
        let (scene, sagas) = (scene.clone(), sagas.clone());
        tokio::spawn(async move {
            let executor = ExecutorId::new("many");
            let mut counted: HashMap<&str, u32> = HashMap::new();
            let mut count = |what| *counted.entry(what).or_default() += 1;
            // Always too short, nobody would write on a slow machine.
            let least = Duration::from_millis(1);
            let mut lasts = least;
            for round in 0..40u128 {
                let saga = sagas[((worker * 5 + round) % 12) as usize];
                let ttl = lasts * (1 + round as u32 % 7);
                let all: Vec<_> = (0..64).map(Bucket).collect();
                let mut leases = scene.store.claim(&executor, &all, ttl).await.unwrap();
                let there = scene.store.attend(&executor, ttl).await.unwrap();
                leases.extend(there.leases);
                let _ = scene.store.start(&start(saga)).await.unwrap();
                let mail = letter(worker * 1000 + round);
                let _ = scene.store.post(saga, &mail).await.unwrap();
                let taken = scene.store.take(&leases, 4, HOUR).await.unwrap();
                if taken.sagas.is_empty() {
                    lasts = (lasts * 2).min(least * 500);
                }
                for loaded in taken.sagas {
                    let loaded = loaded.expect("it is whole");
                    count("taken");
                    let after = loaded.records.len() as u64;
                    let mut next = line(loaded.saga, after, "b");
                    next.change.wake = Wake::In(Duration::ZERO);
                    if let Some(mail) = loaded.mail.first() {
                        next.read = 1;
                        next.change.records[0].mail = Some(mail.id);
                    }
                    if after == 30 {
                        next.change.stage = Stage::Done;
                    }
                    // Of every two that want some, both want one of them.
                    let names = ["a", "b", "c"];
                    let both = names
                        .iter()
                        .enumerate()
                        .filter(|(nth, _)| *nth as u128 != round % 3);
                    let both: Vec<_> = both.map(|(_, name)| *name).collect();
                    let wanted = super::lines::wants(loaded.saga, &both);
                    let locked = scene.store.lock(&loaded.lease, &wanted).await.unwrap();
                    count(match locked {
                        Locked::Held => "has",
                        Locked::Waits => "waits",
                        Locked::Busy | Locked::Lost => "has not",
                    });
                    let appended = if round % 3 == 0 {
                        let change = next.change;
                        let insert = scene.sql("INSERT INTO {schema}.account VALUES ('x')");
                        let work = SagaWork::new(move |tx| {
                            Box::pin(async move {
                                tx.batch_execute(&insert).await?;
                                Ok(change)
                            })
                        });
                        let store = &scene.store;
                        let worked = store.append_with(&loaded.lease, loaded.saga, after, work);
                        match worked.await.unwrap() {
                            Worked::Done(_) => {
                                count("worked");
                                Appended::Held
                            }
                            Worked::Lost => Appended::Lost,
                            other => panic!("{other:?}"),
                        }
                    } else {
                        scene.append(&loaded.lease, &next).await
                    };
                    match appended {
                        Appended::Held => {
                            count("held");
                            lasts = (lasts / 2).max(least);
                        }
                        Appended::Lost => {
                            count("lost");
                            lasts = (lasts * 2).min(least * 500);
                        }
                        Appended::Conflict => panic!("a zombie has written"),
                    }
                }
                if round % 4 == 0 {
                    let stays = Departing::No;
                    scene
                        .store
                        .release(&executor, &leases, stays)
                        .await
                        .unwrap();
                    scene
                        .store
                        .sweep(Duration::ZERO, Swept::Deleted, 2)
                        .await
                        .unwrap();
                }
            }
            counted
        })
    });
    let mut all: HashMap<&str, u32> = HashMap::new();
    for working in working.collect::<Vec<_>>() {
        let ended = timeout(FOR_EVER * 4, working).await;
        let counted = ended.expect("no deadlock").expect("no failure");
        for (what, times) in counted {
            *all.entry(what).or_default() += times;
        }
    }
    println!("{all:?}");
    assert!(all.get("held").is_some_and(|times| *times > 0), "{all:?}");
    let worked = all.get("worked").copied().unwrap_or(0);
    assert_eq!(scene.accounts().await, i64::from(worked));
    assert!(all.get("has").is_some_and(|times| *times > 0), "{all:?}");
    let ended = "SELECT count(*) FROM {schema}.saga_lock k \
                 LEFT JOIN {schema}.saga s ON s.id = k.saga \
                 WHERE s.id IS NULL OR s.ended IS NOT NULL";
    assert_eq!(scene.number(ended).await, 0, "they stand there for ever");
    scene.until_nobody_is_at_work().await;
}
