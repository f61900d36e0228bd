//! Laws of requests that are run without their clients.

use std::collections::HashSet;
use std::time::Duration;

use super::{
    LONG, SHORT, Subject, adopt, adopts, claim, claims, completes, end_of_short, mine, name,
    releases, request, step,
};
use crate::idempotency::{Claimed, Fence, Mine, Name, Store, StoredRequest};

/// A stored request, given up.
async fn abandoned<S: Subject>(subject: &S, name: &Name, request: &StoredRequest) -> Mine {
    let mut stored = claim(name);
    stored.request = Some(request);
    let ours = mine(subject, &stored).await;
    releases(subject, &ours).await;
    ours
}

/// It comes with its key, as it was, and with what was done of it.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn only_what_was_stored_and_abandoned_long_enough_is_adopted<S: Subject>() {
    let subject = S::fresh().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let request = request(bytes);
    // One is not stored, and one runs.
    let bare = name("bare");
    let ours = mine(&subject, &claim(&bare)).await;
    releases(&subject, &ours).await;
    let running = name("running");
    let mut stored = claim(&running);
    stored.request = Some(&request);
    mine(&subject, &stored).await;
    assert_eq!(adopts(&subject, &adopt()).await, None);

    // One has died.
    let dead = name("dead");
    let mut stored = claim(&dead);
    (stored.request, stored.lease) = (Some(&request), SHORT);
    let first = mine(&subject, &stored).await;
    let done = step("done", "before");
    let held = subject.store().record(&first.lease, &done).await;
    assert_eq!(held.unwrap(), Fence::Held);
    end_of_short(&subject).await;
    let mut patient = adopt();
    patient.abandoned_for = LONG;
    assert_eq!(adopts(&subject, &patient).await, None, "not long enough");
    let adopter = adopt();
    let adopted = adopts(&subject, &adopter).await.expect("one is abandoned");
    assert_eq!((&adopted.name, &adopted.request), (&dead, &request));
    assert_eq!(adopted.mine.steps, [done]);
    assert_eq!(adopted.mine.attempts, 2);
    assert_eq!(adopted.mine.lease.record, first.lease.record);
    assert!(adopted.mine.lease.epoch > first.lease.epoch);
    // Its answer was lost.
    assert_eq!(adopts(&subject, &adopter).await, Some(adopted.clone()));
    assert_eq!(adopts(&subject, &adopt()).await, None, "it is adopted");
    let other = claims(&subject, &claim(&dead)).await;
    assert!(matches!(other, Claimed::InProgress { .. }), "{other:?}");
    let renewed = subject.store().renew(&first.lease, LONG).await.unwrap();
    assert_eq!(renewed, Fence::Lost, "a zombie");
    completes(&subject, &adopted.mine, "done").await;
}

/// # Panics
///
/// If the law is broken.
pub async fn what_is_abandoned_longest_is_adopted_first<S: Subject>() {
    let subject = S::fresh().await;
    let request = request("body");
    // Neither in the order of their keys nor in that of their claims.
    let names = ["3", "1", "2"].map(name);
    let mut all = Vec::new();
    for name in names.iter().rev() {
        let mut stored = claim(name);
        stored.request = Some(&request);
        all.push(mine(&subject, &stored).await);
    }
    all.swap(0, 2);
    for ours in &all {
        releases(&subject, ours).await;
        subject.elapse(Duration::from_millis(5)).await;
    }
    for name in &names {
        let adopted = adopts(&subject, &adopt()).await;
        assert_eq!(adopted.as_ref().map(|adopted| &adopted.name), Some(name));
    }
}

/// What ends its process each time is given up; a client may claim it still.
///
/// # Panics
///
/// If the law is broken.
pub async fn requests_are_adopted_as_often_as_they_may_be_claimed<S: Subject>() {
    let subject = S::fresh().await;
    let request = request("body");
    let name = name("poison");
    abandoned(&subject, &name, &request).await;
    let twice = || {
        let mut twice = adopt();
        twice.attempts = 2;
        twice
    };
    for attempt in 2..4 {
        let adopted = adopts(&subject, &twice())
            .await
            .expect("claimed too rarely");
        assert_eq!(adopted.mine.attempts, attempt);
        releases(&subject, &adopted.mine).await;
    }
    assert_eq!(
        adopts(&subject, &twice()).await,
        None,
        "claimed three times"
    );
    assert_eq!(mine(&subject, &claim(&name)).await.attempts, 4);
}

/// # Panics
///
/// If the law is broken.
pub async fn two_adopters_never_have_the_same<S: Subject>() {
    let subject = S::fresh().await;
    let request = request("body");
    for number in 0..20 {
        abandoned(&subject, &name(&format!("{number}")), &request).await;
    }
    let tasks = (0..8).map(|_| {
        let store = subject.store();
        tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(adopted) = store.adopt(&adopt()).await.unwrap() {
                all.push(adopted.name);
            }
            all
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("an adopter does not panic"));
    }
    // One that saw nothing because others had it locked may have left some.
    while let Some(adopted) = adopts(&subject, &adopt()).await {
        all.push(adopted.name);
    }
    assert_eq!(all.len(), 20);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 20);
}

/// Nor do they come back with the next sweep, or without one.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_is_complete_or_forgotten_is_not_adopted<S: Subject>() {
    let subject = S::fresh().await;
    let request = request("body");
    let complete = name("complete");
    let mut stored = claim(&complete);
    (stored.request, stored.lease) = (Some(&request), SHORT);
    let ours = mine(&subject, &stored).await;
    completes(&subject, &ours, "done").await;
    let forgotten = name("forgotten");
    let mut stored = claim(&forgotten);
    (stored.request, stored.lease) = (Some(&request), SHORT);
    stored.retention = SHORT;
    mine(&subject, &stored).await;
    end_of_short(&subject).await;
    assert_eq!(adopts(&subject, &adopt()).await, None);
    assert_eq!(subject.store().sweep(10).await.unwrap(), 1);
    assert_eq!(adopts(&subject, &adopt()).await, None);
}
