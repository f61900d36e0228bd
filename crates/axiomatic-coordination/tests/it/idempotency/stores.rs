//! Stores that do not answer, or crash.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::idempotency::{MemoryIdempotency, Phases};

use super::bench::{
    Asks, Calls, Fault, Flaky, Op, Says, answer, ask, config, counting, header, is_replayed, layer,
    over, post, problem, status,
};

const NOW: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn without_its_claim_nothing_is_run() {
    let calls = Calls::default();
    let store = Flaky::new();
    let layer = layer(config(), &store);
    let service = over(&layer, counting(&calls, NOW));
    store.fail(Op::Claim, Fault::Before, 1000);
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!(
        (status(&told), &*problem(&told)),
        (503, "store-unavailable")
    );
    assert_eq!(header(&told, "retry-after"), Some("1"));
    assert_eq!((calls.count(), layer.snapshot().unavailable), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_the_store_are_asked_for_again() {
    let calls = Calls::default();
    let store = Flaky::new();
    for op in [Op::Claim, Op::Complete] {
        store.fail(op, Fault::Before, 2);
        store.fail(op, Fault::After, 2);
    }
    let service = over(&layer(config(), &store), counting(&calls, NOW));
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&told), is_replayed(&told)), (201, false));
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((is_replayed(&told), calls.count()), (true, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_given_before_it_is_stored() {
    // It hangs, or fails, for as long as the lease lasts.
    for fault in [Fault::Hang, Fault::Before] {
        let calls = Calls::default();
        let store = Flaky::new();
        store.fail(Op::Complete, fault, 1000);
        let layer = layer(config(), &store);
        let service = over(&layer, counting(&calls, NOW));
        let before = tokio::time::Instant::now();
        let told = ask(&service, post("k", "x")).await.unwrap();
        let took = before.elapsed();
        assert_eq!(problem(&told), "store-unavailable", "{fault:?}");
        assert!(took > MINUTE / 2 && took <= MINUTE + SECOND, "{took:?}");
        assert_eq!(layer.snapshot().unavailable, 1);
    }
    // It is done, and nobody hears of it: the repeat does.
    let calls = Calls::default();
    let store = Flaky::new();
    store.fail(Op::Complete, Fault::After, 1000);
    let service = over(&layer(config(), &store), counting(&calls, NOW));
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!(problem(&told), "store-unavailable");
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&told), is_replayed(&told)), (201, true));
    assert_eq!(calls.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_costs_the_rest_of_the_lease() {
    let calls = Calls::default();
    let counted = calls.clone();
    let store = Flaky::new();
    store.fail(Op::Release, Fault::Before, 1000);
    let handler = move |_: Asks| {
        let says = if counted.add() == 1 { 500 } else { 201 };
        async move { Says::Ok(answer(says, "")) }
    };
    let service = over(&layer(config(), &store), handler);
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!(status(&told), 500);
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!(status(&told), 409);
    tokio::time::advance(MINUTE).await;
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!(status(&told), 201);
}

/// A database that crashes at the n-th step, for every n: before or after the
/// claim, an atomic phase, a foreign phase, the answer.
#[tokio::test(start_paused = true)]
async fn wherever_the_database_crashes_each_effect_happens_once() {
    let mut crashes = 0;
    for step in 0.. {
        let database = Memory::new();
        let store = MemoryIdempotency::new(&database);
        let sent: Arc<Mutex<Vec<_>>> = Arc::default();
        let outside = Arc::clone(&sent);
        let handler = move |request: Asks| {
            let outside = Arc::clone(&outside);
            async move {
                type Store = MemoryIdempotency;
                let phases = request.extensions().get::<Phases<Store>>().unwrap();
                let book = phases.phase("book").atomic(|tx| {
                    let booked = tx.read("booked").map_or(0, |booked| booked.len()) + 1;
                    tx.put("booked", vec![0; booked]);
                    Ok::<_, Infallible>(booked)
                });
                let Ok(booked) = book.await else {
                    return Says::Ok(answer(500, ""));
                };
                let send = phases.phase("send").foreign(|key| {
                    outside.lock().unwrap().push(key);
                    async { Ok::<_, Infallible>(()) }
                });
                match send.await {
                    Ok(()) => Says::Ok(answer(201, format!("booking {booked}"))),
                    Err(_) => Says::Ok(answer(500, "")),
                }
            }
        };
        let service = over(&layer(config(), &store), handler);
        database.crash_at(step);
        let mut told = ask(&service, post("k", "x")).await.unwrap();
        let has_crashed = database.is_down();
        crashes += usize::from(has_crashed);
        for _ in 0..5 {
            database.restart();
            if status(&told) == 201 {
                break;
            }
            // Until the lease has ended, if it could not be given up.
            tokio::time::advance(MINUTE).await;
            told = ask(&service, post("k", "x")).await.unwrap();
        }
        assert_eq!(
            (status(&told), told.body().as_ref()),
            (201, &b"booking 1"[..]),
            "{step}"
        );
        let booked = database.read("booked").unwrap();
        assert_eq!(booked.len(), 1, "crashed at step {step}");
        let sent = sent.lock().unwrap().clone();
        assert!(
            sent.iter().all(|key| *key == sent[0]),
            "crashed at step {step}"
        );
        let again = ask(&service, post("k", "x")).await.unwrap();
        assert!(is_replayed(&again) && again.body() == told.body());
        if !has_crashed {
            break;
        }
    }
    assert_eq!(crashes, 8, "four transactions, each at two steps");
}
