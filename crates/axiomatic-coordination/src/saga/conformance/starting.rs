//! Laws of how sagas begin.

use std::slice::from_ref;
use std::time::Duration;

use bytes::Bytes;

use super::{
    LONG, SHORT, Subject, append, change, claims, due, due_ids, end, end_of, ends, executor, finds,
    held, held_by, leases, leases_all, record, releases, saga_outside, start, starts, waiting,
    writes,
};
use crate::saga::{Kind, SagaId, Stage, Started, Wake};

/// And is due at once, whoever has its bucket.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn a_saga_begins_with_what_it_was_given<S: Subject>() {
    let subject = S::fresh().await;
    let inputs = [
        Bytes::new(),
        Bytes::from_static("{\"n\":\"é\u{2028}'\\\"\\\\\u{1f600}\"}".as_bytes()),
        format!("\"{}\"", "x".repeat(300_000)).into(),
    ];
    let all = leases_all(&subject).await;
    for (version, input) in [0, 1, u32::MAX].into_iter().zip(inputs) {
        let mut start = start(SagaId::unique());
        start.input = input.clone();
        start.definition.version = version;
        start.definition.name = "ümläut / 'quoted' \" \\".into();
        assert_eq!(starts(&subject, &start).await, Started::Waits);

        let found = finds(&subject, start.saga).await;
        assert_eq!(found.summary.saga, start.saga);
        assert_eq!(found.summary.definition, start.definition);
        assert_eq!(found.summary.stage, Stage::Running);
        assert_eq!(found.summary.result, None);
        assert_eq!(found.input, input);
        assert_eq!((found.records.len(), found.mail.len()), (0, 0));
        let due = due(&subject, &all).await;
        assert_eq!(due.len(), 1);
        let loaded = &due[0];
        assert_eq!(loaded.saga, start.saga);
        assert_eq!(&loaded.lease, super::lease_of(&all, start.saga));
        assert_eq!(loaded.definition, start.definition);
        assert_eq!(loaded.input, input);
        assert_eq!(loaded.stage, Stage::Running);
        assert_eq!((loaded.records.len(), loaded.mail.len()), (0, 0));
        assert_eq!((loaded.deadline, loaded.loads), (None, 1));
        assert!(found.summary.started <= loaded.now);
    }
}

/// Whether it is the same or another, waits, runs, or has ended.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_saga_started_again_is_not_changed<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let ended = held_by(&subject, &lease).await;
    ends(&subject, &lease, ended, Stage::Compensated).await;
    let waiting = waiting(&subject).await;
    for saga in [saga, ended, waiting] {
        let before = finds(&subject, saga).await;
        let mut again = start(saga);
        // With or without a lease, and whatever else is said.
        assert_eq!(starts(&subject, &again).await, Started::Before);
        again.deadline = Some(Duration::ZERO);
        let mut more = change([record(Kind::Done, "more")]);
        more.stage = Stage::Unwinding;
        again.held = Some((lease.clone(), more));
        again.definition.version += 1;
        again.definition.hash -= 1;
        assert_eq!(starts(&subject, &again).await, Started::Before);

        let mut other = again.clone();
        other.input = Bytes::from_static(br#"{"amount":18}"#);
        assert_eq!(starts(&subject, &other).await, Started::Other);
        let mut other = again.clone();
        other.definition.name = "transfers".into();
        assert_eq!(starts(&subject, &other).await, Started::Other);
        assert_eq!(finds(&subject, saga).await, before);
    }
    let due = due_ids(&subject, from_ref(&lease)).await;
    let is_of_bucket = waiting.bucket() == lease.bucket;
    assert_eq!(due.len(), usize::from(is_of_bucket), "only what waits");
}

