//! A second attempt beside one that is slow, within a share of the load.
//!
//! Where this is going: a service on loopback answers after 10 ms, but for one
//! request in twenty, which takes it 200. One client waits for those, another
//! hedges: 99 % of its calls are over much sooner, for 7 % more requests at
//! most. Then the service becomes slow as a whole. The same client goes on, and
//! still adds no more than that; one that hedges without a bound makes two
//! requests of each.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::repeat::Always;
use axiomatic_core::{BoxError, Ratio};
use axiomatic_http::Http;
use axiomatic_latency::hedge::{Config, Delay, Hedge};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

const FAST: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(200);
/// More than the one in twenty that are slow, so that the delay lies before
/// them.
const SHARE: Ratio = Ratio::percent(7);
const EVERY: Duration = Duration::from_millis(5);

type Client = BoxCloneSyncService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let service = Service::start().await?;
    let bounded = Config::new(Delay::adding_at_most(SHARE))
        .named("catalogue")
        .build()?;
    let all = RetryBudget::new("all", Deposits::of(Ratio::percent(100)))?;
    let unbounded = Config::new(Delay::fixed(2 * FAST)).budget(all).build()?;
    let (patient, hedging) = (hyper(), hedged(&bounded));

    println!("the service has     the client           calls    p50     p99   asked   more");
    let waits = Row::of(&service, &patient, 600).await?;
    waits.print("a long tail", "waits");
    // While it learns, it waits as well.
    let learning = Row::of(&service, &hedging, 120).await?;
    let well = Row::of(&service, &hedging, 700).await?;
    well.print("a long tail", "hedges");

    service.is_slow.store(true, Ordering::Relaxed);
    let slow = Row::of(&service, &hedging, 500).await?;
    slow.print("become slow", "hedges");
    let twice = Row::of(&service, &hedged(&unbounded), 300).await?;
    twice.print("become slow", "without a bound");
    println!("\n{}", bounded.snapshot());

    assert!(2 * well.p99 < waits.p99, "the tail is cut off");
    assert_eq!(waits.asked, waits.calls);
    let calls = learning.calls + well.calls + slow.calls;
    let asked = learning.asked + well.asked + slow.asked;
    let budget = SHARE.ceil_of(calls.into());
    assert!(u64::from(asked - calls) <= budget, "within the budget");
    assert!(twice.asked - twice.calls > twice.calls / 2, "and without");
    Ok(())
}

fn hyper() -> Client {
    BoxCloneSyncService::new(connections().map_err(BoxError::from))
}

/// These are lookups: each may be sent twice.
fn hedged(hedge: &Hedge) -> Client {
    let layer = hedge.layer(Always).with_binding(Http);
    BoxCloneSyncService::new(layer.layer(connections()))
}

fn connections() -> legacy::Client<HttpConnector, Empty<Bytes>> {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

/// What became of some calls, made at a steady rate.
struct Row {
    calls: u32,
    /// Requests that the service was asked.
    asked: u32,
    p50: Duration,
    p99: Duration,
}

impl Row {
    async fn of(service: &Service, client: &Client, calls: u32) -> Result<Self, BoxError> {
        let before = service.asked.load(Ordering::Relaxed);
        let began = Instant::now();
        let mut under_way = Vec::new();
        for number in 0..calls {
            sleep_until(began + number * EVERY).await;
            under_way.push(tokio::spawn(call(client.clone(), service.address)));
        }
        let mut took = Vec::new();
        for call in under_way {
            took.push(call.await??);
        }
        took.sort();
        Ok(Row {
            calls,
            asked: service.asked.load(Ordering::Relaxed) - before,
            p50: took[took.len() / 2],
            p99: took[took.len() * 99 / 100],
        })
    }

    fn print(&self, service: &str, client: &str) {
        let more = f64::from(self.asked - self.calls) / f64::from(self.calls);
        println!(
            "{service:<18}  {client:<18}  {:>6}  {:>3} ms  {:>3} ms  {:>6}  {:>3.0} %",
            self.calls,
            self.p50.as_millis(),
            self.p99.as_millis(),
            self.asked,
            100.0 * more
        );
    }
}

async fn call(client: Client, address: SocketAddr) -> Result<Duration, BoxError> {
    let began = Instant::now();
    let request = Request::get(format!("http://{address}/")).body(Empty::new())?;
    let response = client.oneshot(request).await?;
    assert!(response.status().is_success());
    response.into_body().collect().await?;
    Ok(began.elapsed())
}

struct Service {
    address: SocketAddr,
    asked: Arc<AtomicU32>,
    is_slow: Arc<AtomicBool>,
}

impl Service {
    async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let service = Service {
            address: listener.local_addr()?,
            asked: Arc::default(),
            is_slow: Arc::default(),
        };
        let state = (service.asked.clone(), service.is_slow.clone());
        let router = Router::new().route("/", get(answer)).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(service)
    }
}

async fn answer(State((asked, is_slow)): State<(Arc<AtomicU32>, Arc<AtomicBool>)>) -> &'static str {
    let number = asked.fetch_add(1, Ordering::Relaxed);
    let is_slow = is_slow.load(Ordering::Relaxed) || number % 20 == 7;
    sleep(if is_slow { SLOW } else { FAST }).await;
    "in stock"
}
