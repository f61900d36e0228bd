//! Laws of what is known of sagas.

use super::{
    LONG, SHORT, Subject, append, change, due, end, end_of, ends, executor, finds, held, held_by,
    leases, leases_all, letter, loads, posts, record, releases, saga_outside, start, starts,
    waiting, writes,
};
use crate::saga::{
    Found, Kind, Lease, Loaded, SagaId, Stage, Started, Store, Summary, Swept, Wake,
};

fn without_time(loaded: &Loaded) -> Loaded {
    let mut loaded = loaded.clone();
    loaded.now = crate::Timestamp::default();
    loaded
}

/// By who has taken it, any number of times, whether it is held or sleeps; and
/// it is changed in nothing.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn a_saga_is_loaded_as_it_was_taken<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let saga = waiting(&subject).await;
    let lease = super::lease_of(&all, saga);
    let before = loads(&subject, lease, saga).await;
    assert_eq!(before.loads, 0, "it was not taken");
    let taken = due(&subject, &all).await.remove(0);
    let records = [record(Kind::Began, "book"), record(Kind::Began, "charge")];
    let mut first = append(saga, 0, change(records));
    first.change.progress = false;
    writes(&subject, lease, &first).await;
    let mail = [letter("one"), letter("two")];
    for mail in &mail {
        posts(&subject, saga, mail).await;
    }
    let again = due(&subject, &all).await.remove(0);
    assert_eq!(again.records.len(), 2);
    assert_eq!(again.mail, mail);
    assert_eq!((taken.loads, again.loads), (1, 1), "it was held");
    for _ in 0..2 {
        let loaded = loads(&subject, lease, saga).await;
        assert!(loaded.now >= again.now, "time goes on");
        assert_eq!(without_time(&loaded), without_time(&again));
        let found = finds(&subject, saga).await;
        assert_eq!(found.records, loaded.records);
        assert_eq!(found.mail, loaded.mail);
        assert_eq!(found.input, loaded.input);
        assert_eq!(found.summary.definition, loaded.definition);
        for recorded in &loaded.records {
            assert!(recorded.at >= found.summary.started, "{recorded:?}");
            assert!(recorded.at <= loaded.now, "{recorded:?}");
        }
    }
    // One that sleeps sleeps on.
    let sleeps = held_by(&subject, &all[5]).await;
    let mut later = append(sleeps, 1, change([]));
    later.change.wake = Wake::In(LONG);
    writes(&subject, &all[5], &later).await;
    loads(&subject, &all[5], sleeps).await;
    let asleep = super::takes(&subject, &all[5..6], 10).await;
    let is_other = |saga: &Loaded| saga.saga != sleeps;
    assert!(
        asleep
            .sagas
            .into_iter()
            .flatten()
            .all(|saga| is_other(&saga))
    );
}

/// And only what has not ended, and is of the lease's bucket.
///
/// # Panics
///
/// If the law is broken.
pub async fn only_who_holds_the_lease_loads<S: Subject>() {
    let subject = S::fresh().await;
    let none = async |lease: &Lease, saga: SagaId| {
        let loaded = subject.store().load(lease, saga).await.unwrap();
        assert_eq!(loaded, None, "{lease:?}");
    };
    let ended = leases(&subject, SagaId::unique(), SHORT).await;
    let waits = super::saga_in(ended.bucket);
    assert_eq!(starts(&subject, &start(waits)).await, Started::Waits);
    end_of(&subject, SHORT).await;
    none(&ended, waits).await;
    let released = leases(&subject, waits, LONG).await;
    releases(&subject, &released).await;
    none(&released, waits).await;
    let lease = leases(&subject, waits, LONG).await;
    none(&ended, waits).await;
    none(&released, waits).await;
    let mut forged = lease.clone();
    forged.owner = executor();
    none(&forged, waits).await;
    let mut forged = lease.clone();
    forged.epoch.0 += 1;
    none(&forged, waits).await;

    none(&lease, super::saga_in(lease.bucket)).await;
    let outside = saga_outside(lease.bucket);
    assert_eq!(starts(&subject, &start(outside)).await, Started::Waits);
    none(&lease, outside).await;
    let done = held_by(&subject, &lease).await;
    loads(&subject, &lease, done).await;
    ends(&subject, &lease, done, Stage::Done).await;
    none(&lease, done).await;
    assert_eq!(loads(&subject, &lease, waits).await.lease, lease);
    let missing = subject.store().find(SagaId::unique()).await.unwrap();
    assert_eq!(missing, None);
}

