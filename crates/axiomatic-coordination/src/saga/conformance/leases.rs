//! Laws of who is here, and who has which bucket.

use std::time::Duration;

use super::{
    BRIEF, LONG, SHORT, Subject, append, change, claims, due_ids, end_of, ends, executor, held_by,
    leases_all, log, record, releases, saga_in, start, starts, takes, writes,
};
use crate::outbox::Bucket;
use crate::saga::{Departing, ExecutorId, Kind, Lease, Stage, Started, Store, Swept, Wake};

async fn attends<S: Subject>(
    subject: &S,
    executor: &ExecutorId,
    ttl: Duration,
) -> (Vec<ExecutorId>, Vec<Lease>) {
    let attended = subject.store().attend(executor, ttl).await.unwrap();
    let (mut executors, mut leases) = (attended.executors, attended.leases);
    executors.sort();
    leases.sort_by_key(|lease| lease.bucket);
    (executors, leases)
}

/// Or until it departs.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn who_attends_is_here_until_its_time_is_over<S: Subject>() {
    let subject = S::fresh().await;
    let mut all = [executor(), executor(), executor()];
    all.sort();
    let [first, second, third] = &all;
    let here = attends(&subject, first, LONG).await;
    assert_eq!(here, (vec![first.clone()], vec![]));
    attends(&subject, second, SHORT).await;
    end_of(&subject, SHORT).await;
    let (here, _) = attends(&subject, third, LONG).await;
    assert_eq!(here, [first.clone(), third.clone()], "one's time is over");
    // It was late, and is here again.
    let (here, _) = attends(&subject, second, LONG).await;
    assert_eq!(here, all);
    for _ in 0..2 {
        let store = subject.store();
        store.release(first, &[], Departing::No).await.unwrap();
        store.release(second, &[], Departing::Yes).await.unwrap();
        let (here, _) = attends(&subject, third, LONG).await;
        assert_eq!(here, [first.clone(), third.clone()], "one departed");
    }
}

/// Whoever else asks; and nobody gets what nobody asked for.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_bucket_is_held_by_one_executor<S: Subject>() {
    let subject = S::fresh().await;
    let (one, other) = (executor(), executor());
    let buckets = |all: &[u16]| all.iter().copied().map(Bucket).collect::<Vec<_>>();
    let of = |leases: &[Lease]| {
        leases
            .iter()
            .map(|lease| lease.bucket.0)
            .collect::<Vec<_>>()
    };

    let ours = claims(&subject, &one, &buckets(&[0, 5, 63]), LONG).await;
    assert_eq!(of(&ours), [0, 5, 63]);
    assert!(ours.iter().all(|lease| lease.owner == one), "{ours:?}");
    let theirs = claims(&subject, &other, &buckets(&[63, 6, 5]), LONG).await;
    assert_eq!(of(&theirs), [6]);
    assert_eq!(theirs[0].owner, other);
    assert_eq!(claims(&subject, &other, &[], LONG).await, []);
    // And each hears what is its own.
    assert_eq!(attends(&subject, &one, LONG).await.1, ours);
    assert_eq!(attends(&subject, &other, LONG).await.1, theirs);
    assert_eq!(attends(&subject, &executor(), LONG).await.1, []);
}

/// As when the answer to the first was lost: the same leases, and nothing that
/// was taken with them is due again.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_claim_asked_again_is_answered_as_before<S: Subject>() {
    let subject = S::fresh().await;
    let executor = executor();
    let ours = claims(&subject, &executor, &[Bucket(3)], BRIEF).await;
    let saga = held_by(&subject, &ours[0]).await;
    let again = claims(&subject, &executor, &[Bucket(3), Bucket(4)], LONG).await;
    assert_eq!(again[0], ours[0], "the epoch is the same");
    assert_eq!((again.len(), again[1].bucket), (2, Bucket(4)));
    assert_eq!(due_ids(&subject, &again).await, [], "it is held");
    end_of(&subject, BRIEF).await;
    // It lasts as long as was said the last time.
    let next = append(saga, 1, change([record(Kind::Done, "book")]));
    writes(&subject, &again[0], &next).await;
}

/// So is one that was given back, whoever follows, and after everything that
/// can be swept was.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_lease_that_ended_is_followed_by_a_greater_epoch<S: Subject>() {
    let subject = S::fresh().await;
    let (one, other) = (executor(), executor());
    let bucket = [Bucket(17)];
    let mut last = None;
    for (number, executor) in [&one, &one, &other, &other, &one].into_iter().enumerate() {
        attends(&subject, executor, SHORT).await;
        let ttl = if number % 2 == 0 { SHORT } else { LONG };
        let claimed = claims(&subject, executor, &bucket, ttl).await;
        assert_eq!(claimed.len(), 1, "nobody holds it");
        let epoch = claimed[0].epoch;
        assert!(last < Some(epoch), "{epoch} after {last:?}");
        last = Some(epoch);
        if ttl == LONG {
            let store = subject.store();
            let released = store.release(executor, &claimed, Departing::Yes);
            released.await.unwrap();
        }
        end_of(&subject, SHORT).await;
        subject
            .store()
            .sweep(Duration::ZERO, Swept::Deleted, 100)
            .await
            .unwrap();
    }
}

