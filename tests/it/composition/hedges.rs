//! Hedges among other patterns, in the order that their documentation gives.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::{BoxError, Context, Ratio, Reason, Refusable};
use axiomatic_failure::circuit_breaker::{self, State, TripWhen};
use axiomatic_failure::retry;
use axiomatic_http::{Http, WhenIdempotent};
use axiomatic_latency::hedge::{Config, Delay, Hedge, Sharing};
use axiomatic_latency::timeout::Timeout;
use http::{Request, Response};
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const MILLI: Duration = Duration::from_millis(1);
const HANGS: u64 = 1_000_000;

/// After 50 ms, within the budget of a retry.
fn hedge(extras: &RetryBudget<Deposits>) -> Hedge<Sharing<RetryBudget<Deposits>>> {
    let config = Config::new(Delay::fixed(50 * MILLI));
    config.sharing(extras.clone()).build().unwrap()
}

/// After 50 ms, and always.
fn hedge_alone() -> Hedge {
    let config = Config::new(Delay::fixed(50 * MILLI));
    config.budget(extras(100)).build().unwrap()
}

fn extras(percent: u16) -> RetryBudget<Deposits> {
    let deposits = Deposits::of(Ratio::percent(percent)).floor(0);
    RetryBudget::new("extras", deposits).unwrap()
}

/// What an attempt does by its number: answers with a status after so many
/// milliseconds.
fn dependency(
    attempts: &Arc<AtomicU32>,
    does: impl Fn(u32) -> (u64, u16) + Clone,
) -> impl Service<
    Request<()>,
    Response = Response<u32>,
    Error = Infallible,
    Future: Future<Output = Result<Response<u32>, Infallible>>,
> + Clone {
    let attempts = Arc::clone(attempts);
    service_fn(move |request: Request<()>| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let context: Context = request.extensions().get().cloned().unwrap_or_default();
        let (millis, status) = does(context.attempt());
        async move {
            sleep(Duration::from_millis(millis)).await;
            let mut response = Response::new(context.attempt());
            *response.status_mut() = status.try_into().unwrap();
            Ok(response)
        }
    })
}

/// A dependency that is down and slow: whatever retry and hedge want to add,
/// together they add what their budget has.
#[tokio::test(start_paused = true)]
async fn a_hedge_inside_a_retry_adds_no_more_than_the_budget_they_share() {
    let (attempts, extras): (_, RetryBudget<Deposits>) = (Arc::default(), extras(20));
    let waits = Backoff::constant(20 * MILLI);
    let retry = retry::Config::new(extras.clone()).backoff(waits);
    let hedge = hedge(&extras);
    let mut service = ServiceBuilder::new()
        .layer(
            retry
                .build()
                .unwrap()
                .layer(WhenIdempotent)
                .with_binding(Http),
        )
        .layer(hedge.layer(WhenIdempotent).with_binding(Http))
        .service(dependency(&attempts, |_| (60, 500)));
    for _ in 0..200 {
        let request = Request::get("/").body(()).unwrap();
        let answer = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(answer.status(), 500);
    }
    // A call deposits once, though the hedge begins it as well.
    let attempts = attempts.load(Ordering::Relaxed);
    assert!((230..=240).contains(&attempts), "{attempts}");
    let snapshot = hedge.snapshot();
    assert!(
        snapshot.hedged() > 0 && snapshot.refused() > 0,
        "{snapshot}"
    );
}

/// Who retries waits first. What is slow is hedged all the same.
#[tokio::test(start_paused = true)]
async fn a_hedge_inside_a_retry_leaves_failures_to_it() {
    for (does, sent, took) in [
        (
            (|attempt| (10, if attempt == 1 { 500 } else { 200 })) as fn(u32) -> _,
            2,
            10 + 200 + 10,
        ),
        (
            |attempt| (if attempt == 1 { HANGS } else { 10 }, 200),
            2,
            60,
        ),
    ] {
        let (attempts, extras) = (Arc::default(), extras(100));
        let waits = Backoff::constant(200 * MILLI).jitter(Jitter::Off);
        let retry = retry::Config::new(extras.clone()).backoff(waits);
        let mut service = ServiceBuilder::new()
            .layer(
                retry
                    .build()
                    .unwrap()
                    .layer(WhenIdempotent)
                    .with_binding(Http),
            )
            .layer(hedge(&extras).layer(WhenIdempotent).with_binding(Http))
            .service(dependency(&attempts, does));
        let began = Instant::now();
        let request = Request::get("/").body(()).unwrap();
        let answer = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), *answer.body()), (200, 2));
        assert_eq!(attempts.load(Ordering::Relaxed), sent);
        assert_eq!(began.elapsed().as_millis(), took);
    }
}

/// A hang ends at the timeout of the attempt, and by then the other attempt
/// has answered, or hangs as well.
#[tokio::test(start_paused = true)]
async fn a_hang_behind_an_attempt_timeout_loses_against_the_second_attempt() {
    for (second, expected, took) in [(20, Ok(2), 70), (HANGS, Err(Reason::Elapsed), 150)] {
        let attempts = Arc::default();
        let does = move |attempt| (if attempt == 1 { HANGS } else { second }, 200);
        let mut service = ServiceBuilder::new()
            .layer(hedge_alone().layer(WhenIdempotent).with_binding(Http))
            .layer(Timeout::after(100 * MILLI).layer().with_binding(Http))
            .service(dependency(&attempts, does));
        let began = Instant::now();
        let request = Request::get("/").body(()).unwrap();
        let answer = service.ready().await.unwrap().call(request).await;
        let reason = |error: BoxError| error.rejected().unwrap().reason();
        let answer = answer.map(Response::into_body).map_err(reason);
        assert_eq!(answer, expected);
        assert_eq!(began.elapsed().as_millis(), took);
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
    }
}

/// A breaker around a hedge sees calls; one inside would see attempts, and the
/// first of these failed.
#[tokio::test(start_paused = true)]
async fn a_call_that_a_hedge_saved_is_no_failure_to_the_breaker_around_it() {
    let attempts = Arc::default();
    let tripping = TripWhen::consecutive_failures(1);
    let breaker = circuit_breaker::Config::default().trip_when(tripping);
    let breaker = breaker.build().unwrap();
    let does = |attempt| (10, if attempt == 1 { 500 } else { 200 });
    let mut service = ServiceBuilder::new()
        .layer(breaker.layer().with_binding(Http))
        .layer(hedge_alone().layer(WhenIdempotent).with_binding(Http))
        .service(dependency(&attempts, does));
    let request = Request::get("/").body(()).unwrap();
    let answer = service.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(*answer.body(), 2);
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
    assert_eq!(breaker.state(), State::Closed);
}
