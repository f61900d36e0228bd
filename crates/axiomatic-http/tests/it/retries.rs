//! Three processes behind each other, in one, of which each calls the next
//! through the stack of a client, with a retry of its own.
#![cfg(all(feature = "axum", feature = "tokio"))]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_core::backoff::Backoff;
use axiomatic_core::context::Priority;
use axiomatic_core::{BoxError, Mode};
use axiomatic_failure::retry::{Config, Retry};
use axiomatic_http::{
    Http, InboundLayer, OutboundLayer, RejectionLayer, ScopeLayer, WhenIdempotent, fields,
};
use axiomatic_latency::timeout::Timeout;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

type Next = BoxCloneSyncService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

/// One of the three, and what it was told, call by call.
#[derive(Clone)]
struct Hop {
    next: Option<(SocketAddr, Next)>,
    told: Arc<Mutex<Vec<HeaderMap>>>,
}

/// The last one always fails.
async fn handle(State(hop): State<Hop>, headers: HeaderMap) -> Response<Body> {
    hop.told.lock().unwrap().push(headers);
    let Some((address, next)) = hop.next else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let request = Request::get(format!("http://{address}/")).body(Empty::new());
    match next.oneshot(request.unwrap()).await {
        Ok(answer) => answer.status().into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn client(retry: &Retry) -> Next {
    let stack = ServiceBuilder::new()
        .layer(retry.layer(WhenIdempotent).with_binding(Http))
        .layer(OutboundLayer::new())
        .service(Client::builder(TokioExecutor::new()).build_http());
    BoxCloneSyncService::new(stack.map_err(BoxError::from))
}

async fn serve(hop: Hop) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Timeout::named("hop", Duration::from_secs(60));
    let layers = ServiceBuilder::new()
        .layer(RejectionLayer::new())
        .layer(InboundLayer::new())
        .layer(patience.layer().with_binding(Http))
        .layer(ScopeLayer::new());
    let app = Router::new()
        .route("/", get(handle))
        .layer(layers)
        .with_state(hop);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn retry() -> Config {
    let millis = Duration::from_millis;
    Config::default().backoff(Backoff::exponential(millis(1), millis(4)))
}

/// What the first hop answers, and what each of the three was told, if the
/// first calls the second by this retry.
async fn called_by(retry_of_the_first: Retry) -> (Response<Incoming>, [Vec<HeaderMap>; 3]) {
    let told: [Arc<Mutex<Vec<HeaderMap>>>; 3] = Default::default();
    let retry_of_the_second = retry().named("second").build().unwrap();
    let mut next = None;
    let retries = [None, Some(&retry_of_the_second), Some(&retry_of_the_first)];
    for (hop, retry) in [2, 1, 0].into_iter().zip(retries) {
        let address = serve(Hop {
            next: next.zip(retry.map(client)),
            told: Arc::clone(&told[hop]),
        });
        next = Some(address.await);
    }
    let request = Request::get(format!("http://{}/", next.unwrap()))
        .header(&fields::TIMEOUT, "20000")
        .header(&fields::PRIORITY, "3");
    let user = Client::builder(TokioExecutor::new()).build_http();
    let answer = user
        .request(request.body(Empty::<Bytes>::new()).unwrap())
        .await
        .unwrap();
    (answer, told.map(|told| told.lock().unwrap().clone()))
}

#[tokio::test]
async fn of_three_hops_the_first_that_retries_does_and_the_third_knows_it() {
    let (answer, told) = called_by(retry().named("first").build().unwrap()).await;
    assert_eq!(answer.status(), 500);
    assert!(fields::forbids_retry(answer.headers()), "it was tried");
    let calls = told.each_ref().map(Vec::len);
    assert_eq!(calls, [1, 3, 3], "and not 9 at the last");

    let mut left = Duration::from_secs(20);
    for headers in &told[2] {
        assert!(fields::is_retried(headers));
        assert_eq!(fields::priority(headers), Some(Priority::from_u8(3)));
        let timeout = fields::timeout(headers).unwrap();
        assert!(timeout < left, "{timeout:?} of {left:?}");
        left = timeout;
    }
    let attempts = told[1].iter().map(fields::attempt);
    let attempts: Vec<_> = attempts.map(Option::unwrap_or_default).collect();
    assert_eq!(attempts, [0, 2, 3], "the first needs no number");
}

/// In shadow, switched off, with one attempt: then the second hop does it.
#[tokio::test]
async fn a_first_hop_that_does_not_retry_leaves_it_to_the_second() {
    for what in ["shadow", "off", "one attempt"] {
        let first = match what {
            "one attempt" => retry().attempts(1).build().unwrap(),
            _ => retry().build().unwrap(),
        };
        match what {
            "shadow" => first.set_mode(Mode::Shadow),
            "off" => first.set_mode(Mode::Off),
            _ => {}
        }
        let (_, told) = called_by(first).await;
        assert_eq!(told.each_ref().map(Vec::len), [1, 1, 3], "{what}");
        assert!(!fields::is_retried(&told[1][0]), "{what}");
        assert!(fields::is_retried(&told[2][0]), "{what}");
    }
}
