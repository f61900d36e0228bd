//! Services that call one another, each with a retry: what that does to the
//! last one of them when it is down.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_core::budget::{Budget, Deposits, RetryBudget};
use axiomatic_core::context::Repeatability;
use axiomatic_core::repeat::WhenDeclared;
use axiomatic_core::time::Clock;
use axiomatic_core::{
    Advise, Carrier, Classify, Context, Outcome, Plain, Ratio, Refusable, Rejected,
};
use axiomatic_failure::circuit_breaker::{self, State, TripWhen, Window};
use axiomatic_failure::retry::{self, Retry};
use axiomatic_latency::timeout::Timeout;
use tokio::time::advance;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// A request is its context.
#[derive(Clone, Copy)]
struct Carried;

impl Carrier<Context> for Carried {
    fn context(&self, request: &Context) -> Context {
        request.clone()
    }

    fn set_context(&self, request: &mut Context, context: Context) {
        *request = context;
    }
}

impl<Res> Classify<Res, Rejected> for Carried {
    fn classify(&self, result: Result<&Res, &Rejected>) -> Outcome {
        Plain.classify(result)
    }
}

impl<Res> Advise<Res, Rejected> for Carried {}

type Hop = BoxCloneSyncService<Context, (), Rejected>;

/// The last one: it counts its calls, and fails them.
fn dead(calls: &Arc<AtomicU64>) -> Hop {
    let calls = Arc::clone(calls);
    BoxCloneSyncService::new(service_fn(move |_: Context| {
        calls.fetch_add(1, Ordering::Relaxed);
        let gone = Rejected::new(
            axiomatic_core::Pattern::Timeout,
            axiomatic_core::Reason::Elapsed,
        );
        ready(Err(gone))
    }))
}

/// Whether a service tells the next one that it repeats the call itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    Everything,
    Nothing,
}

/// A service that calls `next`, by a retry of its own.
fn hop<Bu: Budget>(next: Hop, retry: &Retry<Bu>, tells: Tells) -> Hop {
    let client = retry
        .layer(WhenDeclared)
        .with_error::<Rejected>()
        .with_binding(Carried)
        .layer(next);
    BoxCloneSyncService::new(service_fn(move |context: Context| {
        let child = match tells {
            Tells::Everything => context.child(),
            Tells::Nothing => Context::default(),
        };
        let child = child.with_repeatability(Repeatability::Repeatable);
        client.clone().oneshot(child)
    }))
}

fn three_attempts<Bu: Budget>(budget: Bu) -> Retry<Bu> {
    retry::Config::new(budget).attempts(3).build().unwrap()
}

/// A thousand requests, a hundred a second, through three services that each
/// try three times: how often the last one is asked for one of them.
async fn calls_a_request<Bu: Budget>(budget: impl Fn() -> Bu, tells: Tells) -> f64 {
    const REQUESTS: u64 = 1_000;
    let calls = Arc::new(AtomicU64::new(0));
    let mut service = dead(&calls);
    for _ in 0..3 {
        service = hop(service, &three_attempts(budget()), tells);
    }
    let mut requests = Vec::new();
    for _ in 0..REQUESTS {
        let context = Context::default().with_repeatability(Repeatability::Repeatable);
        requests.push(tokio::spawn(service.clone().oneshot(context)));
        advance(10 * MILLI).await;
    }
    for request in requests {
        assert!(request.await.unwrap().is_err());
    }
    calls.load(Ordering::Relaxed) as f64 / REQUESTS as f64
}

fn deposits(percent: u16) -> RetryBudget<Deposits> {
    RetryBudget::new("hop", Deposits::of(Ratio::percent(percent)).floor(0)).unwrap()
}

fn without_bound() -> RetryBudget<Deposits> {
    let enough = Deposits::of(Ratio::percent(300)).floor(1_000_000);
    RetryBudget::new("hop", enough).unwrap()
}

#[tokio::test(start_paused = true)]
async fn three_hops_that_retry_ask_a_dead_dependency_little_more_than_once() {
    let neither = calls_a_request(without_bound, Tells::Nothing).await;
    let told = calls_a_request(without_bound, Tells::Everything).await;
    let bounded = calls_a_request(|| deposits(10), Tells::Nothing).await;
    let both = calls_a_request(|| deposits(10), Tells::Everything).await;
    println!("calls of the last service for each request, of three hops with three attempts:");
    println!("  no budget, told nothing   {neither:.2}");
    println!("  no budget, told           {told:.2}");
    println!("  budget, told nothing      {bounded:.2}");
    println!("  budget, told              {both:.2}");
    assert_eq!(neither, 27.0);
    assert_eq!(told, 3.0);
    assert!(bounded <= 1.1 * 1.1 * 1.1 + 0.001, "{bounded}");
    assert!(both <= 1.1, "{both}");
    assert!(both > 1.05, "and what the budget grants is used: {both}");
}

/// Deadline, retry, breaker, attempt timeout: a dependency that hangs costs a
/// caller three attempts at first, and nothing once the breaker is open.
#[tokio::test(start_paused = true)]
async fn the_documented_stack_ends_in_time_and_stops_asking() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let breaker = circuit_breaker::Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::consecutive_failures(5))
        .build()
        .unwrap();
    let retry = retry::Config::default().build().unwrap();
    let stack = ServiceBuilder::new()
        .layer(typed(&Timeout::after(SECOND)))
        .layer(retry.layer(WhenDeclared).with_error().with_binding(Carried))
        .layer(
            breaker
                .layer()
                .with_error::<Rejected>()
                .with_binding(Breaks),
        )
        .layer(typed(&Timeout::after(100 * MILLI)))
        .service(service_fn(move |_: Context| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<(), Rejected>>()
        }));
    for made in [3, 5, 5, 5] {
        let began = Clock::Precise.now();
        let context = Context::default().with_repeatability(Repeatability::Repeatable);
        let error = stack.clone().oneshot(context).await.unwrap_err();
        assert_eq!(calls.load(Ordering::Relaxed), made, "{error}");
        assert!(Clock::Precise.now() - began <= SECOND);
    }
    assert_eq!(breaker.state(), State::Open);
    // The breaker's refusals are returned at once.
    let before = retry.snapshot().retried();
    let error = stack.oneshot(Context::default()).await.unwrap_err();
    assert_eq!(error.reason(), axiomatic_core::Reason::Open);
    assert_eq!(retry.snapshot().retried(), before);
}

fn typed(timeout: &Timeout) -> axiomatic_latency::timeout::TimeoutLayer<Rejected, Carried> {
    timeout.layer().with_error().with_binding(Carried)
}

/// [`Carried`], for a layer that also completes calls.
#[derive(Clone, Copy)]
struct Breaks;

impl Carrier<Context> for Breaks {
    fn context(&self, request: &Context) -> Context {
        Carried.context(request)
    }

    fn set_context(&self, request: &mut Context, context: Context) {
        Carried.set_context(request, context);
    }
}

impl<Res> Classify<Res, Rejected> for Breaks {
    fn classify(&self, result: Result<&Res, &Rejected>) -> Outcome {
        match result.err().and_then(Refusable::rejected) {
            Some(rejected) => rejected.reason().outcome(),
            None => Outcome::Success,
        }
    }
}

impl<P: axiomatic_core::Settle, Res> axiomatic_core::Complete<P, Res> for Breaks {
    type Response = Res;

    fn complete(&self, permit: P, outcome: Outcome, response: Res) -> Res {
        permit.settle(outcome);
        response
    }
}
