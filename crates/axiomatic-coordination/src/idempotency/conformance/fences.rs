//! Laws of leases, and of those who had one.

use super::{
    LONG, SHORT, Script, Subject, claim, claims, completes, end_of_short, mine, name, phases,
    releases, response, step,
};
use crate::idempotency::{Claimed, Fence, Lease, Mine, Name, Owner, PhaseError, Store};

/// One whose lease has ended.
async fn one_that_ended<S: Subject>(subject: &S, name: &Name) -> Mine {
    let mut short = claim(name);
    short.lease = SHORT;
    let ours = mine(subject, &short).await;
    end_of_short(subject).await;
    ours
}

/// All that can be written for a lease, which must all be refused.
async fn everything_is_lost<S: Subject>(subject: &S, name: &Name, zombie: &Mine) {
    let store = subject.store();
    let lease = &zombie.lease;
    let phases = phases(subject, name, zombie);
    let before = subject.effects().await;
    let atomic = subject.atomic(&phases, "zombie", Script::Succeed).await;
    assert!(matches!(atomic, Err(PhaseError::Lost)), "{atomic:?}");
    let effects = subject.effects().await;
    assert_eq!(effects, before, "its work is rolled back");
    let late = step("late", "late");
    assert_eq!(store.record(lease, &late).await.unwrap(), Fence::Lost);
    assert_eq!(store.renew(lease, LONG).await.unwrap(), Fence::Lost);
}

/// And who follows goes on from the steps that are there.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn a_lease_that_ended_is_followed_by_a_higher_epoch<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("abandoned");
    let mut epoch = None;
    for attempt in 1..4 {
        let mut short = claim(&name);
        short.lease = SHORT;
        let ours = mine(&subject, &short).await;
        assert_eq!(ours.attempts, attempt);
        assert_eq!(ours.steps.len() + 1, attempt as usize);
        assert!(Some(ours.lease.epoch) > epoch, "{epoch:?} and {ours:?}");
        epoch = Some(ours.lease.epoch);
        let done = step(&format!("step {attempt}"), attempt);
        let held = subject.store().record(&ours.lease, &done).await;
        assert_eq!(held.unwrap(), Fence::Held);
        end_of_short(&subject).await;
    }
}

/// It is not the time that ends it, but who comes next: until then all can
/// still be written.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_lease_that_ended_is_held_until_another_follows<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("slow");
    let slow = one_that_ended(&subject, &name).await;
    let store = subject.store();
    let late = step("late", "late");
    let held = store.record(&slow.lease, &late).await.unwrap();
    assert_eq!(held, Fence::Held);
    let phases = phases(&subject, &name, &slow);
    let atomic = subject.atomic(&phases, "slow", Script::Succeed).await;
    assert_eq!(atomic.unwrap(), "SLOW");
    completes(&subject, &slow, "done").await;
    let again = claims(&subject, &claim(&name)).await;
    assert_eq!(again, Claimed::Completed(response("done")));
}

/// # Panics
///
/// If the law is broken.
pub async fn a_renewed_lease_does_not_end<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("renewed");
    let mut short = claim(&name);
    short.lease = SHORT;
    let ours = mine(&subject, &short).await;
    let renewed = subject.store().renew(&ours.lease, LONG).await.unwrap();
    assert_eq!(renewed, Fence::Held);
    end_of_short(&subject).await;
    let other = claims(&subject, &claim(&name)).await;
    assert!(matches!(other, Claimed::InProgress { .. }), "{other:?}");
    // And it can be made shorter.
    let renewed = subject.store().renew(&ours.lease, SHORT).await.unwrap();
    assert_eq!(renewed, Fence::Held);
    end_of_short(&subject).await;
    mine(&subject, &claim(&name)).await;
}

/// The zombie: it has slept beyond its lease, and wakes when another has the
/// request. Neither its answer nor its effects stand, and it does not end the
/// other's lease.
///
/// # Panics
///
/// If the law is broken.
pub async fn nothing_is_written_for_a_lease_that_was_followed<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("zombie");
    let zombie = one_that_ended(&subject, &name).await;
    let ours = mine(&subject, &claim(&name)).await;

    everything_is_lost(&subject, &name, &zombie).await;
    let store = subject.store();
    let answer = store.complete(&zombie.lease, &response("late"), LONG).await;
    assert_eq!(answer.unwrap(), Fence::Lost);
    assert_eq!(store.release(&zombie.lease).await.unwrap(), Fence::Lost);

    let other = claims(&subject, &claim(&name)).await;
    assert!(matches!(other, Claimed::InProgress { .. }), "{other:?}");
    releases(&subject, &ours).await;
    let next = mine(&subject, &claim(&name)).await;
    assert_eq!((next.steps, next.attempts), (Vec::new(), 3));
}

/// By another's number, or for another record.
///
/// # Panics
///
/// If the law is broken.
pub async fn only_who_has_the_lease_completes<S: Subject>() {
    let subject = S::fresh().await;
    let (first, second) = (name("first"), name("second"));
    let ours = mine(&subject, &claim(&first)).await;
    let other = mine(&subject, &claim(&second)).await;
    let of_none = Owner::unique().0;
    let wrong = [
        (ours.lease.record, ours.lease.epoch + 1),
        (ours.lease.record, 0),
        (of_none, ours.lease.epoch),
    ];
    let store = subject.store();
    for (record, epoch) in wrong {
        let lease = Lease { record, epoch };
        let wrong = store.complete(&lease, &response("wrong"), LONG).await;
        assert_eq!(wrong.unwrap(), Fence::Lost, "{lease:?}");
    }
    completes(&subject, &ours, "done").await;
    let answer = claims(&subject, &claim(&first)).await;
    assert_eq!(answer, Claimed::Completed(response("done")));
    let answer = claims(&subject, &claim(&second)).await;
    assert!(matches!(answer, Claimed::InProgress { .. }), "{answer:?}");
    completes(&subject, &other, "second").await;
}

/// But asking for the same again is answered as before.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_is_complete_or_released_is_changed_no_more<S: Subject>() {
    let subject = S::fresh().await;
    let store = subject.store();
    let completed = name("completed");
    let ours = mine(&subject, &claim(&completed)).await;
    for _ in 0..3 {
        completes(&subject, &ours, "done").await;
    }
    everything_is_lost(&subject, &completed, &ours).await;
    assert_eq!(store.release(&ours.lease).await.unwrap(), Fence::Lost);
    let answer = claims(&subject, &claim(&completed)).await;
    assert_eq!(answer, Claimed::Completed(response("done")));

    let released = name("released");
    let ours = mine(&subject, &claim(&released)).await;
    for _ in 0..3 {
        releases(&subject, &ours).await;
    }
    everything_is_lost(&subject, &released, &ours).await;
    let late = store.complete(&ours.lease, &response("late"), LONG).await;
    assert_eq!(late.unwrap(), Fence::Lost);
    let next = mine(&subject, &claim(&released)).await;
    assert_eq!(next.steps.len(), 0);
    assert!(next.lease.epoch > ours.lease.epoch, "{ours:?}, {next:?}");
    assert_eq!(store.release(&ours.lease).await.unwrap(), Fence::Lost);
}
