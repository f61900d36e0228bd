//! Calls behind the layer with a deadline, while Redis answers and while it is
//! stopped.

use std::time::Duration;

use axiomatic_core::context::Deadline;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Announce, Carrier, Context, Mode, Reason, Rejected};
use axiomatic_failure::circuit_breaker::State;
use axiomatic_redis::rate_limit::{Config, Lease, OnFailure, RedisRateLimiter};
use tokio::task::JoinHandle;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{FOR_EVER, Server, Shared, patient, slowly, some, until};

/// A protocol whose requests are their deadlines.
#[derive(Clone)]
struct Timed;

type Request = Option<Instant>;

impl Carrier<Request> for Timed {
    fn context(&self, request: &Request) -> Context {
        match request {
            Some(at) => Context::default().with_deadline(Deadline::at(*at)),
            None => Context::default(),
        }
    }
    fn set_context(&self, _: &mut Request, _: Context) {}
}

impl Announce<()> for Timed {}

/// Calls through a layer.
fn call(limiter: &RedisRateLimiter, deadline: Request) -> JoinHandle<Result<(), Rejected>> {
    let layer = limiter
        .layer(|_: &Request| "all")
        .with_error::<Rejected>()
        .with_binding(Timed);
    let service = layer.layer(service_fn(async |_: Request| Ok::<_, Rejected>(())));
    tokio::spawn(service.oneshot(deadline))
}

/// Why a call was refused, which is known long before Redis is waited for no
/// longer.
async fn refusal(limiter: &RedisRateLimiter, deadline: Request) -> Reason {
    let called = tokio::time::timeout(FOR_EVER, call(limiter, deadline));
    let refused = called.await.expect("nobody waits beyond a deadline");
    refused.unwrap().unwrap_err().reason()
}

fn soon() -> Request {
    Some(Clock::Precise.now() + Duration::from_millis(20))
}

/// Waits for Redis longer than the test does.
fn stubborn(on_failure: OnFailure) -> Config {
    let minute = Duration::from_secs(60);
    patient("api", slowly(10), on_failure).timeout(minute)
}

fn lease() -> Lease {
    Lease::of(some(4)).lasting(Duration::from_secs(3_600))
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_costs_nothing() {
    let Some(redis) = Shared::find() else { return };
    let hand = ManualClock::new();
    let config = patient(&*redis.prefix, slowly(10), OnFailure::FailOpen);
    let clock = Clock::Manual(hand.clone());
    let limiter = redis.build(config.lease(lease()).clock(clock));
    let now = Some(hand.now());
    assert_eq!(refusal(&limiter, now).await, Reason::Expired);
    assert_eq!(limiter.snapshot().round_trips(), 0);
    // Neither of what a lease holds.
    let later = Some(hand.now() + FOR_EVER);
    call(&limiter, later).await.unwrap().unwrap();
    assert_eq!(refusal(&limiter, now).await, Reason::Expired);
    assert_eq!(limiter.snapshot().held(), 3);
    assert_eq!(limiter.snapshot().expired(), 2);
    for mode in [Mode::Shadow, Mode::Off] {
        limiter.set_mode(mode);
        call(&limiter, now).await.unwrap().unwrap();
    }
    assert_eq!(limiter.snapshot().would_refuse(), 1);
    assert_eq!(limiter.snapshot().held(), 3);
    assert_eq!(limiter.peek("all").await.unwrap().remaining(), 6);
}

#[tokio::test]
async fn a_call_waits_for_redis_until_its_deadline_and_no_longer() {
    let Some(server) = Server::start() else {
        return;
    };
    // Without Redis everything would pass, only nobody would wait for it.
    let limiter = server.build(stubborn(OnFailure::FailOpen));
    limiter.admit("all").await.unwrap();
    server.pause();
    assert_eq!(refusal(&limiter, soon()).await, Reason::Expired);
    let snapshot = limiter.snapshot();
    assert_eq!((snapshot.expired(), snapshot.unreachable()), (1, 0));
    assert_eq!(snapshot.failures(), 0, "a deadline is not Redis's fault");
    server.resume();
    // The question goes on: it is charged if it was asked at all, and once.
    until("it is charged", async || {
        let left = limiter.peek("all").await.unwrap().remaining();
        u64::from(left) + snapshot.round_trips() == 10
    })
    .await;
    let later = Some(Clock::Precise.now() + FOR_EVER);
    call(&limiter, later).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_waits_for_a_batch_until_its_deadline_and_no_longer() {
    let Some(server) = Server::start() else {
        return;
    };
    let limiter = server.build(stubborn(OnFailure::FailClosed).lease(lease()));
    limiter.admit("other").await.unwrap();
    server.pause();
    let patient = call(&limiter, None);
    until("it asks", async || limiter.snapshot().round_trips() == 2).await;
    assert_eq!(refusal(&limiter, soon()).await, Reason::Expired);
    server.resume();
    patient.await.unwrap().unwrap();
    let snapshot = limiter.snapshot();
    assert_eq!((snapshot.expired(), snapshot.round_trips()), (1, 2));
    assert_eq!(snapshot.held(), 3 + 3, "it took nothing of the batch");
}

#[tokio::test]
async fn the_breaker_learns_what_no_call_has_the_time_to_wait_for() {
    let Some(server) = Server::start() else {
        return;
    };
    let config = stubborn(OnFailure::FailClosed).timeout(Duration::from_millis(100));
    let limiter = server.build(config.left_alone_for(FOR_EVER, FOR_EVER));
    until("Redis decides", async || limiter.admit("all").await.is_ok()).await;
    server.pause();
    until("the breaker is open", async || {
        let reason = refusal(&limiter, soon()).await;
        let is_open = limiter.snapshot().breaker().state() == State::Open;
        assert!(reason == Reason::Expired || is_open, "{reason:?}");
        is_open
    })
    .await;
    let later = Some(Clock::Precise.now() + FOR_EVER);
    assert_eq!(refusal(&limiter, later).await, Reason::Unreachable);
}
