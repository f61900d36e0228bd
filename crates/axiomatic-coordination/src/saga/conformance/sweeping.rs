//! Laws of what is thrown away.

use std::slice::from_ref;
use std::time::Duration;

use super::{
    BRIEF, LONG, Subject, append, change, claims, due, end_of, ends, executor, finds, held,
    held_by, letter, log, posts, reads, record, start, starts, waiting, writes,
};
use crate::saga::{Departing, Kind, Posted, SagaId, Stage, Started, Store, Swept, Wake};

async fn sweeps<S: Subject>(subject: &S, retention: Duration, at_most: usize) -> usize {
    let store = subject.store();
    store
        .sweep(retention, Swept::Deleted, at_most)
        .await
        .unwrap()
}

async fn is_there<S: Subject>(subject: &S, saga: SagaId) -> bool {
    subject.store().find(saga).await.unwrap().is_some()
}

/// Counted from its end, and never what has not ended, however old it is.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn only_what_has_ended_long_enough_ago_is_swept<S: Subject>() {
    let subject = S::fresh().await;
    let (old, lease) = held(&subject).await;
    let late = held_by(&subject, &lease).await;
    ends(&subject, &lease, old, Stage::Done).await;
    let mut live = vec![waiting(&subject).await, held_by(&subject, &lease).await];
    for stage in Stage::ALL.into_iter().filter(|stage| !stage.is_end()) {
        let saga = held_by(&subject, &lease).await;
        let mut change = change([]);
        (change.stage, change.wake) = (stage, Wake::In(LONG));
        writes(&subject, &lease, &append(saga, 1, change)).await;
        live.push(saga);
    }
    assert_eq!(sweeps(&subject, LONG, 100).await, 0);
    assert!(is_there(&subject, old).await);
    end_of(&subject, BRIEF).await;
    ends(&subject, &lease, late, Stage::Abandoned).await;
    assert_eq!(sweeps(&subject, BRIEF, 100).await, 1, "one is too young");
    assert!(!is_there(&subject, old).await);
    assert!(is_there(&subject, late).await);
    assert_eq!(sweeps(&subject, Duration::ZERO, 100).await, 1);
    assert!(!is_there(&subject, late).await);
    assert_eq!(sweeps(&subject, Duration::ZERO, 100).await, 0);
    for saga in live {
        finds(&subject, saga).await;
    }
}

/// The first that ended go first.
///
/// # Panics
///
/// If the law is broken.
pub async fn sagas_are_swept_in_pieces<S: Subject>() {
    let subject = S::fresh().await;
    let (first, lease) = held(&subject).await;
    let mut sagas = vec![first];
    for _ in 0..4 {
        sagas.push(held_by(&subject, &lease).await);
    }
    // They did not begin in the order in which they end.
    sagas.reverse();
    for saga in &sagas {
        ends(&subject, &lease, *saga, Stage::Compensated).await;
        subject.elapse(Duration::from_millis(2)).await;
    }
    assert_eq!(sweeps(&subject, Duration::ZERO, 0).await, 0);
    for (left, swept) in [(3, 2), (1, 2), (0, 1), (0, 0)] {
        assert_eq!(sweeps(&subject, Duration::ZERO, 2).await, swept);
        let mut there = Vec::new();
        for saga in &sagas {
            if is_there(&subject, *saga).await {
                there.push(*saga);
            }
        }
        assert_eq!(there, sagas[5 - left..]);
    }
}

