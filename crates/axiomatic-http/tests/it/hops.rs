//! Three processes behind each other, in one: each a server of its own on a
//! socket of its own, with the layers of this crate and no other.
#![cfg(all(feature = "axum", feature = "tokio"))]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_core::context::{Deadline, Priority, Repeatability};
use axiomatic_core::time::Clock;
use axiomatic_core::{Advice, Advise, BoxError, Context, Name};
use axiomatic_http::{Http, InboundLayer, Inherited, OutboundLayer, ScopeLayer, fields};
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
use tower::{ServiceBuilder, ServiceExt};

/// What a hop was told, and what its handler was handed.
#[derive(Clone, Debug)]
struct Told {
    fields: HeaderMap,
    context: Context,
}

#[derive(Clone)]
struct Hop {
    next: Option<SocketAddr>,
    told: Arc<Mutex<Vec<Told>>>,
    gives_up: bool,
}

async fn call(
    to: SocketAddr,
    request: http::request::Builder,
) -> Result<Response<Incoming>, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let client = ServiceBuilder::new()
        .layer(OutboundLayer::new())
        .service(client);
    let request = request.uri(format!("http://{to}/")).body(Empty::new())?;
    Ok(client.oneshot(request).await?)
}

async fn handle(
    State(hop): State<Hop>,
    Inherited(context): Inherited,
    fields: HeaderMap,
) -> Response<Body> {
    hop.told.lock().unwrap().push(Told { fields, context });
    let Some(next) = hop.next else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    // The request says nothing of the context: it inherits from the scope.
    let mut answer = call(next, Request::builder()).await;
    if hop.gives_up {
        Http.given_up(&mut answer);
    }
    match answer {
        Ok(answer) => answer.status().into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn serve(hop: Hop) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let layers = ServiceBuilder::new()
        .layer(InboundLayer::new())
        .layer(ScopeLayer::new());
    let app = Router::new()
        .route("/", get(handle))
        .layer(layers)
        .with_state(hop);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The first of three hops, the last of which is not available.
async fn three(gives_up_at: Option<usize>) -> (SocketAddr, Arc<Mutex<Vec<Told>>>) {
    let told = Arc::default();
    let mut next = None;
    for hop in [3, 2, 1] {
        let hop = Hop {
            next,
            told: Arc::clone(&told),
            gives_up: gives_up_at == Some(hop),
        };
        next = Some(serve(hop).await);
    }
    (next.unwrap(), told)
}

#[tokio::test]
async fn three_hops_know_of_one_deadline() {
    let (first, told) = three(None).await;
    let patience = Duration::from_secs(60);
    let context = Context::default()
        .with_deadline(Deadline::at(Clock::Precise.now() + patience))
        .with_priority(Priority::SHEDDABLE.with_level(7))
        .with_retried_by(Name::literal("the user's"))
        .with_attempt(2)
        .with_repeatability(Repeatability::Repeatable);
    let answer = call(first, Request::get("/").extension(context.clone())).await;
    assert_eq!(answer.unwrap().status(), 503);

    let told = told.lock().unwrap();
    assert_eq!(told.len(), 3);
    let mut before = patience;
    for (hop, told) in told.iter().enumerate() {
        let timeout = fields::timeout(&told.fields).unwrap();
        assert!(timeout < before, "hop {hop}: {timeout:?} of {before:?}");
        before = timeout;
        let left = told.context.deadline().unwrap();
        assert!(!left.is_armed() && !left.is_expired(Clock::Precise.now()));
        assert_eq!(told.context.priority(), context.priority(), "{hop}");
        assert_eq!(told.context.retried_by(), Some(Name::REMOTE), "{hop}");
        // The attempt is the user's, not that of the calls further in.
        let attempt = fields::attempt(&told.fields);
        assert_eq!(attempt, (hop == 0).then_some(2), "{hop}");
        assert_eq!(told.context.attempt(), 1);
        assert_eq!(told.context.repeatability(), Repeatability::Undeclared);
    }
}

#[tokio::test]
async fn a_retry_that_gave_up_a_process_further_in_is_known() {
    for gives_up_at in [None, Some(1), Some(2)] {
        let (first, _) = three(gives_up_at).await;
        let answer = call(first, Request::get("/")).await.unwrap();
        assert_eq!(answer.status(), 503);
        let advice = Http.advice(Ok::<_, &BoxError>(&answer));
        // A hop answers anew, so it is known as far as the next one, whose
        // retry then says so in turn.
        let expected = match gives_up_at {
            Some(1) => Advice::Never,
            _ => Advice::ByOutcome,
        };
        assert_eq!(advice, expected, "{gives_up_at:?}");
    }
}

#[tokio::test]
async fn a_handler_is_handed_a_child_or_nothing() {
    let app = Router::new().route(
        "/",
        get(async |Inherited(context): Inherited| format!("{context:?}")),
    );
    let get = async |context: Option<Context>| {
        let mut request = Request::new(Body::empty());
        if let Some(context) = context {
            request.extensions_mut().insert(context);
        }
        let response = app.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await;
        String::from_utf8(body.unwrap().into()).unwrap()
    };
    assert_eq!(get(None).await, format!("{:?}", Context::default()));
    let context = Context::default()
        .with_attempt(3)
        .with_priority(Priority::SHEDDABLE);
    let child = format!("{:?}", context.child());
    assert_eq!(get(Some(context)).await, child);
}
