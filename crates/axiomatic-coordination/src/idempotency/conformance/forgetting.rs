//! Laws of how long keys are remembered.

use super::{
    LONG, SHORT, Subject, claim, claims, completes, end_of_short, mine, name, releases, response,
    step,
};
use crate::idempotency::{Claimed, Fence, Fingerprint, Mine, Name, Store};

/// Complete, and remembered for [`SHORT`] only, which is over.
async fn one_that_is_old<S: Subject>(subject: &S, name: &Name) -> Mine {
    let ours = mine(subject, &claim(name)).await;
    let store = subject.store();
    let done = store.complete(&ours.lease, &response("old"), SHORT).await;
    assert_eq!(done.unwrap(), Fence::Held);
    end_of_short(subject).await;
    ours
}

/// Then it is new, and may be of another request; whoever had it before has
/// lost it. It does not wait for a sweep.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn a_key_is_forgotten_when_its_retention_ends<S: Subject>() {
    let subject = S::fresh().await;
    let store = subject.store();
    let complete = name("complete");
    let old = one_that_is_old(&subject, &complete).await;
    let mut again = claim(&complete);
    again.fingerprint = Fingerprint([9; 32]);
    let ours = mine(&subject, &again).await;
    assert_eq!((ours.attempts, ours.steps.len()), (1, 0));
    assert_eq!(ours.lease.record, again.owner.0, "another record");
    let late = store.complete(&old.lease, &response("late"), LONG).await;
    assert_eq!(late.unwrap(), Fence::Lost);
    completes(&subject, &ours, "new").await;

    // Neither complete nor released: the lease has ended, too.
    let dead = name("dead");
    let mut short = claim(&dead);
    (short.lease, short.retention) = (SHORT, SHORT);
    let old = mine(&subject, &short).await;
    let held = store.record(&old.lease, &step("done", 1)).await;
    assert_eq!(held.unwrap(), Fence::Held);
    end_of_short(&subject).await;
    let ours = mine(&subject, &claim(&dead)).await;
    assert_eq!((ours.attempts, ours.steps.len()), (1, 0));
    assert_ne!(ours.lease.record, old.lease.record);
    assert_eq!(store.renew(&old.lease, LONG).await.unwrap(), Fence::Lost);
    let late = store.record(&old.lease, &step("late", 1)).await;
    assert_eq!(late.unwrap(), Fence::Lost);
    assert_eq!(store.release(&old.lease).await.unwrap(), Fence::Lost);

    // While it is remembered, nothing forgets it.
    let kept = name("kept");
    let ours = mine(&subject, &claim(&kept)).await;
    completes(&subject, &ours, "kept").await;
    assert_eq!(store.sweep(10).await.unwrap(), 0);
    let answer = claims(&subject, &claim(&kept)).await;
    assert_eq!(answer, Claimed::Completed(response("kept")));
}

/// Or two would run it.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_key_whose_lease_is_held_is_not_forgotten<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("runs");
    let mut long = claim(&name);
    long.retention = SHORT;
    let ours = mine(&subject, &long).await;
    end_of_short(&subject).await;
    assert_eq!(subject.store().sweep(10).await.unwrap(), 0);
    let other = claims(&subject, &claim(&name)).await;
    assert!(matches!(other, Claimed::InProgress { .. }), "{other:?}");
    // The end of the run gives it a retention of its own.
    completes(&subject, &ours, "done").await;
    let answer = claims(&subject, &claim(&name)).await;
    assert_eq!(answer, Claimed::Completed(response("done")));
}

/// # Panics
///
/// If the law is broken.
pub async fn keys_are_forgotten_in_pieces<S: Subject>() {
    let subject = S::fresh().await;
    let store = subject.store();
    let complete = name("complete");
    let old = one_that_is_old(&subject, &complete).await;
    for number in 0..4 {
        let name = name(&format!("{number}"));
        let mut short = claim(&name);
        (short.lease, short.retention) = (SHORT, SHORT);
        let ours = mine(&subject, &short).await;
        if number == 0 {
            releases(&subject, &ours).await;
        }
    }
    end_of_short(&subject).await;
    let kept = name("kept");
    let ours = mine(&subject, &claim(&kept)).await;
    assert_eq!(store.sweep(0).await.unwrap(), 0);
    assert_eq!(store.sweep(2).await.unwrap(), 2);
    assert_eq!(store.sweep(2).await.unwrap(), 2);
    assert_eq!(store.sweep(2).await.unwrap(), 1);
    assert_eq!(store.sweep(2).await.unwrap(), 0);
    completes(&subject, &ours, "kept").await;
    let late = store.complete(&old.lease, &response("late"), LONG).await;
    assert_eq!(late.unwrap(), Fence::Lost, "forgotten");
    let again = mine(&subject, &claim(&complete)).await;
    assert_eq!(again.attempts, 1, "forgotten");
}
