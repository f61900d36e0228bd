//! Three times as many searches as a server can answer, with load shedding and
//! without.
//!
//! Where this is going: an axum server on loopback has twenty workers, and a
//! search keeps one busy for a tenth of a second. Callers ask for three times as
//! many as that makes, and none of them waits longer than 400 ms. Without
//! layers all of them queue for a worker: the server is busy all the time, and
//! with searches that nobody waits for any more. With a load shedder in front
//! of a bulkhead, what matters least is refused at once, and nearly all that the
//! server does is in time. The tables say what became of the searches, by how
//! much they matter; in all of it health checks are answered.
//!
//! One file, because the server and its callers are read together, from the top
//! to the bottom.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axiomatic_capacity::bulkhead::{self, CoDel, Order, WhenFull};
use axiomatic_capacity::load_shed::{self, EstimatedWait, LoadShedder, prioritizer};
use axiomatic_core::context::Priority;
use axiomatic_core::{BoxError, Context, Reason, Refusable};
use axiomatic_failure::retry;
use axiomatic_http::{
    HealthChecks, Http, InboundLayer, OutboundLayer, RejectionLayer, WhenIdempotent,
};
use axiomatic_latency::timeout::Timeout;
use axiomatic_sim::Random;
use axum::Router;
use axum::extract::{Request as Asked, State};
use axum::routing::get;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

const WORKERS: u32 = 20;
/// How long a search keeps a worker busy, one after the other, in milliseconds:
/// on average 100.
const WORK: [u64; 5] = [80, 90, 100, 110, 120];
/// How long a caller waits.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long searches wait for a worker without it being too much; twice as long
/// at most, when it is.
const DELAY: Duration = Duration::from_millis(50);
/// How many times as much is asked for as can be answered.
const TIMES: u32 = 3;
/// What comes before is not counted: until it is found how much can be borne.
const WARM_UP: Duration = Duration::from_millis(1_500);
const COUNTED: Duration = Duration::from_millis(3_500);

/// Of ten searches, so many of each.
const CLASSES: [(Priority, u64); 4] = [
    (Priority::CRITICAL_PLUS, 2),
    (Priority::CRITICAL, 3),
    (Priority::SHEDDABLE_PLUS, 3),
    (Priority::SHEDDABLE, 2),
];

type Client = BoxCloneSyncService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let capacity = capacity().await?;
    let asked = TIMES * capacity;
    println!("{WORKERS} workers can answer {capacity} searches a second; {asked} are asked for");

    let server = Server::start(unprotected()).await?;
    let without = overload(&server, capacity).await?;
    without.print("without", capacity);
    drop(server);

    let (router, shedder) = protected()?;
    let server = Server::start(router).await?;
    let with = overload(&server, capacity).await?;
    with.print("with load shedding", capacity);
    println!("  {}", shedder.snapshot());

    assert!(without.goodput(capacity) < 60.0, "it needs no shedding");
    assert!(with.goodput(capacity) >= 90.0, "too little is in time");
    assert_eq!(with.healthy, with.checks, "a health check was not answered");
    // What matters most hardly notices, and what matters least gives way.
    let [highest, .., lowest] = &with.classes;
    assert!(100 * highest.answered.len() >= 95 * highest.asked);
    assert!(100 * lowest.answered.len() <= 10 * lowest.asked);
    Ok(())
}

// The server.

/// What answers searches.
#[derive(Clone)]
struct Workers {
    idle: Arc<Semaphore>,
    begun: Arc<AtomicU32>,
}

impl Default for Workers {
    fn default() -> Self {
        Workers {
            idle: Arc::new(Semaphore::new(WORKERS as usize)),
            begun: Arc::default(),
        }
    }
}

/// Who finds no idle worker waits, and who came first is served first.
async fn search(State(workers): State<Workers>) -> Result<&'static str, StatusCode> {
    let broken = StatusCode::INTERNAL_SERVER_ERROR;
    let worker = workers.idle.acquire_owned().await.map_err(|_| broken)?;
    let begun = workers.begun.fetch_add(1, Ordering::Relaxed) as usize;
    // What has begun is done to its end, also if its caller has gone.
    let work = tokio::spawn(async move {
        sleep(Duration::from_millis(WORK[begun % WORK.len()])).await;
        drop(worker);
    });
    work.await.map_err(|_| broken)?;
    Ok("found\n")
}

fn unprotected() -> Router {
    Router::new()
        .route("/search", get(search))
        .with_state(Workers::default())
        .route("/healthz", get(async || "ok\n"))
}