async fn lists<S: Subject>(
    subject: &S,
    stage: Stage,
    after: Option<SagaId>,
    at_most: usize,
) -> Vec<Summary> {
    let store = subject.store();
    store.list(stage, after, at_most).await.unwrap()
}

/// A page after the other, each stage by itself, with all that is known in
/// short.
///
/// # Panics
///
/// If the law is broken.
pub async fn sagas_are_listed_in_the_order_of_their_ids<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let mut running = Vec::new();
    // Random ones, so that their bytes are of all sizes.
    for _ in 0..9 {
        let name = uuid::Uuid::now_v7().to_string();
        let saga = uuid::Uuid::new_v5(&uuid::Uuid::nil(), name.as_bytes());
        let saga = SagaId(saga);
        assert_eq!(starts(&subject, &start(saga)).await, Started::Waits);
        running.push(saga);
    }
    let done = held_by(&subject, &all[3]).await;
    ends(&subject, &all[3], done, Stage::Done).await;
    running.sort();
    let ids = |page: &[Summary]| page.iter().map(|summary| summary.saga).collect::<Vec<_>>();

    let mut after = None;
    for expected in running.chunks(4) {
        let page = lists(&subject, Stage::Running, after, 4).await;
        assert_eq!(ids(&page), expected);
        for summary in &page {
            let Found { summary: found, .. } = finds(&subject, summary.saga).await;
            assert_eq!(*summary, found);
        }
        after = page.last().map(|summary| summary.saga);
    }
    assert_eq!(lists(&subject, Stage::Running, after, 4).await, []);
    let between = Some(SagaId(uuid::Uuid::from_u128(running[4].0.as_u128() - 1)));
    let page = lists(&subject, Stage::Running, between, 100).await;
    assert_eq!(ids(&page), running[4..]);
    assert_eq!(lists(&subject, Stage::Running, None, 0).await, []);
    let page = lists(&subject, Stage::Done, None, 10).await;
    assert_eq!(ids(&page), [done]);
    assert_eq!(page[0].result.as_deref(), Some(&b"\"at last\""[..]));
    assert_eq!(lists(&subject, Stage::Stuck, None, 10).await, []);
}

/// As they go from one to the other, and until they are swept.
///
/// # Panics
///
/// If the law is broken.
pub async fn sagas_are_counted_by_their_stage<S: Subject>() {
    let subject = S::fresh().await;
    let count = async || subject.store().count().await.unwrap();
    assert_eq!(count().await, [0; 7]);
    let (saga, lease) = held(&subject).await;
    let mut expected = [0; 7];
    expected[0] = 1;
    assert_eq!(count().await, expected);
    for (number, stage) in Stage::ALL.into_iter().enumerate() {
        let one = held_by(&subject, &lease).await;
        let mut change = end(stage);
        change.wake = Wake::In(LONG);
        writes(&subject, &lease, &append(one, 1, change)).await;
        expected[number] += 1;
        assert_eq!(count().await, expected, "{stage:?}");
    }
    for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 0), (0, 5)] {
        let after = finds(&subject, saga).await.records.len() as u64;
        let change = end(Stage::ALL[to]);
        writes(&subject, &lease, &append(saga, after, change)).await;
        expected[from] -= 1;
        expected[to] += 1;
        assert_eq!(count().await, expected, "from {from} to {to}");
    }
    let swept = subject
        .store()
        .sweep(std::time::Duration::ZERO, Swept::Deleted, 100)
        .await;
    assert_eq!(swept.unwrap(), 4);
    expected[4..].fill(0);
    assert_eq!(count().await, expected);
}
