//! A client of an HTTP service, with every layer in its place.
//!
//! Where this is going: a service on loopback misbehaves in several ways, each
//! at a path of its own. One client calls them all, through a stack in the
//! order that the documentation gives: total time, bodies that can be sent
//! again, retry, circuit breaker, time of an attempt, and the fields that tell
//! the service what the client knows. The table shows what the caller got,
//! how often the service was asked, and what it was told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axiomatic_core::backoff::Backoff;
use axiomatic_core::{BoxError, Refusable};
use axiomatic_failure::circuit_breaker::{self, TripWhen};
use axiomatic_failure::retry::{self, Retry};
use axiomatic_http::{Http, OutboundLayer, ReplayLayer, WhenIdempotent, fields};
use axiomatic_latency::timeout::Timeout;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response as Answer};
use axum::routing::any;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

const TOTAL: Duration = Duration::from_secs(2);
const ATTEMPT: Duration = Duration::from_millis(150);

type Client = BoxCloneSyncService<Request<Full<Bytes>>, http::Response<Incoming>, BoxError>;

/// From the outside in.
fn client() -> Result<(Client, Retry), BoxError> {
    let waits = Backoff::exponential(Duration::from_millis(10), Duration::from_millis(100))
        .retry_after_up_to(Duration::from_secs(1));
    let retry = retry::Config::default()
        .named("stock")
        .backoff(waits)
        .build()?;
    let breaker = circuit_breaker::Config::default()
        .named("stock")
        .trip_when(TripWhen::consecutive_failures(20));
    let stack = ServiceBuilder::new()
        // Bounds the whole, waits included; the layers further in see until
        // when.
        .layer(Timeout::named("total", TOTAL).layer().with_binding(Http))
        // Keeps what is sent of a body, up to 64 KiB.
        .layer(ReplayLayer::new())
        .layer(retry.layer(WhenIdempotent).with_binding(Http))
        // Counts attempts; what it refuses is not tried again.
        .layer(breaker.build()?.layer().with_binding(Http))
        // What hangs ends as a failed attempt.
        .layer(
            Timeout::named("attempt", ATTEMPT)
                .layer()
                .with_binding(Http),
        )
        // Innermost: what is written is as old as the way is long.
        .layer(OutboundLayer::new())
        .service(legacy::Client::builder(TokioExecutor::new()).build_http());
    Ok((BoxCloneSyncService::new(stack), retry))
}

/// What the service does, how it is called, what comes of it, and how often it
/// is asked for that.
struct Case {
    path: &'static str,
    method: Method,
    has_key: bool,
    got: Got,
    calls: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Got {
    Status(u16),
    Refused,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let case = |path, method, has_key, got, calls| Case {
        path,
        method,
        has_key,
        got,
        calls,
    };
    let cases = [
        case("works", Method::GET, false, Got::Status(200), 1),
        case("fails-once", Method::GET, false, Got::Status(200), 2),
        case("fails-once", Method::POST, false, Got::Status(500), 1),
        case("fails-once", Method::POST, true, Got::Status(200), 2),
        case("fails-once", Method::PUT, false, Got::Status(200), 2),
        case("hangs-once", Method::GET, false, Got::Status(200), 2),
        case("asks-to-wait", Method::GET, false, Got::Status(200), 2),
        case("wants-no-retry", Method::GET, false, Got::Status(500), 1),
        case("is-wrong", Method::GET, false, Got::Status(404), 1),
        case("fails", Method::GET, false, Got::Status(500), 3),
    ];

    let service = Service::start().await?;
    let (client, retry) = client()?;
    println!("the service       called by     the caller got   calls   attempts   took");
    for case in cases {
        let mut request = Request::builder()
            .method(case.method.clone())
            .uri(format!("http://{}/{}", service.address, case.path));
        if case.has_key {
            request = request.header("idempotency-key", "\"order-7\"");
        }
        let began = tokio::time::Instant::now();
        let answer = client.clone().oneshot(request.body(BODY.into())?).await;
        let took = began.elapsed();
        let got = match &answer {
            Ok(response) => Got::Status(response.status().as_u16()),
            Err(error) if error.rejected().is_some() => Got::Refused,
            Err(error) => return Err(error.to_string().into()),
        };
        let seen = service.seen();
        let attempts: Vec<u32> = seen.iter().map(|call| call.attempt).collect();
        let key = if case.has_key { ", key" } else { "" };
        println!(
            "{:<16}  {:<12}  {:<15}  {:>5}   {:<9}  {:>4} ms",
            case.path,
            format!("{}{key}", case.method),
            format!("{got:?}"),
            seen.len(),
            format!("{attempts:?}"),
            took.as_millis(),
        );
        assert_eq!((got, seen.len()), (case.got, case.calls), "{}", case.path);
        assert_eq!(attempts, (1..=case.calls as u32).collect::<Vec<_>>());
        // Each attempt had the whole body, and no more time than the one
        // before.
        assert!(seen.iter().all(|call| call.body == BODY));
        assert!(seen.is_sorted_by(|one, next| one.timeout >= next.timeout));
        assert!(seen.iter().all(|call| call.timeout <= ATTEMPT));
        if let Ok(response) = answer {
            response.into_body().collect().await?;
        }
    }

    // Nobody there: of two more attempts one is free of budget, since nothing
    // was sent.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()?;
    let request = Request::get(format!("http://{nobody}/")).body(Full::default())?;
    let before = (retry.snapshot().retried(), paid(&retry));
    let error = client.oneshot(request).await.unwrap_err();
    let after = (retry.snapshot().retried(), paid(&retry));
    println!("nobody there      GET           {error}");
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 1));
    println!("\n{}", retry.snapshot());
    println!("{}", retry.budget().snapshot(retry.now()));
    Ok(())
}

/// What the budget was asked for and gave.
fn paid(retry: &Retry) -> u64 {
    retry.budget().snapshot(retry.now()).granted()
}

const BODY: &str = "twelve pieces of number seven";

// The service.

/// What an attempt brought along.
struct Call {
    attempt: u32,
    timeout: Duration,
    body: Bytes,
}

struct Service {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Service {
    async fn start() -> io::Result<Self> {
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let router = Router::new()
            .route("/{path}", any(answer))
            .with_state(Arc::clone(&calls));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Service { address, calls })
    }

    /// The calls since it was last asked.
    fn seen(&self) -> Vec<Call> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut calls)
    }
}

async fn answer(
    State(calls): State<Arc<Mutex<Vec<Call>>>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let is_first = {
        let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(Call {
            attempt: fields::attempt(&headers).unwrap_or(1),
            timeout: fields::timeout(&headers).unwrap_or_default(),
            body,
        });
        calls.len() == 1
    };
    match path.as_str() {
        "fails-once" if is_first => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "hangs-once" if is_first => std::future::pending().await,
        "asks-to-wait" if is_first => {
            let soon = [(header::RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, soon).into_response()
        }
        "wants-no-retry" => {
            let never = [(&fields::RETRY, HeaderValue::from_static("never"))];
            (StatusCode::INTERNAL_SERVER_ERROR, never).into_response()
        }
        "is-wrong" => StatusCode::NOT_FOUND.into_response(),
        "fails" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::OK.into_response(),
    }
}
