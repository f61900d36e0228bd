//! The tables of the layer, row by row.

use std::time::Duration;

use axiomatic_coordination::idempotency::http::{
    Config, ConfigError, InProgress, Routes, Statuses, Tenants,
};
use axiomatic_coordination::idempotency::{Phases, Scope, Store};
use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderName, Method, Request, header};
use http_body_util::{BodyExt, Full};

use super::bench::{
    Asks, Calls, Flaky, Says, Told, answer, ask, config, counting, header, is_replayed, layer,
    over, post, problem, status,
};

const NOW: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_repeat_is_answered_with_the_first_answer_to_the_byte() {
    let calls = Calls::default();
    let counted = calls.clone();
    let bytes: Vec<u8> = (0..=255).collect();
    let handler = move |_: Asks| {
        counted.add();
        let mut response = answer(201, bytes.clone());
        let headers = response.headers_mut();
        headers.append("link", "</a>; rel=a".parse().unwrap());
        headers.append("link", "</b>; rel=b".parse().unwrap());
        headers.append("set-cookie", "secret=1".parse().unwrap());
        async { Says::Ok(response) }
    };
    let service = over(&layer(config(), &Flaky::new()), handler);
    let first = ask(&service, post("\"a key\"", "x")).await.unwrap();
    assert_eq!((status(&first), first.body().len()), (201, 256));
    assert!(!is_replayed(&first));
    assert_eq!(
        header(&first, "set-cookie"),
        None,
        "not for the first either"
    );
    for _ in 0..2 {
        let mut again = ask(&service, post("\"a key\"", "x")).await.unwrap();
        assert!(is_replayed(&again));
        again.headers_mut().remove("idempotent-replayed");
        assert_eq!(again.headers(), first.headers());
        assert_eq!(again.status(), first.status());
        assert_eq!(again.body(), first.body());
    }
    assert_eq!(calls.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_requests_at_once_one_runs_and_those_that_wait_get_its_answer() {
    let calls = Calls::default();
    let config = config().in_progress(InProgress::Wait(Duration::from_secs(10)));
    let layer = layer(config, &Flaky::new());
    let service = over(&layer, counting(&calls, SECOND));
    let all = (0..32).map(|_| ask(&service, post("k", "x")));
    let all: Vec<Told> = join_all(all)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(
        all.iter()
            .all(|told| status(told) == 201 && told.body() == "call 1")
    );
    assert_eq!(all.iter().filter(|told| !is_replayed(told)).count(), 1);
    assert_eq!(calls.count(), 1);
    assert_eq!(layer.snapshot().replayed, 31);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_meanwhile_is_a_conflict_and_is_told_when_to_come_back() {
    let calls = Calls::default();
    let layer = layer(config(), &Flaky::new());
    let service = over(&layer, counting(&calls, SECOND));
    let (first, meanwhile) = tokio::join!(
        ask(&service, post("k", "x")),
        ask(&service, post("\"k\"", "x"))
    );
    assert_eq!(status(&first.unwrap()), 201);
    let meanwhile = meanwhile.unwrap();
    assert_eq!(
        (status(&meanwhile), &*problem(&meanwhile)),
        (409, "in-progress")
    );
    let seconds: u64 = header(&meanwhile, "retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    let again = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&again), calls.count()), (201, 1));
    assert_eq!(layer.snapshot().conflicts, 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_waits_so_long_and_is_told_of_a_conflict_then() {
    let calls = Calls::default();
    let config = config().in_progress(InProgress::Wait(SECOND));
    let service = over(&layer(config, &Flaky::new()), counting(&calls, 3 * SECOND));
    let first = tokio::spawn({
        let service = service.clone();
        async move { ask(&service, post("k", "x")).await }
    });
    tokio::task::yield_now().await;
    let before = tokio::time::Instant::now();
    let told = ask(&service, post("k", "x")).await.unwrap();
    let waited = before.elapsed();
    assert_eq!(problem(&told), "in-progress");
    // Time is paused, and its timers are exact to a millisecond.
    let latest = SECOND + Duration::from_millis(10);
    assert!((SECOND..latest).contains(&waited), "{waited:?}");
    assert_eq!(status(&first.await.unwrap().unwrap()), 201);
}

/// The rows of the table of answers in which the handler is not run.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_from_other_requests_is_not_run() {
    let calls = Calls::default();
    let tenants = Tenants::by(|parts| Some(parts.headers.get("who")?.to_str().ok()?.to_owned()));
    let config = Config::new(tenants).request_at_most(4);
    let service = over(&layer(config, &Flaky::new()), counting(&calls, NOW));
    let request = |keys: &[&str], who: bool, body: &'static str| {
        let mut request = Request::post("/charges");
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        if who {
            request = request.header("who", "acme");
        }
        request.body(Full::new(Bytes::from(body))).unwrap()
    };
    let rows = [
        (request(&[], true, ""), 400, "key-missing"),
        (request(&["\"open"], true, ""), 400, "key-bad"),
        (request(&["k", "k"], true, ""), 400, "key-bad"),
        (request(&["k"], false, ""), 400, "tenant-unknown"),
        (request(&["k"], true, "12345"), 413, "request-too-large"),
    ];
    for (request, says, kind) in rows {
        let told = ask(&service, request).await.unwrap();
        assert_eq!((status(&told), &*problem(&told)), (says, kind));
    }
    // Tenant and method count too.
    let path = |length| format!("/{}", "x".repeat(length - "/POSTacme".len()));
    let mut far = request(&["k"], true, "");
    *far.uri_mut() = path(Scope::LONGEST + 1).parse().unwrap();
    let told = ask(&service, far).await.unwrap();
    assert_eq!((status(&told), &*problem(&told)), (414, "scope-too-long"));
    assert_eq!(calls.count(), 0);
    let mut far = request(&["k"], true, "");
    *far.uri_mut() = path(Scope::LONGEST).parse().unwrap();
    let told = ask(&service, far).await.unwrap();
    assert_eq!(
        (status(&told), calls.count()),
        (201, 1),
        "just not too long"
    );
    let told = ask(&service, request(&["k"], true, "1234")).await.unwrap();
    assert_eq!(
        (status(&told), calls.count()),
        (201, 2),
        "as long as it may be"
    );
}

#[tokio::test(start_paused = true)]
async fn other_methods_and_requests_that_need_no_key_pass_through() {
    let calls = Calls::default();
    let store = Flaky::new();
    let service = over(
        &layer(config().required(false), &store),
        counting(&calls, NOW),
    );
    let get = || Request::get("/").header("idempotency-key", "k");
    let put = || Request::put("/").header("idempotency-key", "k");
    let bare = || Request::post("/");
    for request in [get(), get(), put(), put(), bare(), bare()] {
        let request = request.body(Full::default()).unwrap();
        let told = ask(&service, request).await.unwrap();
        assert_eq!((status(&told), is_replayed(&told)), (201, false));
    }
    assert_eq!(calls.count(), 6);
    // But a bad key is one that somebody relies on.
    let request = Request::post("/").header("idempotency-key", "\"");
    let told = ask(&service, request.body(Full::default()).unwrap()).await;
    assert_eq!(problem(&told.unwrap()), "key-bad");

    let service = over(
        &layer(config().methods(&[Method::PUT]), &store),
        counting(&calls, NOW),
    );
    for replayed in [false, true] {
        let request = put().body(Full::default()).unwrap();
        let told = ask(&service, request).await.unwrap();
        assert_eq!(is_replayed(&told), replayed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_used_for_another_request_is_refused() {
    let calls = Calls::default();
    let layer = layer(config(), &Flaky::new());
    let service = over(&layer, counting(&calls, SECOND));
    let (first, other) = tokio::join!(
        ask(&service, post("k", "12.50")),
        ask(&service, post("k", "99.99"))
    );
    assert_eq!(status(&first.unwrap()), 201);
    let other = other.unwrap();
    assert_eq!(
        (status(&other), &*problem(&other)),
        (422, "key-reused"),
        "while it runs"
    );
    let other = ask(&service, post("k", "99.99")).await.unwrap();
    assert_eq!(
        (status(&other), &*problem(&other)),
        (422, "key-reused"),
        "and after"
    );
    let mut query = post("k", "12.50");
    *query.uri_mut() = "/charges?currency=usd".parse().unwrap();
    let other = ask(&service, query).await.unwrap();
    assert_eq!(problem(&other), "key-reused");
    assert_eq!((calls.count(), layer.snapshot().mismatches), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_of_one_tenant_and_one_route() {
    let calls = Calls::default();
    let tenants = Tenants::by(|parts| Some(parts.headers["who"].to_str().ok()?.to_owned()));
    let by_first =
        |parts: &http::request::Parts| parts.uri.path().split('/').nth(1).unwrap_or("").to_owned();
    let config = Config::new(tenants).routes(Routes::by(by_first));
    let service = over(&layer(config, &Flaky::new()), counting(&calls, NOW));
    let rows = [
        ("acme", "/charges/1", 201),
        ("other", "/charges/1", 201),
        ("acme", "/refunds/1", 201),
        // The same route, but not the same request.
        ("acme", "/charges/2", 422),
    ];
    for (who, path, says) in rows {
        let request = Request::post(path).header("who", who);
        let request = request.header("idempotency-key", "k").body(Full::default());
        let told = ask(&service, request.unwrap()).await.unwrap();
        assert_eq!(
            (status(&told), is_replayed(&told)),
            (says, false),
            "{who} {path}"
        );
    }
    assert_eq!(calls.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn answers_are_stored_by_their_status() {
    // Each key is asked twice: a stored answer is replayed, any other is run
    // again.
    async fn stored(rule: Statuses, says: u16) -> bool {
        let calls = Calls::default();
        let counted = calls.clone();
        let handler = move |_: Asks| {
            counted.add();
            async move { Says::Ok(answer(says, "as it is")) }
        };
        let service = over(&layer(config().statuses(rule), &Flaky::new()), handler);
        let first = ask(&service, post("k", "x")).await.unwrap();
        let again = ask(&service, post("k", "x")).await.unwrap();
        for told in [&first, &again] {
            assert_eq!((status(told), &told.body()[..]), (says, &b"as it is"[..]));
        }
        assert_eq!(is_replayed(&again), calls.count() == 1);
        is_replayed(&again)
    }
    for says in [
        200, 201, 204, 299, 301, 303, 304, 400, 402, 404, 409, 410, 422,
    ] {
        assert!(stored(Statuses::deterministic(), says).await, "{says}");
    }
    for says in [401, 403, 407, 408, 425, 429, 500, 502, 503, 504, 599] {
        assert!(!stored(Statuses::deterministic(), says).await, "{says}");
        assert!(stored(Statuses::all(), says).await, "{says}");
    }
    let created = Statuses::by(|status| status == 201);
    assert!(stored(created, 201).await && !stored(created, 200).await);
}

#[tokio::test]
async fn it_is_a_layer_of_axums_router() {
    async fn charge(
        axum::Extension(phases): axum::Extension<Phases<Flaky>>,
        body: Bytes,
    ) -> (http::StatusCode, Bytes) {
        let work = |_| async { Ok::<_, ()>(body.len()) };
        let length = phases.phase("charge").foreign(work).await.unwrap();
        let said = format!("charged {length} for {}", phases.name().key);
        (http::StatusCode::CREATED, said.into())
    }
    let layer = layer(config(), &Flaky::new());
    let routes = axum::Router::new().route("/charges", axum::routing::post(charge));
    let app = routes.clone().layer(layer.clone());
    for replayed in [None, Some("true")] {
        let request = post("k", "12.50").map(axum::body::Body::new);
        let told = tower::ServiceExt::oneshot(app.clone(), request)
            .await
            .unwrap();
        assert_eq!(told.status(), 201);
        let header = told.headers().get("idempotent-replayed");
        assert_eq!(header.map(|value| value.to_str().unwrap()), replayed);
        let body = told.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "charged 5 for k");
    }
    let completer = layer.completer::<_, axum::body::Body>(routes);
    assert_eq!(completer.sweep().await.unwrap(), 0);
}

#[test]
fn a_configuration_that_would_not_do_what_it_is_for_is_refused() {
    let refused = |config: Config| config.layer(Flaky::new()).err();
    assert_eq!(refused(config()), None);
    let day = Config::LEAST_RETENTION;
    let less = day - Duration::from_nanos(1);
    assert_eq!(
        refused(config().retention(less)),
        Some(ConfigError::RetentionTooShort(less))
    );
    let short = Duration::from_millis(999);
    assert_eq!(
        refused(config().lease(short)),
        Some(ConfigError::LeaseTooShort(short))
    );
    assert_eq!(
        refused(config().lease(2 * day)),
        Some(ConfigError::LeaseTooLong(2 * day))
    );
    let date = [HeaderName::from_static("x-ours"), header::DATE];
    let of_one = Some(ConfigError::OfOneConnection(header::DATE));
    assert_eq!(refused(config().replayed_headers(date.clone())), of_one);
    assert_eq!(refused(config().stored_request_headers(date)), of_one);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_forgotten_a_day_after_its_answer() {
    let calls = Calls::default();
    let store = Flaky::new();
    let service = over(&layer(config(), &store), counting(&calls, NOW));
    for (at, replayed) in [(0, false), (23, true), (2, false)] {
        tokio::time::advance(Duration::from_secs(at * 3600)).await;
        let told = ask(&service, post("k", "x")).await.unwrap();
        assert_eq!(is_replayed(&told), replayed);
    }
    assert_eq!(calls.count(), 2);
    assert_eq!(store.sweep(10).await.unwrap(), 0);
}
