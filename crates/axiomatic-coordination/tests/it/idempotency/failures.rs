//! Clients that go away, handlers that fail, and stores that do not answer.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::idempotency::http::{Config, InProgress};
use axiomatic_coordination::idempotency::{
    Claimed, Fence, Fingerprint, MemoryIdempotency, Phases, Store, StoredResponse,
};
use bytes::Bytes;
use futures::FutureExt;
use http::Response;
use http_body_util::StreamBody;
use tokio::sync::Notify;
use tower::{Layer, ServiceExt, service_fn};

use super::bench::{
    Asks, Calls, Fault, Flaky, Op, Says, answer, ask, claim_of, config, counting, header,
    is_replayed, layer, name, over, post, problem, status,
};

const NOW: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Those of every request of these tests.
fn one_fingerprint(config: Config) -> Config {
    use axiomatic_coordination::idempotency::http::Fingerprints;
    config.fingerprint(Fingerprints::by(|_, _| Fingerprint([1; 32])))
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_does_not_stop_its_request() {
    // At each poll of the answer in turn, until it comes before that.
    let mut polls = 0;
    loop {
        let calls = Calls::default();
        let store = Flaky::new();
        let service = over(&layer(config(), &store), counting(&calls, SECOND));
        let mut asking = Box::pin(service.clone().oneshot(post("k", "x")));
        let mut is_answered = false;
        for _ in 0..polls {
            let polled = futures::poll!(&mut asking);
            is_answered = polled.is_ready();
            if is_answered {
                break;
            }
            tokio::time::advance(SECOND / 4).await;
        }
        drop(asking);
        if is_answered {
            assert!(polls > 3, "it was never interrupted");
            return;
        }
        tokio::time::sleep(2 * SECOND).await;
        let before = calls.count();
        assert_eq!(before, usize::from(polls > 0), "after {polls} polls");
        let told = ask(&service, post("k", "x")).await.unwrap();
        assert_eq!((status(&told), is_replayed(&told)), (201, polls > 0));
        assert_eq!(calls.count(), 1);
        polls += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_client_goes_away_is_run_all_the_same() {
    // The store has done it, and nobody is there to hear: the claim is asked
    // again, by the task.
    let calls = Calls::default();
    let store = Flaky::new();
    store.fail(Op::Claim, Fault::After, 1);
    let service = over(&layer(config(), &store), counting(&calls, NOW));
    let mut asking = Box::pin(service.clone().oneshot(post("k", "x")));
    assert!(futures::poll!(&mut asking).is_pending());
    tokio::task::yield_now().await;
    drop(asking);
    tokio::time::sleep(SECOND).await;
    assert_eq!(calls.count(), 1);
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert!(is_replayed(&told));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_longer_than_its_lease_keeps_it() {
    let calls = Calls::default();
    let store = Flaky::new();
    // Some answers of the store are lost, and some hang for a while.
    store.fail(Op::Renew, Fault::Before, 3);
    store.fail(Op::Renew, Fault::After, 2);
    let service = over(&layer(config(), &store), counting(&calls, 10 * MINUTE));
    let asking = tokio::spawn({
        let service = service.clone();
        async move { ask(&service, post("k", "x")).await.unwrap() }
    });
    for _ in 0..19 {
        tokio::time::sleep(MINUTE / 2).await;
        let told = ask(&service, post("k", "x")).await.unwrap();
        assert_eq!(status(&told), 409);
    }
    assert_eq!(status(&asking.await.unwrap()), 201);
    assert_eq!(calls.count(), 1);
}

/// Tells when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A handler that never ends, and tells when it is stopped.
fn endless(
    stopped: &Arc<Notify>,
) -> impl Fn(Asks) -> futures::future::BoxFuture<'static, Says> + Clone + Send + 'static {
    let stopped = Arc::clone(stopped);
    move |_| {
        let dropped = Dropped(Arc::clone(&stopped));
        Box::pin(async move {
            let _dropped = dropped;
            std::future::pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_lease_is_lost_is_stopped_and_its_client_finds_the_others_answer() {
    let store = Flaky::new();
    let stopped = Arc::new(Notify::new());
    let config = one_fingerprint(config()).in_progress(InProgress::Wait(10 * MINUTE));
    let layer = layer(config, &store);
    let service = over(&layer, endless(&stopped));
    let asking = tokio::spawn(async move { ask(&service, post("k", "x")).await.unwrap() });
    tokio::time::sleep(SECOND).await;

    // Another process sees the lease at its end, and has the request.
    let name = name("k");
    let record = match store.claim(&claim_of(&name, Fingerprint([1; 32]))).await {
        Ok(Claimed::InProgress { lease_ends_in }) => lease_ends_in,
        other => panic!("{other:?}"),
    };
    store.fail(Op::Renew, Fault::Hang, 1);
    tokio::time::sleep(record).await;
    let ours = match store.claim(&claim_of(&name, Fingerprint([1; 32]))).await {
        Ok(Claimed::Mine(mine)) => mine,
        other => panic!("{other:?}"),
    };
    assert_eq!(ours.attempts, 2);
    // Never, if nobody stops it.
    let stopped = tokio::time::timeout(MINUTE, stopped.notified()).await;
    stopped.expect("the zombie goes on");
    tokio::time::sleep(SECOND).await;
    let response = StoredResponse {
        status: 202,
        headers: Vec::new(),
        body: "by another".into(),
    };
    let done = store.complete(&ours.lease, &response, MINUTE).await;
    assert_eq!(done.unwrap(), Fence::Held);
    let told = asking.await.unwrap();
    assert_eq!((status(&told), is_replayed(&told)), (202, true));
    assert_eq!(told.body(), "by another");
    assert_eq!(layer.snapshot().lost, 1);
}

#[tokio::test(start_paused = true)]
async fn a_zombies_answer_is_not_given() {
    // It does not hear that its lease is lost, and comes to its end.
    let store = Flaky::new();
    let go = Arc::new(Notify::new());
    let waits = Arc::clone(&go);
    let handler = move |_: Asks| {
        let waits = Arc::clone(&waits);
        async move {
            waits.notified().await;
            Says::Ok(answer(201, "by the zombie"))
        }
    };
    let layer = layer(one_fingerprint(config()), &store);
    let service = over(&layer, handler);
    let asking = tokio::spawn(async move { ask(&service, post("k", "x")).await.unwrap() });
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    let name = name("k");
    // Its lease is made to end now, and another has it.
    let claimed = store.claim(&claim_of(&name, Fingerprint([1; 32]))).await;
    assert!(
        matches!(claimed, Ok(Claimed::InProgress { .. })),
        "{claimed:?}"
    );
    store.fail(Op::Renew, Fault::Hang, 1);
    tokio::time::sleep(59 * SECOND).await;
    let memory = &store.inner;
    let claimed = loop {
        // The zombie's own clock is behind the store's by a moment.
        tokio::time::advance(SECOND).await;
        match memory.claim(&claim_of(&name, Fingerprint([1; 32]))).await {
            Ok(Claimed::Mine(mine)) => break mine,
            Ok(Claimed::InProgress { .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    go.notify_one();
    let told = asking.await.unwrap();
    assert_eq!(problem(&told), "in-progress");
    let again = memory.claim(&claim_of(&name, Fingerprint([1; 32]))).await;
    assert!(matches!(again, Ok(Claimed::InProgress { .. })), "{again:?}");
    assert_eq!(claimed.attempts, 2);
    assert_eq!(layer.snapshot().lost, 1);
}

#[tokio::test(start_paused = true)]
async fn a_handlers_panic_reaches_its_client_and_the_repeat_runs() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move |_: Asks| {
        let call = counted.add();
        async move {
            assert!(call > 1, "the first call");
            Says::Ok(answer(201, "done"))
        }
    };
    let service = over(&layer(config(), &Flaky::new()), handler);
    let asking = std::panic::AssertUnwindSafe(ask(&service, post("k", "x")));
    let panic = asking.catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the first call"));
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&told), calls.count()), (201, 2));
}

#[tokio::test(start_paused = true)]
async fn a_handlers_error_reaches_its_client_and_the_repeat_runs() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |_: Asks| {
        let call = counted.add();
        async move {
            match call {
                1 => Err("not today"),
                _ => Ok(answer(201, "done")),
            }
        }
    });
    let service = layer(config(), &Flaky::new()).layer(handler);
    assert_eq!(
        ask(&service, post("k", "x")).await.unwrap_err(),
        "not today"
    );
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&told), calls.count()), (201, 2));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_not_stored() {
    /// Says that it is longer than it is.
    struct Broken(StreamBody<futures::stream::Once<std::future::Ready<Frame>>>);
    type Frame = Result<http_body::Frame<Bytes>, &'static str>;
    impl http_body::Body for Broken {
        type Data = Bytes;
        type Error = &'static str;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> Poll<Option<Frame>> {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }
        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(4)
        }
    }
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |_: Asks| {
        let frame = match counted.add() {
            1 => Err("the disk is gone"),
            _ => Ok(http_body::Frame::data("done".into())),
        };
        let body = Broken(StreamBody::new(futures::stream::once(std::future::ready(
            frame,
        ))));
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let service = layer(config(), &Flaky::new()).layer(handler);
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&told), &*problem(&told)), (500, "response-failed"));
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&told), told.body().as_ref()), (200, &b"done"[..]));
    assert_eq!(calls.count(), 2);
}

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
        let sent = sent.lock().unwrap();
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