/// With what is written at once: nobody takes it, but who claims the bucket
/// next.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_saga_started_with_a_lease_is_held_by_it<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let mut first = start(super::saga_in(lease.bucket));
    let records = [record(Kind::Began, "book"), record(Kind::Began, "charge")];
    let mut written = change(records.clone());
    written.result = Some(Bytes::from_static(b"so far"));
    written.stage = Stage::Unwinding;
    first.held = Some((lease.clone(), written));
    assert_eq!(starts(&subject, &first).await, Started::Held);

    let found = finds(&subject, first.saga).await;
    assert_eq!(super::log(&subject, first.saga).await, records);
    assert_eq!(found.summary.stage, Stage::Unwinding);
    assert_eq!(found.summary.result.as_deref(), Some(&b"so far"[..]));
    let held = [lease.clone()];
    assert_eq!(due_ids(&subject, &held).await, [], "it is held");
    // It goes on where it stands.
    let next = append(first.saga, 2, change([record(Kind::Done, "book")]));
    writes(&subject, &lease, &next).await;
    assert_eq!(due_ids(&subject, &held).await, [], "it is held");
    releases(&subject, &lease).await;
    let next = claims(&subject, &executor(), &[lease.bucket], LONG).await;
    assert_eq!(due_ids(&subject, &next).await, [first.saga]);

    // It may end as it begins.
    let mut short = start(super::saga_in(lease.bucket));
    short.held = Some((next[0].clone(), end(Stage::Done)));
    assert_eq!(starts(&subject, &short).await, Started::Held);
    assert_eq!(due_ids(&subject, &next).await, []);
    let done = finds(&subject, short.saga).await;
    assert_eq!(done.summary.stage, Stage::Done);
}

/// It is due, and nothing of the change is written: if the lease has ended,
/// was followed, or is of another bucket.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_saga_started_for_a_lease_that_is_lost_waits<S: Subject>() {
    let subject = S::fresh().await;
    let ended = leases(&subject, SagaId::unique(), SHORT).await;
    end_of(&subject, SHORT).await;
    let of_bucket = super::saga_in(ended.bucket);
    let mut sagas = vec![(of_bucket, ended.clone())];
    let released = leases(&subject, saga_outside(ended.bucket), LONG).await;
    releases(&subject, &released).await;
    sagas.push((super::saga_in(released.bucket), released));
    let all = leases_all(&subject).await;
    // Followed, by now.
    sagas.push((super::saga_in(ended.bucket), ended));
    let mut forged = all[7].clone();
    forged.owner = executor();
    sagas.push((super::saga_in(forged.bucket), forged));
    let mut forged = all[7].clone();
    forged.epoch.0 += 1;
    sagas.push((super::saga_in(forged.bucket), forged));
    sagas.push((saga_outside(all[7].bucket), all[7].clone()));

    for (saga, lease) in &sagas {
        let mut first = start(*saga);
        let mut lost = change([record(Kind::Began, "book")]);
        lost.stage = Stage::Unwinding;
        lost.result = Some(Bytes::from_static(b"lost"));
        lost.wake = Wake::Held;
        first.held = Some((lease.clone(), lost));
        assert_eq!(starts(&subject, &first).await, Started::Waits, "{lease:?}");
        let found = finds(&subject, *saga).await;
        assert_eq!(found.records, []);
        assert_eq!(found.summary.stage, Stage::Running);
        assert_eq!(found.summary.result, None);
    }
    let mut due = due_ids(&subject, &all).await;
    due.sort();
    let mut expected: Vec<_> = sagas.iter().map(|(saga, _)| *saga).collect();
    expected.sort();
    assert_eq!(due, expected);
}

/// By the store's clock, and whatever happens then.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_deadline_is_counted_from_the_start<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    for deadline in [Duration::ZERO, Duration::from_micros(1), LONG] {
        let mut first = start(SagaId::unique());
        first.deadline = Some(deadline);
        let lease = super::lease_of(&all, first.saga);
        if deadline == LONG {
            first.held = Some((lease.clone(), change([])));
        }
        starts(&subject, &first).await;
        subject.elapse(SHORT).await;
        let loaded = super::loads(&subject, lease, first.saga).await;
        let turns = loaded.deadline.expect("it has one");
        let started = finds(&subject, first.saga).await.summary.started;
        assert_eq!(turns.saturating_since(started), deadline);
        assert!(started < loaded.now, "time has passed");
        due(&subject, &all).await;
        let next = append(first.saga, 0, change([record(Kind::Began, "book")]));
        writes(&subject, lease, &next).await;
        let loaded = super::loads(&subject, lease, first.saga).await;
        assert_eq!(loaded.deadline, Some(turns));
    }
    // What is longer than time.
    let mut first = start(SagaId::unique());
    first.deadline = Some(Duration::MAX);
    starts(&subject, &first).await;
    let loaded = super::loads(&subject, super::lease_of(&all, first.saga), first.saga).await;
    let far = |deadline: crate::Timestamp| deadline.saturating_since(loaded.now) > LONG;
    assert!(loaded.deadline.is_none_or(far));
}
