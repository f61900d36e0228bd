//! Load shedding among the others, and on both sides of HTTP.
//!
//! One file, because all of it is asked of the same server over the same wire.

use std::convert::Infallible;
use std::future::ready;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axiomatic_capacity::bulkhead::{self, Bulkhead, Order, WhenFull};
use axiomatic_capacity::load_shed::signal::Watched;
use axiomatic_capacity::load_shed::{
    self, EstimatedWait, Prioritizer, Upstream, fairness, prioritizer, upstream,
};
use axiomatic_capacity::rate_limit::keyed::KeyHasher;
use axiomatic_capacity::rate_limit::{self, Quota};
use axiomatic_core::backoff::Backoff;
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Clock;
use axiomatic_core::{BoxError, Carrier, Context, Mode, Ratio, Reason, Refusable};
use axiomatic_failure::circuit_breaker::{self, State, TripWhen, Window};
use axiomatic_failure::retry;
use axiomatic_http::{
    Http, InboundLayer, OutboundLayer, RejectionLayer, ScopeLayer, WhenIdempotent, fields,
    retry_after,
};
use axiomatic_latency::timeout::Timeout;
use http::{Request, Response, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower::util::{BoxCloneSyncService, MapRequestLayer};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use super::SECOND;

const MILLI: Duration = Duration::from_millis(1);

type Server = BoxCloneSyncService<Request<()>, Response<String>, Infallible>;
type Client = BoxCloneSyncService<Request<()>, Response<String>, BoxError>;

/// Extensions cross no wire.
fn wire(server: Server) -> Server {
    let layer = MapRequestLayer::new(|mut request: Request<()>| {
        request.extensions_mut().clear();
        request
    });
    BoxCloneSyncService::new(layer.layer(server))
}

/// All that is claimed is believed.
fn inbound() -> InboundLayer {
    InboundLayer::new().highest_priority(Priority::from_u8(u8::MAX))
}

/// A server that sheds as its prioritizer says, in front of `inner`, and tells it
/// in all of its answers.
fn shedding(prioritizer: &Prioritizer, inner: Client) -> Server {
    let shedder = load_shed::Config::new(prioritizer).build();
    let prioritizer = prioritizer.clone();
    let stack = ServiceBuilder::new()
        .layer(RejectionLayer::new().announcing_level(move || prioritizer.level()))
        .layer(inbound())
        .layer(shedder.layer().with_binding(Http).announcing())
        .service(inner);
    BoxCloneSyncService::new(stack)
}

/// A client that keeps back what `upstream` says, and tells the rest what it
/// knows.
fn heeding(upstream: &Upstream, server: Server) -> Client {
    let stack = ServiceBuilder::new()
        .layer(upstream.layer().with_binding(Http))
        .layer(OutboundLayer::new())
        .service(wire(server));
    BoxCloneSyncService::new(stack.map_err(BoxError::from))
}

/// For a client that does not listen.
fn deaf() -> Upstream {
    upstream::Config::new().mode(Mode::Off).build().unwrap()
}

fn request(priority: Priority) -> Request<()> {
    let mut request = Request::new(());
    let context = Context::default().with_priority(priority);
    request.extensions_mut().insert(context);
    request
}

/// What became of requests of one priority.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Fates {
    asked: u32,
    answered: u32,
    refused: u32,
    kept_back: u32,
}

/// So many requests a second for so long, of two priorities by turns.
async fn ask(client: &Client, rate: u32, time: Duration) -> [Fates; 2] {
    const OF: [Priority; 2] = [Priority::SHEDDABLE, Priority::CRITICAL];
    let mut calls = JoinSet::new();
    let began = Instant::now();
    for nth in 0.. {
        let at = began + SECOND * nth / rate;
        if at >= began + time {
            break;
        }
        sleep_until(at).await;
        let class = nth as usize % 2;
        let call = client.clone().oneshot(request(OF[class]));
        calls.spawn(async move { (class, call.await) });
    }
    let mut fates = [Fates::default(); 2];
    while let Some(call) = calls.join_next().await {
        let (class, result) = call.unwrap();
        let fates = &mut fates[class];
        fates.asked += 1;
        match result {
            Ok(answer) if answer.status() == StatusCode::OK => fates.answered += 1,
            Ok(_) => fates.refused += 1,
            Err(error) => {
                assert_eq!(error.rejected().unwrap().reason(), Reason::Shed);
                fates.kept_back += 1;
            }
        }
    }
    fates
}

