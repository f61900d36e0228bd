//! Laws of what was done of a request.

use serde_json::json;

use super::{Script, Subject, claim, mine, name, phases, releases, step};
use crate::idempotency::{Fence, Kind, PhaseError, Store};

/// Atomic and foreign phases, and their results; what was done is not done
/// again.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn a_released_request_goes_on_from_its_last_step<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("in phases");
    let ours = mine(&subject, &claim(&name)).await;
    let first = phases(&subject, &name, &ours);
    let booked = subject.atomic(&first, "book", Script::Succeed).await;
    assert_eq!(booked.unwrap(), "BOOK");
    let charge = first.phase("charge");
    let first_key = charge.derived_key();
    let charged = charge.foreign(|_| async { Ok::<_, ()>(17) }).await;
    assert_eq!(charged.unwrap(), 17);
    releases(&subject, &ours).await;

    let ours = mine(&subject, &claim(&name)).await;
    let again = phases(&subject, &name, &ours);
    assert_eq!(again.steps(), first.steps());
    let booked = subject.atomic(&again, "book", Script::Fail).await;
    assert_eq!(booked.unwrap(), "BOOK", "it is not done again");
    let charge = again.phase("charge");
    assert_eq!(charge.derived_key(), first_key);
    let charged = charge.foreign(|_| async { Err::<i32, _>(()) }).await;
    assert_eq!(charged.unwrap(), 17, "it is not done again");
    let noted = subject.atomic(&again, "note", Script::Succeed).await;
    assert_eq!(noted.unwrap(), "NOTE");
    assert_eq!(subject.effects().await, ["book", "note"]);
}

/// With values of any shape, and kinds as they were.
///
/// # Panics
///
/// If the law is broken.
pub async fn steps_are_kept_in_their_order<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("steps");
    let ours = mine(&subject, &claim(&name)).await;
    let steps: Vec<_> = (0..20)
        .map(|n| {
            // Neither the order of names nor that of values is theirs.
            let mut step = step(
                &format!("{}", (n * 7) % 20),
                json!({"n": -n, "text": "one\ntwo\u{2028}\u{e9}'\"\\", "none": null}),
            );
            if n % 2 == 0 {
                step.kind = Kind::Atomic;
            }
            step
        })
        .collect();
    for step in &steps {
        let held = subject.store().record(&ours.lease, step).await;
        assert_eq!(held.unwrap(), Fence::Held);
    }
    releases(&subject, &ours).await;
    assert_eq!(mine(&subject, &claim(&name)).await.steps, steps);
}

/// As when the answer to the first was lost.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_step_recorded_again_is_one<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("again");
    let ours = mine(&subject, &claim(&name)).await;
    // One name is the beginning of the other.
    let steps = [step("charge", 1), step("charge 2", 2)];
    for step in [&steps[1], &steps[0], &steps[0], &steps[1]] {
        let held = subject.store().record(&ours.lease, step).await;
        assert_eq!(held.unwrap(), Fence::Held);
    }
    releases(&subject, &ours).await;
    let [first, second] = steps;
    assert_eq!(mine(&subject, &claim(&name)).await.steps, [second, first]);
}

/// Neither an effect nor a step: the next run does it.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_phase_that_fails_leaves_nothing<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("failing");
    let ours = mine(&subject, &claim(&name)).await;
    let first = phases(&subject, &name, &ours);
    let failed = subject.atomic(&first, "book", Script::Fail).await;
    assert!(matches!(failed, Err(PhaseError::Work(_))), "{failed:?}");
    let work = |_| async { Err::<i32, _>("no") };
    let failed = first.phase("charge").foreign(work).await;
    assert!(matches!(failed, Err(PhaseError::Work("no"))), "{failed:?}");
    assert_eq!(subject.effects().await, [""; 0]);
    releases(&subject, &ours).await;

    let ours = mine(&subject, &claim(&name)).await;
    assert_eq!(ours.steps, []);
    let again = phases(&subject, &name, &ours);
    let booked = subject.atomic(&again, "book", Script::Succeed).await;
    assert_eq!(booked.unwrap(), "BOOK");
    assert_eq!(subject.effects().await, ["book"]);
}