/// The same, and what sheds.
fn protected() -> Result<(Router, LoadShedder), BoxError> {
    let prioritizer = prioritizer::Config::new().named("search").build()?;
    // As many slots as workers. Who has waited for too long in a queue that does
    // not drain is refused, and the prioritizer hears of it.
    let slots = NonZeroU32::new(WORKERS).ok_or("no workers")?;
    let slots = bulkhead::Config::new(slots)
        .named("workers")
        .when_full(WhenFull::Wait {
            max_waiting: 100,
            max_wait: PATIENCE,
            order: Order::default(),
        })
        .codel(CoDel::new(DELAY, 2 * DELAY))
        .reporting_to(&prioritizer)
        .build()?;
    // Who would wait for longer than its caller does is refused at once.
    let shedder = load_shed::Config::new(&prioritizer)
        .estimating(EstimatedWait::of(slots.clone()))
        .build();

    let level = {
        let shedder = shedder.clone();
        move || shedder.level()
    };
    let checks = HealthChecks::at(["/healthz"])?;
    // Health checks need no slot: the bulkhead is there for searches alone.
    let for_searches = ServiceBuilder::new()
        .layer(RejectionLayer::new().announcing_level(level.clone()))
        .layer(slots.queued_layer().with_binding(Http));
    let for_all = ServiceBuilder::new()
        // Refusals become answers, which say what is not refused.
        .layer(RejectionLayer::new().announcing_level(level))
        // How long the caller waits, and how much it matters; all are our own.
        .layer(InboundLayer::new().highest_priority(Priority::from_u8(255)))
        // What matters least is refused, before anything is done for it.
        .layer(
            shedder
                .layer()
                .with_binding(Http)
                .exempting(move |request: &Asked| checks.matches(request))
                .announcing(),
        );
    let router = Router::new()
        .route("/search", get(search))
        .with_state(Workers::default())
        .route_layer(for_searches)
        .route("/healthz", get(async || "ok\n"))
        .layer(for_all);
    Ok((router, shedder))
}

struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    async fn start(router: Router) -> Result<Self, BoxError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Server {
            address,
            task: serving.abort_handle(),
        })
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, BoxError> {
        let uri = format!("http://{}{path}", self.address);
        Ok(Request::get(uri).body(Empty::new())?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// The callers.

/// From the outside in.
fn client() -> Result<Client, BoxError> {
    let retry = retry::Config::default().attempts(2).build()?;
    let stack = ServiceBuilder::new()
        .layer(Timeout::after(PATIENCE).layer().with_binding(Http))
        // Once more, if there is time left for what the answer asks to wait.
        .layer(retry.layer(WhenIdempotent).with_binding(Http))
        .layer(OutboundLayer::new())
        .service(legacy::Client::builder(TokioExecutor::new()).build_http());
    Ok(BoxCloneSyncService::new(stack))
}

/// How many searches a second the server can answer: twice as many callers as
/// workers, of which each asks again as soon as it is answered.
async fn capacity() -> Result<u32, BoxError> {
    const EACH: u32 = 8;
    let server = Server::start(unprotected()).await?;
    let client = legacy::Client::builder(TokioExecutor::new()).build_http();
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..2 * WORKERS {
        let (client, request) = (client.clone(), server.request("/search")?);
        callers.spawn(async move {
            let mut answered = Vec::new();
            for _ in 0..EACH {
                let answer = client.request(request.clone()).await?;
                answer.into_body().collect().await?;
                answered.push(began.elapsed());
            }
            Ok::<_, BoxError>(answered)
        });
    }
    let mut answered = Vec::new();
    while let Some(caller) = callers.join_next().await {
        answered.extend(caller??);
    }
    // Until the first of them has done: from then on workers are idle.
    answered.sort_unstable();
    let busy = answered.len() - 2 * WORKERS as usize;
    Ok((busy as f64 / answered[busy - 1].as_secs_f64()).round() as u32)
}

/// What became of a search.
enum Fate {
    Answered,
    Refused,
    /// Its caller has gone.
    TooLate,
}

async fn call(client: Client, request: Request<Empty<Bytes>>) -> Result<Fate, BoxError> {
    let answer = match client.oneshot(request).await {
        Ok(answer) => answer,
        Err(error) => {
            return match error.rejected().map(|rejected| rejected.reason()) {
                Some(Reason::Elapsed | Reason::Expired) => Ok(Fate::TooLate),
                _ => Err(error),
            };
        }
    };
    let status = answer.status();
    answer.into_body().collect().await?;
    match status {
        StatusCode::OK => Ok(Fate::Answered),
        StatusCode::SERVICE_UNAVAILABLE => Ok(Fate::Refused),
        StatusCode::GATEWAY_TIMEOUT => Ok(Fate::TooLate),
        status => Err(status.to_string().into()),
    }
}

/// What became of the searches of a class.
#[derive(Clone, Default)]
struct Class {
    asked: usize,
    /// How long each of them took.
    answered: Vec<Duration>,
    refused: Vec<Duration>,
    too_late: usize,
}

impl Class {
    fn count(&mut self, fate: &Fate, took: Duration) {
        self.asked += 1;
        match fate {
            Fate::Answered => self.answered.push(took),
            Fate::Refused => self.refused.push(took),
            Fate::TooLate => self.too_late += 1,
        }
    }

    fn add(&mut self, other: &Class) {
        self.asked += other.asked;
        self.answered.extend(&other.answered);
        self.refused.extend(&other.refused);
        self.too_late += other.too_late;
    }

    fn print(&self, name: &str) {
        println!(
            "  {name:<14}  {:>6}  {:>9}  {:>7}  {:>8}  {:>7}  {:>13}",
            self.asked,
            self.answered.len(),
            self.refused.len(),
            self.too_late,
            percentile(&self.answered, 99),
            percentile(&self.refused, 99),
        );
    }
}

fn percentile(times: &[Duration], percent: usize) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    match times.get(times.len() * percent / 100) {
        Some(time) => format!("{} ms", time.as_millis()),
        None => "-".to_owned(),
    }
}

/// What became of all that was asked for.
#[derive(Default)]
struct Run {
    classes: [Class; CLASSES.len()],
    checks: u32,
    healthy: u32,
}

impl Run {
    fn all(&self) -> Class {
        let mut all = Class::default();
        self.classes.iter().for_each(|class| all.add(class));
        all
    }

    /// Answers in time, of a hundred that could be given.
    fn goodput(&self, capacity: u32) -> f64 {
        let answered = self.all().answered.len() as f64;
        100.0 * answered / (f64::from(capacity) * COUNTED.as_secs_f64())
    }

    fn print(&self, name: &str, capacity: u32) {
        println!(
            "\n{name}: goodput {:.0} % of capacity",
            self.goodput(capacity)
        );
        println!("                   asked    in time  refused  too late      p99  refusals' p99");
        for ((priority, _), class) in CLASSES.iter().zip(&self.classes) {
            class.print(&priority.to_string());
        }
        self.all().print("all");
        println!("  health checks   {:>6}  {:>9}", self.checks, self.healthy);
    }
}

/// So many times as many searches as the server can answer, each when chance
/// will have it and whatever became of the others.
async fn overload(server: &Server, capacity: u32) -> Result<Run, BoxError> {
    let client = client()?;
    let mean = Duration::from_secs(1) / (TIMES * capacity);
    let mut random = Random::new(7);
    let mut searches = JoinSet::new();
    let checks = tokio::spawn(check(server.request("/healthz")?));
    let began = Instant::now();
    let mut at = began;
    while at < began + WARM_UP + COUNTED {
        at += random.exponential(mean);
        sleep_until(at).await;
        let class = class_of(random.below(10));
        let context = Context::default().with_priority(CLASSES[class].0);
        let mut request = server.request("/search")?;
        request.extensions_mut().insert(context);
        let is_counted = at >= began + WARM_UP;
        let client = client.clone();
        searches.spawn(async move {
            let fate = call(client, request).await?;
            Ok::<_, BoxError>((class, is_counted, fate, at.elapsed()))
        });
    }
    let mut run = Run::default();
    (run.checks, run.healthy) = checks.await?;
    while let Some(done) = searches.join_next().await {
        let (class, is_counted, fate, took) = done??;
        if is_counted {
            run.classes[class].count(&fate, took);
        }
    }
    Ok(run)
}

/// The class of one of ten searches.
fn class_of(mut one: u64) -> usize {
    CLASSES
        .iter()
        .position(|(_, share)| match one.checked_sub(*share) {
            Some(beyond) => {
                one = beyond;
                false
            }
            None => true,
        })
        .unwrap_or(0)
}

/// Asks for the server's health all the while: how often, and how often it was
/// well.
async fn check(request: Request<Empty<Bytes>>) -> (u32, u32) {
    let client = legacy::Client::builder(TokioExecutor::new()).build_http();
    let (mut checks, mut healthy) = (0, 0);
    let end = Instant::now() + WARM_UP + COUNTED;
    while Instant::now() < end {
        checks += 1;
        let answer = timeout(Duration::from_secs(1), client.request(request.clone())).await;
        healthy += u32::from(matches!(answer, Ok(Ok(answer)) if answer.status() == 200));
        sleep(Duration::from_millis(20)).await;
    }
    (checks, healthy)
}
