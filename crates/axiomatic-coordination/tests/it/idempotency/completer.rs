//! Requests whose clients do not come back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Why;
use axiomatic_coordination::idempotency::http::{Config, Resumed};
use axiomatic_coordination::idempotency::{Claimed, Fingerprint, Phases, Store, StoredRequest};
use bytes::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt, Full};
use tower::{Layer, service_fn};

use super::bench::{
    Asks, Calls, Fault, Flaky, Op, Says, answer, ask, claim_of, config, counting, is_replayed,
    layer, name, post, status,
};

const MINUTE: Duration = Duration::from_secs(60);

fn resumable() -> Config {
    config().resumable(true)
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_request_is_run_without_its_client() {
    let layer = layer(resumable(), &Flaky::new());
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let booked = Calls::default();
    let effects = (Arc::clone(&seen), booked.clone());
    let handler = service_fn(move |request: Asks| {
        let (seen, booked) = effects.clone();
        async move {
            let (parts, body) = request.into_parts();
            let phases = parts.extensions.get::<Phases<Flaky>>().unwrap();
            let work = |_| async { Ok::<_, ()>(booked.add()) };
            phases.phase("book").foreign(work).await.unwrap();
            let body = body.collect().await.unwrap().to_bytes();
            let headers = parts.headers;
            let mut seen = seen.lock().unwrap();
            let secret = headers.contains_key("authorization");
            let kind = headers["content-type"].to_str().unwrap().to_owned();
            seen.push((parts.method, parts.uri, kind, body, secret));
            match seen.len() {
                1 => Says::Ok(answer(503, "come back")),
                _ => Says::Ok(answer(201, "done")),
            }
        }
    });
    let service = layer.layer(handler.clone());
    let completer = layer.completer::<_, Full<Bytes>>(handler);
    let mut request = post("k", "12.50");
    let secret = "Bearer x".parse().unwrap();
    request.headers_mut().insert("authorization", secret);
    let told = ask(&service, request).await.unwrap();
    assert_eq!(status(&told), 503);

    assert_eq!(
        completer.run_once().await.unwrap(),
        Resumed::Nothing,
        "its client goes first"
    );
    tokio::time::advance(MINUTE).await;
    assert_eq!(completer.run_once().await.unwrap(), Resumed::Answered);
    assert_eq!(completer.run_once().await.unwrap(), Resumed::Nothing);
    assert_eq!(booked.count(), 1);
    {
        let seen = seen.lock().unwrap();
        let [first, second] = &seen[..] else {
            panic!("{seen:?}");
        };
        assert!(first.4 && !second.4, "no credentials are kept");
        assert_eq!(
            (&first.0, &first.1, &first.2, &first.3),
            (&second.0, &second.1, &second.2, &second.3)
        );
    }
    let told = ask(&service, post("k", "12.50")).await.unwrap();
    assert_eq!((status(&told), is_replayed(&told)), (201, true));
    let counted = layer.snapshot();
    assert_eq!(
        (counted.adopted, counted.resumed, counted.given_up),
        (1, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_not_stored_is_left_to_its_client() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |_: Asks| {
        counted.add();
        async { Says::Ok(answer(503, "")) }
    });
    let layer = layer(config(), &Flaky::new());
    ask(&layer.layer(handler.clone()), post("k", "x"))
        .await
        .unwrap();
    tokio::time::advance(2 * MINUTE).await;
    let completer = layer.completer::<_, Full<Bytes>>(handler);
    assert_eq!(completer.run_once().await.unwrap(), Resumed::Nothing);
    assert_eq!(calls.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_always_fails_is_given_up() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |_: Asks| {
        let call = counted.add();
        async move {
            assert_ne!(call, 2, "a panic is a failure, too");
            Says::Ok(answer(500, ""))
        }
    });
    let layer = layer(resumable(), &Flaky::new());
    ask(&layer.layer(handler.clone()), post("k", "x"))
        .await
        .unwrap();
    let completer = layer.completer::<_, Full<Bytes>>(handler).attempts(3);
    for _ in 0..3 {
        tokio::time::advance(MINUTE).await;
        assert_eq!(completer.run_once().await.unwrap(), Resumed::NotYet);
    }
    tokio::time::advance(MINUTE).await;
    assert_eq!(completer.run_once().await.unwrap(), Resumed::Nothing);
    assert_eq!(calls.count(), 4, "once by its client, and three times more");
    assert_eq!(completer.snapshot().given_up, 1);
}

#[tokio::test(start_paused = true)]
async fn two_completers_run_each_request_once() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |_: Asks| {
        let call = counted.add();
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Says::Ok(answer(if call <= 10 { 503 } else { 201 }, ""))
        }
    });
    let layer = layer(resumable(), &Flaky::new());
    let service = layer.layer(handler.clone());
    for key in 0..10 {
        ask(&service, post(&format!("k{key}"), "x")).await.unwrap();
    }
    let completers = [(); 2].map(|()| layer.completer::<_, Full<Bytes>>(handler.clone()));
    let running = completers
        .iter()
        .map(|completer| completer.run(tokio::time::sleep(5 * MINUTE)));
    join_all(running).await;
    assert_eq!(calls.count(), 20);
    let counted = layer.snapshot();
    assert_eq!((counted.adopted, counted.completed), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn a_completer_forgets_keys_and_goes_on_when_the_store_fails() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |_: Asks| {
        let says = if counted.add() == 1 { 503 } else { 201 };
        async move { Says::Ok(answer(says, "")) }
    });
    let store = Flaky::new();
    store.fail(Op::Adopt, Fault::Before, 3);
    let layer = layer(resumable(), &store);
    let service = layer.layer(handler.clone());
    ask(&service, post("k", "x")).await.unwrap();
    let completer = layer.completer::<_, Full<Bytes>>(handler);
    let day = Config::LEAST_RETENTION;
    completer.run(tokio::time::sleep(day + 5 * MINUTE)).await;
    assert_eq!(calls.count(), 2);
    assert_eq!(completer.snapshot().unavailable, 3);
    assert_eq!(completer.sweep().await.unwrap(), 0, "it is swept");
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((is_replayed(&told), calls.count()), (false, 3));
}

#[tokio::test(start_paused = true)]
async fn a_stored_request_that_is_none_is_an_error_and_not_run() {
    let store = Flaky::new();
    let name = name("k");
    let damaged = StoredRequest {
        method: "no method".into(),
        uri: "/".into(),
        headers: Vec::new(),
        body: Bytes::new(),
    };
    let mut claim = claim_of(&name, Fingerprint([1; 32]));
    claim.request = Some(&damaged);
    assert!(matches!(store.claim(&claim).await, Ok(Claimed::Mine(_))));
    tokio::time::advance(3 * MINUTE).await;
    let calls = Calls::default();
    let handler = service_fn(counting(&calls, Duration::ZERO));
    let completer = layer(resumable(), &store).completer::<_, Full<Bytes>>(handler);
    let error = completer.run_once().await.unwrap_err();
    assert_eq!((error.why(), calls.count()), (Why::Corrupt, 0));
}
