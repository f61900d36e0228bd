//! Laws of what several do at once.

use std::collections::HashSet;
use std::slice::from_ref;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{
    LONG, Subject, append, change, claims, executor, finds, held, leases, leases_all, letter, log,
    posts, record, saga_in, start, starts, takes,
};
use crate::saga::{Append, Appended, BUCKETS, Kind, Mail, Record, SagaId, Started, Store};

async fn joined<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("a task does not panic"));
    }
    all
}

/// Of those that nobody had, and of those whose leases have just ended.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn of_claims_at_once_one_has_the_bucket<S: Subject>() {
    let subject = S::fresh().await;
    let mut last = 0;
    for round in 0..5 {
        let tasks = (0..8).map(|number| {
            let store = subject.store();
            tokio::spawn(async move {
                // Each in another order, as they come.
                let mut wanted: Vec<_> = BUCKETS.all().collect();
                wanted.rotate_left(number * 8);
                if number % 2 == 0 {
                    wanted.reverse();
                }
                let executor = executor();
                let mut claimed = Vec::new();
                for wanted in wanted.chunks(16) {
                    let ttl = Duration::from_secs(60);
                    claimed.extend(store.claim(&executor, wanted, ttl).await.unwrap());
                }
                claimed
            })
        });
        let claimed: Vec<_> = joined(tasks.collect()).await.concat();
        let buckets: HashSet<_> = claimed.iter().map(|lease| lease.bucket).collect();
        assert_eq!(buckets.len(), claimed.len(), "two have one, round {round}");
        // One that saw nothing because others had it locked may have left some.
        let wanted: Vec<_> = BUCKETS.all().collect();
        let left = claims(&subject, &executor(), &wanted, LONG).await;
        assert_eq!(left.len() + claimed.len(), wanted.len());
        let all: Vec<_> = claimed.into_iter().chain(left).collect();
        let least = all.iter().map(|lease| lease.epoch.0).min();
        assert!(least > Some(last), "round {round}");
        last = all.iter().map(|lease| lease.epoch.0).max().unwrap_or(last);
        for lease in &all {
            super::releases(&subject, lease).await;
        }
    }
}

/// All others hear that it was started before.
///
/// # Panics
///
/// If the law is broken.
pub async fn of_starts_at_once_one_begins<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    for round in 0..10 {
        let saga = SagaId::unique();
        let mut first = start(saga);
        if round % 2 == 0 {
            let lease = super::lease_of(&all, saga).clone();
            first.held = Some((lease, change([record(Kind::Began, "book")])));
        }
        let tasks = (0..8).map(|_| {
            let (store, first) = (subject.store(), first.clone());
            tokio::spawn(async move { store.start(&first).await.unwrap() })
        });
        let started = joined(tasks.collect()).await;
        let begun = started.iter().filter(|one| **one != Started::Before);
        assert_eq!(begun.count(), 1, "{started:?}");
        let lines = usize::from(first.held.is_some());
        assert_eq!(log(&subject, saga).await.len(), lines);
    }
}

/// Though all of them have the same leases.
///
/// # Panics
///
/// If the law is broken.
pub async fn of_takes_at_once_one_has_each_saga<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    for _ in 0..60 {
        super::waiting(&subject).await;
    }
    let tasks = (0..6).map(|_| {
        let (store, all) = (subject.store(), all.clone());
        tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let due = store.take(&all, 7, LONG).await.unwrap();
                let is_last = due.sagas.is_empty() && !due.more;
                let due = due.sagas.into_iter();
                taken.extend(due.map(|saga| saga.expect("it can be read")));
                if is_last {
                    break taken;
                }
            }
        })
    });
    let mut taken = joined(tasks.collect()).await.concat();
    // One that saw nothing because others had it locked may have left some.
    let left = takes(&subject, &all, 100).await.sagas.into_iter();
    taken.extend(left.map(|saga| saga.expect("it can be read")));
    assert_eq!(taken.len(), 60);
    assert!(taken.iter().all(|loaded| loaded.loads == 1));
    let ids: HashSet<_> = taken.iter().map(|loaded| loaded.saga).collect();
    assert_eq!(ids.len(), 60);
}

/// And its lines are the whole log; the others are conflicts, unless they are
/// the same.
///
/// # Panics
///
/// If the law is broken.
pub async fn of_appends_at_one_place_one_is_written<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let mut after = 1;
    for _ in 0..10 {
        let line = |number: u8| {
            let mut line = record(Kind::Doubted, "book");
            line.data = Bytes::from(vec![b'0' + number]);
            line
        };
        let tasks = (0..8).map(|number| {
            let (store, lease) = (subject.store(), lease.clone());
            // Two of them say the same, as who asks again does.
            let lines = vec![line(number / 2 * 2); 2];
            let append = append(saga, after, change(lines));
            tokio::spawn(async move { (number, store.append(&lease, &append).await.unwrap()) })
        });
        let appended = joined(tasks.collect()).await;
        let written = appended.iter().filter(|(_, one)| *one == Appended::Held);
        let written: Vec<_> = written.map(|(number, _)| number / 2 * 2).collect();
        assert_eq!(written.len(), 2, "{appended:?}");
        assert_eq!(written[0], written[1], "{appended:?}");
        assert!(appended.iter().all(|(_, one)| *one != Appended::Lost));
        let log = log(&subject, saga).await;
        assert_eq!(log[after as usize..], vec![line(written[0]); 2]);
        after += 2;
    }
}