fn found() -> Client {
    let found =
        service_fn(async |_: Request<()>| Ok::<_, BoxError>(Response::new(String::from("found"))));
    BoxCloneSyncService::new(found)
}

/// A signal that is there while the switch is on.
fn switched(switch: &Arc<AtomicBool>) -> impl Signal + use<> {
    let switch = Arc::clone(switch);
    Watched::new("switched", move |_| match switch.load(Ordering::Relaxed) {
        true => Pressure::percent(200),
        false => Pressure::NONE,
    })
}

/// Counts what comes.
fn counted(calls: &Arc<AtomicU64>, server: Server) -> Server {
    let calls = Arc::clone(calls);
    let layer = MapRequestLayer::new(move |request| {
        calls.fetch_add(1, Ordering::Relaxed);
        request
    });
    BoxCloneSyncService::new(layer.layer(server))
}

/// An answer after a tenth of a second, for whoever has one of these slots.
fn slow(slots: &Bulkhead) -> Client {
    let stack = ServiceBuilder::new()
        .layer(slots.queued_layer().with_binding(Http))
        .service(service_fn(async |_: Request<()>| {
            sleep(100 * MILLI).await;
            Ok::<_, Infallible>(Response::new(String::from("found")))
        }));
    BoxCloneSyncService::new(stack)
}

fn some(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn waiting_for(slots: u32) -> bulkhead::Config {
    bulkhead::Config::new(some(slots)).when_full(WhenFull::Wait {
        max_waiting: 100,
        max_wait: 10 * SECOND,
        order: Order::Fifo,
    })
}

/// What is admitted goes back to who asks: what would be refused costs neither
/// side a request, what matters more never notices, and all of it passes again
/// once there is room.
#[tokio::test(start_paused = true)]
async fn what_the_server_would_shed_its_client_keeps_back() {
    let is_too_much = Arc::new(AtomicBool::new(true));
    let prioritizer = prioritizer::Config::new()
        .signal(switched(&is_too_much))
        .build()
        .unwrap();
    let received = Arc::new(AtomicU64::new(0));
    let server = counted(&received, shedding(&prioritizer, found()));
    let upstream = upstream::Config::new().build().unwrap();
    let client = heeding(&upstream, server);

    // Two percent less in each half second: until all that is sheddable is too
    // much, and that is the least that a client knows to be refused.
    let [sheddable, critical] = ask(&client, 1_000, 32 * SECOND).await;
    assert!(
        critical.answered >= critical.asked / 100 * 95,
        "{critical:?}"
    );
    assert_eq!(critical.kept_back, 0, "{critical:?}");
    assert!(sheddable.kept_back > sheddable.asked / 20, "{sheddable:?}");
    assert!(sheddable.refused > 0, "there is something to hear");
    let asked = sheddable.asked + critical.asked;
    let sent = u64::from(asked - sheddable.kept_back);
    assert_eq!(received.load(Ordering::Relaxed), sent);

    is_too_much.store(false, Ordering::Relaxed);
    ask(&client, 1_000, 5 * SECOND).await;
    for fates in ask(&client, 1_000, SECOND).await {
        assert_eq!(fates.answered, fates.asked, "{fates:?}");
    }
    assert_eq!(upstream.level(Clock::Precise.now()), AdmissionLevel::ALL);
}

/// A refusal becomes an answer further out than it was decided, and says the
/// level all the same: one who hears nothing but refusals hears why.
#[tokio::test(start_paused = true)]
async fn refusals_and_answers_say_what_is_admitted() {
    let prioritizer = prioritizer::Config::new()
        .signal(switched(&Arc::new(AtomicBool::new(true))))
        .build()
        .unwrap();
    let server = shedding(&prioritizer, found());
    ask(&heeding(&deaf(), server.clone()), 1_000, 5 * SECOND).await;
    let upstream = upstream::Config::new().build().unwrap();
    let client = heeding(&upstream, server);
    let refused = loop {
        let call = client.clone().oneshot(request(Priority::SHEDDABLE));
        let answer = call.await.unwrap();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            break answer;
        }
        // It came with an answer, too: forgotten here.
        sleep(2 * SECOND).await;
    };
    let level = prioritizer.level();
    assert_ne!(level, AdmissionLevel::ALL);
    assert_eq!(fields::admission_level(refused.headers()), Some(level));
    assert_eq!(upstream.level(Clock::Precise.now()), level);
    // So does who is answered.
    let call = client.oneshot(request(Priority::CRITICAL_PLUS));
    let answer = call.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(fields::admission_level(answer.headers()), Some(level));
}

