//! Retries help against failures of their own, and multiply an outage, unless
//! a budget bounds them.
//!
//! Where this is going: a service on loopback answers one request in ten with
//! 503, and then all of them. Three clients call it with GET over real HTTP:
//! one that never tries again, one that tries three times, and one that tries
//! three times within a budget of 20 % of its calls. While single answers
//! fail, the two that retry look alike. In the outage the one without a budget
//! sends three times the load, to a service that cannot serve it once.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_core::backoff::Backoff;
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::{BoxError, Ratio};
use axiomatic_failure::retry::{Config, Retry};
use axiomatic_http::{Http, WhenIdempotent};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

const REQUESTS: u64 = 500;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let service = Service::start().await?;
    println!("{REQUESTS} requests each        one in ten fails      all fail");
    println!("                         good    calls         good    calls");
    let mut table = Vec::new();
    for (client, retry) in [
        ("one attempt", one_attempt()?),
        ("three, no budget", three_attempts(boundless()?)?),
        ("three, budget of 20 %", three_attempts(bounded()?)?),
    ] {
        let flaky = service.meets(Fault::OneInTen, &retry).await?;
        let outage = service.meets(Fault::All, &retry).await?;
        println!("{client:<22} {flaky}       {outage}");
        table.push((flaky, outage));
    }

    let [(once, _), (boundless, stormy), (bounded, calm)] = table[..] else {
        unreachable!("there are three clients");
    };
    assert_eq!(once.good, REQUESTS * 9 / 10);
    // Of 50 that failed, most are good at the second attempt.
    assert!(boundless.good > once.good + 40 && bounded.good > once.good + 20);
    assert_eq!(stormy.calls, 3 * REQUESTS);
    // Its budget of both phases, and no more.
    assert!(calm.calls <= REQUESTS * 14 / 10);
    Ok(())
}

/// What a client made of its requests.
#[derive(Clone, Copy)]
struct Met {
    good: u64,
    calls: u64,
}

impl std::fmt::Display for Met {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>6} {:>8}", self.good, self.calls)
    }
}

// The three clients.

fn one_attempt() -> Result<Retry, BoxError> {
    Ok(Config::new(bounded()?).attempts(1).build()?)
}

fn three_attempts(budget: RetryBudget<Deposits>) -> Result<Retry, BoxError> {
    let waits = Backoff::exponential(Duration::from_millis(5), Duration::from_millis(50));
    Ok(Config::new(budget).attempts(3).backoff(waits).build()?)
}

/// As many as ever may be asked for: what no budget is.
fn boundless() -> Result<RetryBudget<Deposits>, BoxError> {
    let deposits = Deposits::of(Ratio::percent(1_000));
    Ok(RetryBudget::new("boundless", deposits)?)
}

fn bounded() -> Result<RetryBudget<Deposits>, BoxError> {
    let deposits = Deposits::of(Ratio::percent(20)).floor(0);
    Ok(RetryBudget::new("bounded", deposits)?)
}

// The service.

#[derive(Clone, Copy)]
enum Fault {
    OneInTen = 10,
    All = 1,
}

struct Service {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// Every so manieth call fails.
    fails: AtomicU64,
    calls: AtomicU64,
}

impl Service {
    async fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            fails: AtomicU64::new(1),
            calls: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/price", get(price))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Service { address, shared })
    }

    /// Sends the requests, a few at a time, with `retry` around the client.
    async fn meets(&self, fault: Fault, retry: &Retry) -> Result<Met, BoxError> {
        self.shared.fails.store(fault as u64, Ordering::Relaxed);
        self.shared.calls.store(0, Ordering::Relaxed);
        let hyper = Client::builder(TokioExecutor::new()).build_http();
        let client = retry
            .layer(WhenIdempotent)
            .with_binding(Http)
            .layer(hyper.map_err(BoxError::from));
        let mut good = 0;
        for _ in 0..REQUESTS / 10 {
            let mut batch = JoinSet::new();
            for _ in 0..10 {
                let request = Request::get(format!("http://{}/price", self.address));
                let request = request.body(Empty::<Bytes>::new())?;
                batch.spawn(client.clone().oneshot(request));
            }
            while let Some(answer) = batch.join_next().await {
                let answer = answer??;
                good += u64::from(answer.status().is_success());
                answer.into_body().collect().await?;
            }
        }
        let calls = self.shared.calls.load(Ordering::Relaxed);
        Ok(Met { good, calls })
    }
}

async fn price(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    tokio::time::sleep(Duration::from_millis(2)).await;
    let call = shared.calls.fetch_add(1, Ordering::Relaxed);
    if call.is_multiple_of(shared.fails.load(Ordering::Relaxed)) {
        return (StatusCode::SERVICE_UNAVAILABLE, "not now\n");
    }
    (StatusCode::OK, "12.50\n")
}