/// Each is read once, in the order in which its poster sent it.
///
/// # Panics
///
/// If the law is broken.
pub async fn letters_posted_while_others_are_read_are_kept<S: Subject>() {
    const EACH: usize = 12;
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let posters = (0..4).map(|poster| {
        let store = subject.store();
        tokio::spawn(async move {
            for number in 0..EACH {
                let mail = letter(&format!("{poster}/{number:03}"));
                // Twice, as who asks again does.
                for _ in 0..2 {
                    store.post(saga, &mail).await.unwrap();
                }
            }
        })
    });
    let posters: Vec<_> = posters.collect();
    let store = subject.store();
    let reader = tokio::spawn(async move {
        let mut after = 1;
        while after < 1 + 4 * EACH as u64 {
            let due = store.take(from_ref(&lease), 1, LONG).await.unwrap();
            let Some(due) = due.sagas.into_iter().next() else {
                // What comes is heard of, but not to these tests of all engines.
                tokio::task::yield_now().await;
                continue;
            };
            let due = due.expect("it can be read");
            // Not always all of them.
            let mail: Vec<Mail> = due.mail.into_iter().take(3).collect();
            let lines = mail.iter().map(|mail| Record {
                mail: Some(mail.id),
                ..record(Kind::Signalled, &mail.name)
            });
            let read = Append {
                read: mail.len() as u32,
                ..append(saga, after, change(lines))
            };
            assert_eq!(store.append(&lease, &read).await.unwrap(), Appended::Held);
            after += u64::from(read.read);
        }
    });
    joined(posters).await;
    let reader = tokio::time::timeout(Duration::from_secs(60), reader).await;
    let reader = reader.expect("a letter was lost");
    reader.expect("it does not panic");
    assert_eq!(finds(&subject, saga).await.mail, []);
    let log = log(&subject, saga).await;
    assert_eq!(log.len(), 1 + 4 * EACH);
    for poster in 0..4 {
        let poster = format!("{poster}/");
        let steps = log.iter().map(|record| &*record.step);
        let of_poster: Vec<_> = steps.filter(|step| step.starts_with(&poster)).collect();
        assert_eq!(of_poster.len(), EACH);
        assert!(of_poster.is_sorted(), "{of_poster:?}");
    }
}

/// Executors whose leases are taken away while they write: the epochs in the
/// log never go back.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_a_zombie_writes_is_not_among_what_its_followers_write<S: Subject>() {
    let subject = S::fresh().await;
    let first = leases(&subject, SagaId::unique(), LONG).await;
    let saga = saga_in(first.bucket);
    assert_eq!(starts(&subject, &start(saga)).await, Started::Waits);
    posts(&subject, saga, &letter("so that it is due")).await;
    super::releases(&subject, &first).await;
    let tasks = (0..6).map(|_| {
        let (store, executor) = (subject.store(), executor());
        tokio::spawn(async move {
            let mut written = Vec::new();
            for _ in 0..15 {
                let claimed = store
                    .claim(&executor, &[saga.bucket()], LONG)
                    .await
                    .unwrap();
                let Some(lease) = claimed.first() else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let loaded = store.load(lease, saga).await.unwrap();
                let Some(loaded) = loaded else { continue };
                // It gives the lease back, and writes on as if it had not.
                let again = store.clone();
                let given = (executor.clone(), claimed.clone());
                let giving = tokio::spawn(async move {
                    let (executor, claimed) = given;
                    let stays = crate::saga::Departing::No;
                    again.release(&executor, &claimed, stays).await.unwrap();
                });
                let after = loaded.records.len() as u64;
                for after in after..after + 10 {
                    let mut line = record(Kind::Doubted, "book");
                    line.attempt = u32::try_from(lease.epoch.0).expect("a small one");
                    let next = append(saga, after, change([line]));
                    match store.append(lease, &next).await.unwrap() {
                        Appended::Held => written.push(lease.epoch.0),
                        Appended::Lost => break,
                        Appended::Conflict => panic!("a zombie got between"),
                    }
                }
                giving.await.expect("it does not panic");
            }
            written
        })
    });
    let written = joined(tasks.collect()).await.concat();
    let log = log(&subject, saga).await;
    let epochs: Vec<_> = log.iter().map(|record| u64::from(record.attempt)).collect();
    assert!(epochs.is_sorted(), "{epochs:?}");
    assert_eq!(
        epochs.len(),
        written.len(),
        "what was said to be written is"
    );
}
