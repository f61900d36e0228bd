//! Phases, as the code that handles a request uses them.

use std::convert::Infallible;

use axiomatic_coordination::Memory;
use axiomatic_coordination::idempotency::{
    Claimed, Fingerprint, MemoryIdempotency, PhaseError, Phases, Store,
};

use super::bench::{claim_of, name};

/// The next run of the request of this key.
async fn run(store: &MemoryIdempotency, key: &str) -> Phases<MemoryIdempotency> {
    let name = name(key);
    let claimed = store.claim(&claim_of(&name, Fingerprint([1; 32]))).await;
    match claimed.unwrap() {
        Claimed::Mine(mine) => Phases::new(store.clone(), name.clone(), mine),
        other => panic!("{other:?}"),
    }
}

async fn foreign(phases: &Phases<MemoryIdempotency>, name: &'static str, value: i32) -> i32 {
    let work = |_| async move { Ok::<_, Infallible>(value) };
    phases.phase(name).foreign(work).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_phases_of_one_name_are_an_error() {
    let store = MemoryIdempotency::new(&Memory::new());
    let phases = run(&store, "k").await;
    assert_eq!(foreign(&phases, "charge", 1).await, 1);
    let clone = phases.clone();
    let twice = clone
        .phase("charge")
        .foreign(|_| async { Ok::<_, Infallible>(2) })
        .await;
    assert!(
        matches!(twice, Err(PhaseError::Twice("charge"))),
        "{twice:?}"
    );
    let twice = phases
        .phase("charge")
        .atomic(|_| Ok::<_, Infallible>(3))
        .await;
    assert!(
        matches!(twice, Err(PhaseError::Twice("charge"))),
        "{twice:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_not_the_phases_is_an_error() {
    let store = MemoryIdempotency::new(&Memory::new());
    let phases = run(&store, "k").await;
    foreign(&phases, "charge", 1).await;
    let _ = store.release(phases.lease()).await.unwrap();
    // The code has changed while the request was under way.
    let again = run(&store, "k").await;
    let other = again
        .phase("charge")
        .atomic(|_| Ok::<_, Infallible>(1))
        .await;
    assert!(
        matches!(other, Err(PhaseError::Value("charge", _))),
        "{other:?}"
    );
    let work = |_| async { Ok::<_, Infallible>("text".to_owned()) };
    let other = again.phase("charge").foreign(work).await;
    assert!(
        matches!(other, Err(PhaseError::Value("charge", _))),
        "{other:?}"
    );
    assert_eq!(again.steps(), phases.steps());
}

#[tokio::test(start_paused = true)]
async fn a_derived_key_is_that_of_no_other_phase_and_no_other_request() {
    let store = MemoryIdempotency::new(&Memory::new());
    let one = run(&store, "one").await;
    let other = run(&store, "other").await;
    let keys = [
        one.phase("a").derived_key(),
        one.phase("b").derived_key(),
        other.phase("a").derived_key(),
    ];
    assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
    assert_eq!(one.clone().phase("a").derived_key(), keys[0]);
    assert_eq!(keys[0].0.get_version_num(), 5);
}