/// A breaker that is open says that there is nothing to answer with: it is told
/// at the door, and whoever matters most still comes through to it, or nobody
/// would find out that it is over.
#[tokio::test(start_paused = true)]
async fn an_open_breaker_sheds_at_the_door_and_what_closes_it_comes_through() {
    let is_down = Arc::new(AtomicBool::new(true));
    let breaker = circuit_breaker::Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::consecutive_failures(5))
        .build()
        .unwrap();
    let prioritizer = prioritizer::Config::new()
        .signal(breaker.clone())
        .build()
        .unwrap();
    let dependency = Arc::clone(&is_down);
    let behind = ServiceBuilder::new()
        .layer(breaker.layer().with_binding(Http))
        .service(service_fn(move |_: Request<()>| {
            let mut answer = Response::new(String::new());
            if dependency.load(Ordering::Relaxed) {
                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            ready(Ok::<_, BoxError>(answer))
        }));
    let server = shedding(&prioritizer, BoxCloneSyncService::new(behind));
    let client = heeding(&deaf(), server);

    ask(&client, 200, 2 * SECOND).await;
    assert_eq!(breaker.state(), State::Open);
    let snapshot = prioritizer.snapshot();
    assert_eq!(snapshot.signal(), Some("circuit breaker"));
    assert!(snapshot.is_overloaded());
    assert_ne!(prioritizer.level(), AdmissionLevel::ALL);

    // However long it lasts.
    ask(&client, 200, 20 * SECOND).await;
    assert_ne!(breaker.state(), State::Closed);
    is_down.store(false, Ordering::Relaxed);
    let mut seconds = 0;
    while breaker.state() != State::Closed || prioritizer.level() != AdmissionLevel::ALL {
        ask(&client, 200, SECOND).await;
        seconds += 1;
        println!(
            "{seconds}: {:?} {}",
            breaker.state(),
            prioritizer.snapshot()
        );
        assert!(seconds < 60);
    }
    for fates in ask(&client, 200, SECOND).await {
        assert_eq!(fates.answered, fates.asked, "{fates:?}");
    }
}

/// A rate and a number at a time, each of which may be the narrower one, and
/// one who decides for both: what matters least is refused at the door, whoever
/// of the two would have refused.
#[tokio::test(start_paused = true)]
async fn a_bulkhead_and_a_rate_limit_shed_the_same_requests_first() {
    for (slots, rate) in [(10, 1_000), (100, 100)] {
        let prioritizer = prioritizer::Config::new().build().unwrap();
        let shared = bulkhead::Config::new(some(slots))
            .reporting_to(&prioritizer)
            .build()
            .unwrap();
        let quota = Quota::per_second(some(rate)).burst(some(5));
        let limiter = rate_limit::Config::new(quota)
            .reporting_to(&prioritizer)
            .build()
            .unwrap();
        let inner = ServiceBuilder::new()
            .layer(limiter.layer().with_binding(Http))
            .layer(shared.layer().with_binding(Http))
            .service(service_fn(async |_: Request<()>| {
                sleep(100 * MILLI).await;
                Ok::<_, BoxError>(Response::new(String::new()))
            }));
        let server = shedding(&prioritizer, BoxCloneSyncService::new(inner));
        let client = heeding(&deaf(), server);
        // A hundred a second can be borne, and 160 come.
        ask(&client, 160, 5 * SECOND).await;
        let before = shared.snapshot().refused() + limiter.snapshot().refused();
        let [sheddable, critical] = ask(&client, 160, 10 * SECOND).await;
        let within = shared.snapshot().refused() + limiter.snapshot().refused() - before;
        println!("{slots} slots, {rate}/s: {sheddable:?} {critical:?}, {within} within");
        assert!(critical.answered >= critical.asked * 9 / 10);
        let answered = critical.answered + sheddable.answered;
        assert!((900..=1_010).contains(&answered), "{answered}");
        // A twentieth of what is borne comes in vain, so that it stays busy.
        assert!(within < 100, "{within}");
    }
}