/// One that has ended is lost, although nobody followed.
///
/// # Panics
///
/// If the law is broken.
pub async fn attending_prolongs_only_leases_that_have_not_ended<S: Subject>() {
    let subject = S::fresh().await;
    let (one, other) = (executor(), executor());
    let brief = claims(&subject, &one, &[Bucket(1)], BRIEF).await;
    let short = claims(&subject, &other, &[Bucket(2)], SHORT).await;
    assert_eq!(attends(&subject, &one, LONG).await.1, brief);
    end_of(&subject, BRIEF).await;

    let saga = held_by(&subject, &brief[0]).await;
    assert_eq!(attends(&subject, &other, LONG).await.1, [], "it has ended");
    let mut late = start(saga_in(Bucket(2)));
    late.held = Some((short[0].clone(), change([record(Kind::Began, "book")])));
    assert_eq!(starts(&subject, &late).await, Started::Waits);
    let claimed = claims(&subject, &other, &[Bucket(1), Bucket(2)], LONG).await;
    assert_eq!(claimed.len(), 1, "the first was prolonged: {claimed:?}");
    assert_eq!(claimed[0].bucket, Bucket(2));
    ends(&subject, &brief[0], saga, Stage::Done).await;
}

/// One of an earlier epoch, or of another, takes nobody's away.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_lease_is_given_back_by_who_holds_it<S: Subject>() {
    let subject = S::fresh().await;
    let (one, other) = (executor(), executor());
    let buckets = [Bucket(1), Bucket(2)];
    let first = claims(&subject, &one, &buckets, LONG).await;
    for _ in 0..2 {
        releases(&subject, &first[0]).await;
        assert_eq!(attends(&subject, &one, LONG).await.1, first[1..]);
    }
    let mut late = start(saga_in(Bucket(1)));
    late.held = Some((first[0].clone(), change([])));
    assert_eq!(starts(&subject, &late).await, Started::Waits);

    // It was free; and who gives back again takes nothing away.
    let second = claims(&subject, &other, &buckets, LONG).await;
    assert_eq!(second.len(), 1, "one was given back: {second:?}");
    releases(&subject, &first[0]).await;
    let mut forged = second[0].clone();
    forged.owner = one.clone();
    releases(&subject, &forged).await;
    assert_eq!(attends(&subject, &other, LONG).await.1, second);
    // The same executor, later.
    releases(&subject, &second[0]).await;
    let third = claims(&subject, &one, &buckets[..1], LONG).await;
    releases(&subject, &first[0]).await;
    let all = [third[0].clone(), first[1].clone()];
    assert_eq!(attends(&subject, &one, LONG).await.1, all);
}

/// Be it that the lease ended or was given back. What has ended or sleeps
/// stays as it is, and so does all of other buckets.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_was_held_is_due_when_another_claims<S: Subject>() {
    for ttl in [BRIEF, LONG] {
        let subject = S::fresh().await;
        let (one, other) = (executor(), executor());
        let bucket = [Bucket(9)];
        let lease = claims(&subject, &one, &bucket, ttl).await.remove(0);
        let elsewhere = claims(&subject, &one, &[Bucket(10)], LONG).await;
        let started = held_by(&subject, &lease).await;
        let stays = held_by(&subject, &elsewhere[0]).await;
        let sleeps = held_by(&subject, &lease).await;
        let mut later = append(sleeps, 1, change([]));
        later.change.wake = Wake::In(LONG);
        writes(&subject, &lease, &later).await;
        let ended = held_by(&subject, &lease).await;
        ends(&subject, &lease, ended, Stage::Done).await;
        let taken = saga_in(Bucket(9));
        assert_eq!(starts(&subject, &start(taken)).await, Started::Waits);
        let leases = [lease.clone()];
        assert_eq!(due_ids(&subject, &leases).await, [taken]);

        if ttl == LONG {
            releases(&subject, &lease).await;
        } else {
            end_of(&subject, ttl).await;
        }
        let next = claims(&subject, &other, &bucket, LONG).await;
        let mut due = due_ids(&subject, &next).await;
        due.sort();
        let mut expected = [started, taken];
        expected.sort();
        assert_eq!(due, expected);
        assert_eq!(due_ids(&subject, &next).await, [], "they are held");
        assert_eq!(due_ids(&subject, &elsewhere).await, [], "{stays}");
        assert_eq!(log(&subject, started).await.len(), 1);
    }
    // And they are so without end: who takes over dies as well.
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let saga = held_by(&subject, &all[0]).await;
    releases(&subject, &all[0]).await;
    for _ in 0..3 {
        let next = claims(&subject, &executor(), &[Bucket(0)], LONG).await;
        let taken = takes(&subject, &next, 10).await;
        assert_eq!(taken.sagas.len(), 1);
        let taken = taken.sagas.into_iter().flatten().next();
        assert_eq!(taken.expect("it can be read").saga, saga);
        releases(&subject, &next[0]).await;
    }
}
