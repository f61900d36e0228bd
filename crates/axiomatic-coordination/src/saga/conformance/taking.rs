//! Laws of what is due.

use std::slice::from_ref;
use std::time::Duration;

use super::{
    BRIEF, LONG, SHORT, Subject, append, change, claims, due, due_ids, end_of, executor, finds,
    held_by, lease_of, leases, leases_all, loads, record, releases, saga_in, start, starts, takes,
    waiting, writes,
};
use crate::saga::{Kind, Lease, SagaId, Stage, Started, Store, Taken, Wake};

fn ids(taken: &Taken) -> Vec<SagaId> {
    let sagas = taken.sagas.iter();
    sagas
        .map(|saga| saga.as_ref().expect("it can be read").saga)
        .collect()
}

/// Of all buckets together, whatever the sagas' ids are, and whether they were
/// started or have slept.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn the_longest_due_are_taken_first<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let mut ids: Vec<_> = (0..5).map(|_| SagaId::unique()).collect();
    // Not the order of their ids.
    ids.sort();
    let order = [3, 0, 4, 2].map(|n: usize| ids[n]);
    let sleeps = ids[1];
    let mut first = start(sleeps);
    let mut later = change([record(Kind::Began, "book")]);
    later.wake = Wake::Held;
    first.held = Some((lease_of(&all, sleeps).clone(), later));
    assert_eq!(starts(&subject, &first).await, Started::Held);
    for saga in &order[..2] {
        assert_eq!(starts(&subject, &start(*saga)).await, Started::Waits);
        subject.elapse(Duration::from_millis(5)).await;
    }
    // It was written before the others begin, and is due when they have.
    let mut later = append(sleeps, 1, change([]));
    later.change.wake = Wake::In(Duration::ZERO);
    writes(&subject, lease_of(&all, sleeps), &later).await;
    for saga in &order[2..] {
        subject.elapse(Duration::from_millis(5)).await;
        assert_eq!(starts(&subject, &start(*saga)).await, Started::Waits);
    }
    let expected = [order[0], order[1], sleeps, order[2], order[3]];
    assert_eq!(due_ids(&subject, &all).await, expected);
}

/// Nor of other buckets than those that are leased. And it is said whether
/// there are more, and when the next is due.
///
/// # Panics
///
/// If the law is broken.
pub async fn no_more_sagas_are_taken_than_asked_for<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let nothing = takes(&subject, &all, 10).await;
    assert_eq!((nothing.sagas.len(), nothing.more), (0, false));
    assert_eq!(nothing.next, None);
    let mut expected = Vec::new();
    for number in 0..7 {
        // Of one bucket, and of several.
        let saga = match number % 2 {
            0 => saga_in(all[20].bucket),
            _ => SagaId::unique(),
        };
        assert_eq!(starts(&subject, &start(saga)).await, Started::Waits);
        expected.push(saga);
        subject.elapse(Duration::from_millis(2)).await;
    }
    let sleeps = held_by(&subject, &all[30]).await;
    let mut later = append(sleeps, 1, change([]));
    later.change.wake = Wake::In(LONG);
    writes(&subject, &all[30], &later).await;

    assert_eq!(takes(&subject, &[], 10).await.sagas.len(), 0);
    let elsewhere: Vec<Lease> = {
        let is_free = |lease: &&Lease| expected.iter().all(|saga| saga.bucket() != lease.bucket);
        all.iter().filter(is_free).cloned().collect()
    };
    let none = takes(&subject, &elsewhere, 10).await;
    assert_eq!((ids(&none), none.more), (vec![], false));

    let three = takes(&subject, &all, 3).await;
    assert_eq!((ids(&three), three.more), (expected[..3].to_vec(), true));
    let three = takes(&subject, &all, 3).await;
    assert_eq!((ids(&three), three.more), (expected[3..6].to_vec(), true));
    let one = takes(&subject, &all, 1).await;
    assert_eq!((ids(&one), one.more), (expected[6..].to_vec(), false));
    let next = one.next.expect("one sleeps");
    assert!(next <= LONG && next > LONG / 2, "{next:?}");
    let none = takes(&subject, &all, 3).await;
    assert_eq!((none.sagas.len(), none.more), (0, false));
    let next = takes(&subject, &all[..30], 3).await.next;
    assert_eq!(next, None, "it is of another bucket");
}

/// Unless who has taken it lets it be due again.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_is_taken_is_not_taken_again<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let sagas = [waiting(&subject).await, waiting(&subject).await];
    // A lease that is named twice gives nothing twice.
    let twice: Vec<_> = all.iter().chain(&all).cloned().collect();
    let mut taken = due_ids(&subject, &twice).await;
    taken.sort();
    assert_eq!(taken, {
        let mut sagas = sagas.to_vec();
        sagas.sort();
        sagas
    });
    end_of(&subject, SHORT).await;
    let none = takes(&subject, &all, 10).await;
    assert_eq!((none.sagas.len(), none.more, none.next), (0, false, None));
    let lease = lease_of(&all, sagas[1]);
    let mut again = append(sagas[1], 0, change([]));
    again.change.wake = Wake::In(Duration::ZERO);
    writes(&subject, lease, &again).await;
    assert_eq!(due_ids(&subject, &all).await, [sagas[1]]);
}