/// What came when, and what was answered.
#[derive(Copy, Clone, Debug)]
struct Visit {
    id: usize,
    came: Instant,
    answered: Instant,
    wait: Option<Duration>,
}

/// A refusal says when to come again. Our retry comes then, not earlier, and no
/// more often than its budget has it: a server that sheds is not asked for much
/// more by who was refused.
#[tokio::test(start_paused = true)]
async fn who_is_shed_comes_again_when_it_was_told_to_and_not_in_numbers() {
    const CALLS: usize = 2_000;
    let prioritizer = prioritizer::Config::new()
        .signal(switched(&Arc::new(AtomicBool::new(true))))
        .build()
        .unwrap();
    let server = shedding(&prioritizer, found());
    ask(&heeding(&deaf(), server.clone()), 1_000, 20 * SECOND).await;

    let visits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&visits);
    let server = service_fn(move |request: Request<()>| {
        let (server, visits) = (server.clone(), Arc::clone(&noted));
        async move {
            let id = *request.extensions().get::<usize>().unwrap();
            let came = Instant::now();
            let answer = server.oneshot(request).await?;
            let wait = retry_after::wait(answer.headers(), SystemTime::now);
            visits.lock().unwrap().push(Visit {
                id,
                came,
                answered: Instant::now(),
                wait,
            });
            Ok::<_, BoxError>(answer)
        }
    });
    let budget = RetryBudget::new("search", Deposits::of(Ratio::percent(10)).floor(0)).unwrap();
    let waits = Backoff::constant(MILLI).retry_after_up_to(600 * SECOND);
    let retry = retry::Config::new(budget).attempts(3).backoff(waits);
    let client = retry
        .build()
        .unwrap()
        .layer(WhenIdempotent)
        .with_binding(Http)
        .layer(server);
    let mut calls = JoinSet::new();
    for id in 0..CALLS {
        let mut request = request(Priority::SHEDDABLE);
        request.extensions_mut().insert(id);
        calls.spawn(client.clone().oneshot(request));
        sleep(MILLI).await;
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    let visits = visits.lock().unwrap();
    assert!(visits.len() <= CALLS * 11 / 10, "{} visits", visits.len());
    let mut again = 0;
    let mut last = vec![None::<Visit>; CALLS];
    for visit in visits.iter() {
        if let Some(before) = last[visit.id].replace(*visit) {
            let told = before.wait.expect("a refusal that says when");
            assert!(visit.came >= before.answered + told, "{before:?} {visit:?}");
            assert!(told >= SECOND);
            again += 1;
        }
    }
    println!("{} visits of {CALLS} calls, {again} again", visits.len());
    assert!(
        again > CALLS / 20,
        "what the budget grants is used: {again}"
    );
}

