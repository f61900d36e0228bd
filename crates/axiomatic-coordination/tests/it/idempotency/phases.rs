//! Phases, as the code that handles a request uses them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axiomatic_coordination::Memory;
use axiomatic_coordination::idempotency::{
    Claimed, DerivedKey, Fingerprint, MemoryIdempotency, PhaseError, Phases, Store,
};

use super::bench::{
    Asks, Calls, Flaky, Says, answer, ask, claim_of, config, layer, name, over, post, status,
};

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

#[tokio::test(start_paused = true)]
async fn a_repeat_goes_on_from_the_last_phase() {
    let store = Flaky::new();
    let layer = layer(config(), &store);
    let (booked, sent, calls) = (Calls::default(), Arc::default(), Calls::default());
    let effects = (booked.clone(), Arc::clone(&sent), calls.clone());
    let handler = move |request: Asks| {
        let (booked, sent, calls) = effects.clone();
        let sent: Arc<Mutex<Vec<_>>> = sent;
        async move {
            let phases = request.extensions().get::<Phases<Flaky>>().unwrap();
            let call = calls.add();
            assert_eq!(phases.attempts() as usize, call);
            let work = |_| async { Ok::<_, ()>(booked.add()) };
            let number = phases.phase("book").foreign(work).await.unwrap();
            let work = |key: DerivedKey| {
                sent.lock().unwrap().push(key);
                async move { if call < 3 { Err(()) } else { Ok(()) } }
            };
            match phases.phase("send").foreign(work).await {
                Ok(()) => Says::Ok(answer(201, format!("booking {number}"))),
                Err(_) => Says::Ok(answer(502, "the mail is down")),
            }
        }
    };
    let service = over(&layer, handler);
    for says in [502, 502, 201, 201] {
        let told = ask(&service, post("k", "x")).await.unwrap();
        assert_eq!(status(&told), says);
    }
    assert_eq!((booked.count(), calls.count()), (1, 3));
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 3);
    assert!(
        sent.iter().all(|key| *key == sent[0]),
        "one key for the other side"
    );
    let counted = layer.snapshot();
    assert_eq!(
        (counted.resumed, counted.released, counted.completed),
        (2, 2, 1)
    );
}
