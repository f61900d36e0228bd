//! Clients that go away, handlers that fail, and leases that are lost.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::idempotency::http::{Config, InProgress};
use axiomatic_coordination::idempotency::{Claimed, Fence, Fingerprint, Store, StoredResponse};
use futures::FutureExt;
use tokio::sync::Notify;
use tower::{Layer, ServiceExt, service_fn};

use super::bench::{
    Asks, Calls, Fault, Flaky, Op, Says, answer, ask, claim_of, config, counting, is_replayed,
    layer, name, over, post, problem, status,
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