/// The caller's patience comes in a field; who would wait for longer is told at
/// once, and not after it has waited.
#[tokio::test(start_paused = true)]
async fn who_would_wait_longer_than_its_caller_is_refused_at_once() {
    let slots = waiting_for(1).build().unwrap();
    let prioritizer = prioritizer::Config::new().build().unwrap();
    let shedder = load_shed::Config::new(&prioritizer)
        .estimating(EstimatedWait::of(slots.clone()))
        .build();
    let server = ServiceBuilder::new()
        .layer(RejectionLayer::new())
        .layer(inbound())
        .layer(shedder.layer().with_binding(Http))
        .service(slow(&slots));
    let server = wire(BoxCloneSyncService::new(server));
    // Twenty that have no hurry; some are served already, so it is known how
    // long it takes.
    let mut patient = JoinSet::new();
    for _ in 0..20 {
        patient.spawn(server.clone().oneshot(Request::new(())));
    }
    sleep(550 * MILLI).await;

    let call = |patience: Duration| {
        let stack = ServiceBuilder::new()
            .layer(Timeout::after(patience).layer().with_binding(Http))
            .layer(OutboundLayer::new())
            .service(server.clone());
        async move {
            let began = Instant::now();
            let answer: Result<_, BoxError> = stack.oneshot(Request::new(())).await;
            (answer.unwrap().status(), began.elapsed())
        }
    };
    let (status, took) = call(SECOND).await;
    assert_eq!(
        (status, took),
        (StatusCode::SERVICE_UNAVAILABLE, Duration::ZERO)
    );
    assert_eq!(shedder.snapshot().refused(), 1);
    let (status, took) = call(2 * SECOND).await;
    assert_eq!(status, StatusCode::OK);
    assert!(took > SECOND, "{took:?}");
    while let Some(answer) = patient.join_next().await {
        assert_eq!(answer.unwrap().unwrap().status(), StatusCode::OK);
    }
}

/// Users are ranked where they come in, and what they were ranked goes with their
/// requests: the next server sheds the same ones.
#[tokio::test(start_paused = true)]
async fn a_users_level_at_the_edge_is_its_level_further_in() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heard);
    let inner =
        ServiceBuilder::new()
            .layer(inbound())
            .service(service_fn(move |request: Request<()>| {
                let priority = Carrier::context(&Http, &request).priority();
                noted.lock().unwrap().push(priority);
                ready(Ok::<_, Infallible>(Response::new(String::new())))
            }));
    let next = wire(BoxCloneSyncService::new(inner));
    let client = OutboundLayer::new().layer(next);

    let fairness = fairness::Config::new()
        .half_life(2 * SECOND)
        .build()
        .unwrap();
    let prioritizer = prioritizer::Config::new().build().unwrap();
    let shedder = load_shed::Config::new(&prioritizer).build();
    let user_of = |request: &Request<()>, hasher: &KeyHasher| {
        let user = request.headers().get("user")?;
        Some(hasher.bytes(user.as_bytes()))
    };
    let edge = ServiceBuilder::new()
        // What comes from outside claims nothing above silence.
        .layer(InboundLayer::new())
        .layer(
            shedder
                .layer()
                .with_binding(Http)
                .by_user(&fairness, user_of),
        )
        .layer(ScopeLayer::new())
        .service(service_fn(move |_: Request<()>| {
            // The handler says nothing of priorities.
            let call = client.clone().oneshot(Request::new(()));
            async move { call.await.map_err(BoxError::from) }
        }));
    for _ in 0..1_000 {
        for user in ["ann", "bob", "bob", "bob", "bob"] {
            let request = Request::get("/").header("user", user).body(()).unwrap();
            edge.clone().oneshot(request).await.unwrap();
            tokio::time::advance(MILLI).await;
        }
    }
    let claims = Request::get("/").header("user", "bob");
    let claims = claims.header(&fields::PRIORITY, "255").body(()).unwrap();
    edge.clone().oneshot(claims).await.unwrap();
    let nobody = Request::new(());
    edge.clone().oneshot(nobody).await.unwrap();

    let heard = heard.lock().unwrap();
    let critical =
        |priority: Priority| priority >= Priority::CRITICAL && priority < Priority::CRITICAL_PLUS;
    assert!(heard.iter().all(|it| critical(*it)), "the class stays");
    let (ann, bob) = (heard[4_995], heard[4_999]);
    assert!(
        ann > bob,
        "who asks for more has a lower level: {ann} {bob}"
    );
    assert!(heard[5_000] <= bob, "a stranger's claim is nothing");
    assert_eq!(heard[5_001], Priority::CRITICAL);
}