/// Its log and its mail are gone with it; its id is a new saga's. Executors
/// that are gone are forgotten, others and leases are not.
///
/// # Panics
///
/// If the law is broken.
pub async fn who_is_swept_is_as_if_it_had_never_been<S: Subject>() {
    let subject = S::fresh().await;
    let (one, gone) = (executor(), executor());
    let store = subject.store();
    store.attend(&gone, Duration::from_millis(1)).await.unwrap();
    let here = store.attend(&one, LONG).await.unwrap();
    assert!(here.executors.contains(&one));
    let saga = SagaId::unique();
    let lease = claims(&subject, &one, &[saga.bucket()], LONG)
        .await
        .remove(0);
    let mut first = start(saga);
    first.deadline = Some(LONG);
    first.held = Some((lease.clone(), change([record(Kind::Began, "book")])));
    assert_eq!(starts(&subject, &first).await, Started::Held);
    let letters = [letter("read"), letter("unread")];
    for letter in &letters {
        posts(&subject, saga, letter).await;
    }
    writes(&subject, &lease, &reads(saga, 1, &letters[0])).await;
    writes(&subject, &lease, &append(saga, 2, super::end(Stage::Done))).await;
    subject.elapse(Duration::from_millis(5)).await;
    assert_eq!(sweeps(&subject, Duration::ZERO, 10).await, 1);

    assert!(!is_there(&subject, saga).await);
    assert_eq!(store.load(&lease, saga).await.unwrap(), None);
    assert_eq!(store.count().await.unwrap(), [0; 7]);
    assert_eq!(store.list(Stage::Done, None, 10).await.unwrap(), []);
    let mut other = start(saga);
    other.definition.name = "another".into();
    assert_eq!(starts(&subject, &other).await, Started::Waits);
    assert_eq!(log(&subject, saga).await, []);
    let taken = due(&subject, from_ref(&lease)).await;
    assert_eq!((taken.len(), taken[0].saga), (1, saga), "the lease is held");
    assert_eq!((taken[0].records.len(), taken[0].mail.len()), (0, 0));
    assert_eq!((taken[0].deadline, taken[0].loads), (None, 1));
    for letter in &letters {
        posts(&subject, saga, letter).await;
    }
    assert_eq!(finds(&subject, saga).await.mail, letters);
    assert_eq!(finds(&subject, saga).await.summary.result, None);
    // An end of the old one is no end of the new one.
    assert_eq!(sweeps(&subject, Duration::ZERO, 10).await, 0);
    let here = store.attend(&one, LONG).await.unwrap();
    assert_eq!(
        (here.executors, here.leases),
        (vec![one.clone()], vec![lease])
    );
    store.release(&one, &[], Departing::Yes).await.unwrap();
}

/// With its log, what it was given and what it never read: but no more taken,
/// listed, counted or spoken to. Another may begin by its id.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_is_archived_is_found_and_otherwise_gone<S: Subject>() {
    let subject = S::fresh().await;
    let store = subject.store();
    let (saga, lease) = held(&subject).await;
    let running = held_by(&subject, &lease).await;
    let mail = letter("unread");
    posts(&subject, saga, &mail).await;
    ends(&subject, &lease, saga, Stage::Compensated).await;
    let kept = finds(&subject, saga).await;
    assert_eq!((kept.mail.len(), kept.records.len()), (1, 2));
    let archived = store.sweep(Duration::ZERO, Swept::Archived, 100).await;
    assert_eq!(archived.unwrap(), 1);
    assert_eq!(finds(&subject, saga).await, kept);
    assert_eq!(log(&subject, running).await.len(), 1);

    let listed = store.list(Stage::Compensated, None, 10).await.unwrap();
    assert_eq!(listed, []);
    let counted = store.count().await.unwrap();
    assert_eq!(counted[Stage::Compensated as usize], 0);
    let posted = store.post(saga, &letter("late")).await.unwrap();
    assert_eq!(posted, Posted::Missing);
    let again = store.sweep(Duration::ZERO, Swept::Deleted, 100).await;
    assert_eq!(again.unwrap(), 0, "it is there no longer");
    assert_eq!(finds(&subject, saga).await, kept);

    assert_eq!(starts(&subject, &start(saga)).await, Started::Waits);
    let found = finds(&subject, saga).await;
    assert_eq!(
        (found.summary.stage, found.records.len()),
        (Stage::Running, 0)
    );
}

/// And what was archived before is not lost if it is deleted.
///
/// # Panics
///
/// If the law is broken.
pub async fn of_two_that_are_archived_the_later_is_found<S: Subject>() {
    let subject = S::fresh().await;
    let store = subject.store();
    let (saga, lease) = held(&subject).await;
    ends(&subject, &lease, saga, Stage::Done).await;
    let first = finds(&subject, saga).await;
    let sweep = |swept| store.sweep(Duration::ZERO, swept, 100);
    assert_eq!(sweep(Swept::Archived).await.unwrap(), 1);

    let mut again = start(saga);
    again.held = Some((lease.clone(), change([record(Kind::Began, "book")])));
    assert_eq!(starts(&subject, &again).await, Started::Held);
    ends(&subject, &lease, saga, Stage::Abandoned).await;
    assert_eq!(sweep(Swept::Deleted).await.unwrap(), 1);
    assert_eq!(finds(&subject, saga).await, first);

    end_of(&subject, BRIEF).await;
    assert_eq!(starts(&subject, &again).await, Started::Held);
    ends(&subject, &lease, saga, Stage::Compensated).await;
    let last = finds(&subject, saga).await;
    assert_eq!(sweep(Swept::Archived).await.unwrap(), 1);
    assert_eq!(finds(&subject, saga).await, last);
}