/// The others that are asked with give what they have.
///
/// # Panics
///
/// If the law is broken.
pub async fn nothing_is_taken_for_a_lease_that_is_lost<S: Subject>() {
    let subject = S::fresh().await;
    let saga = waiting(&subject).await;
    let bucket = saga.bucket();
    let ended = leases(&subject, saga, SHORT).await;
    end_of(&subject, SHORT).await;
    assert_eq!(due_ids(&subject, from_ref(&ended)).await, [], "it ended");
    let released = leases(&subject, saga, LONG).await;
    releases(&subject, &released).await;
    assert_eq!(due_ids(&subject, from_ref(&released)).await, []);

    let holds = leases(&subject, saga, LONG).await;
    let other = saga_in(super::saga_outside(bucket).bucket());
    assert_eq!(starts(&subject, &start(other)).await, Started::Waits);
    let others = leases(&subject, other, LONG).await;
    let mut forged = [holds.clone(), holds.clone()];
    forged[0].owner = executor();
    forged[1].epoch.0 += 1;
    let [by_another, later] = forged;
    let lost = [ended, released, by_another, later, others];
    assert_eq!(due_ids(&subject, &lost).await, [other]);
    let loaded = due(&subject, &[holds]).await;
    assert_eq!((loaded.len(), loaded[0].saga), (1, saga));
    assert_eq!(loaded[0].loads, 1, "it was taken once");
}

/// Also by others; a change that is no progress, and a look, change nothing.
///
/// # Panics
///
/// If the law is broken.
pub async fn loads_are_counted_until_the_saga_goes_forward<S: Subject>() {
    let subject = S::fresh().await;
    let saga = waiting(&subject).await;
    let bucket = [saga.bucket()];
    for number in 1..=4 {
        let lease = claims(&subject, &executor(), &bucket, LONG).await;
        let taken = due(&subject, &lease).await;
        assert_eq!(taken[0].loads, number);
        assert_eq!(loads(&subject, &lease[0], saga).await.loads, number);
        let mut parked = append(saga, 0, change([]));
        parked.change.progress = false;
        parked.change.stage = Stage::Parked;
        if number == 2 {
            parked.change.wake = Wake::In(Duration::ZERO);
        }
        if number != 3 {
            writes(&subject, &lease[0], &parked).await;
        }
        assert_eq!(loads(&subject, &lease[0], saga).await.loads, number);
        releases(&subject, &lease[0]).await;
    }
    let lease = claims(&subject, &executor(), &bucket, LONG).await;
    assert_eq!(due(&subject, &lease).await[0].loads, 5);
    let next = append(saga, 0, change([record(Kind::Began, "book")]));
    writes(&subject, &lease[0], &next).await;
    releases(&subject, &lease[0]).await;
    let lease = claims(&subject, &executor(), &bucket, LONG).await;
    assert_eq!(due(&subject, &lease).await[0].loads, 1, "it went forward");
}

/// Not even a round: it is told apart, and is due again after the pause.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_saga_that_cannot_be_read_costs_the_others_nothing<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let leases = [lease.clone()];
    let broken = saga_in(lease.bucket);
    let mut sagas = vec![broken];
    sagas.extend((0..3).map(|_| saga_in(lease.bucket)));
    for saga in &sagas {
        assert_eq!(starts(&subject, &start(*saga)).await, Started::Waits);
        subject.elapse(Duration::from_millis(2)).await;
    }
    if !subject.damage(broken).await {
        assert_eq!(due_ids(&subject, &leases).await, sagas);
        return;
    }
    let take = |at_most| {
        let (store, leases) = (subject.store(), leases.clone());
        async move { store.take(&leases, at_most, BRIEF).await.unwrap() }
    };
    let mut all = take(10).await;
    let error = all.sagas.remove(0).expect_err("it cannot be read");
    assert_eq!(error.saga, broken);
    assert_eq!((ids(&all), all.more), (sagas[1..].to_vec(), false));
    let none = take(10).await;
    assert_eq!((none.sagas.len(), none.more), (0, false));
    let next = none.next.expect("it is tried again");
    assert!(next <= BRIEF, "{next:?}");
    end_of(&subject, BRIEF).await;
    let mut again = take(1).await;
    let error = again.sagas.remove(0).expect_err("it cannot be read");
    assert_eq!(error.saga, broken);
    // What others say to it and of it does not break, either.
    let stage = finds(&subject, sagas[1]).await.summary.stage;
    assert_eq!(stage, Stage::Running);
    subject.store().count().await.unwrap();
}
