//! Rate limits among the others, and on both sides of HTTP.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::bulkhead;
use axiomatic_capacity::rate_limit::{Config, Quota, RateLimiter, WhenLimited};
use axiomatic_core::repeat::Always;
use axiomatic_core::time::Clock;
use axiomatic_core::{BoxError, Reason, Refusable};
use axiomatic_failure::circuit_breaker::{self, State, TripWhen, Window};
use axiomatic_failure::retry;
use axiomatic_http::{Http, RejectionLayer};
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, advance};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::SECOND;

fn some(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn limiter(rate: u32, burst: u32) -> RateLimiter {
    let quota = Quota::per_second(some(rate)).burst(some(burst));
    Config::new(quota).named("search").build().unwrap()
}

/// A refusal is ours: it says nothing of the dependency, and to ask again at
/// once is what a limit is there to prevent.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_reached_trips_no_breaker_and_is_not_asked_again() {
    let breaker = circuit_breaker::Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::consecutive_failures(1))
        .build()
        .unwrap();
    let limiter = limiter(1, 1);
    let mut service = ServiceBuilder::new()
        .layer(retry::Config::default().build().unwrap().layer(Always))
        .layer(breaker.layer())
        .layer(limiter.layer())
        .service(service_fn(|()| async { Ok::<_, BoxError>(()) }));
    assert!(service.ready().await.unwrap().call(()).await.is_ok());
    let error = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), Reason::Limited);
    assert_eq!(limiter.snapshot().refused(), 1);
    assert_eq!(breaker.state(), State::Closed);
}

/// So many a second and so many at a time: two layers, whose refusals say which
/// of the two it was. What finds no slot has cost its part of the rate.
#[tokio::test(start_paused = true)]
async fn a_rate_and_a_number_at_a_time_are_two_layers() {
    let limiter = limiter(10, 3);
    let slots = bulkhead::Config::new(some(1)).build().unwrap();
    let mut service = ServiceBuilder::new()
        .layer(limiter.layer())
        .layer(slots.layer())
        .service(service_fn(|()| async {
            tokio::time::sleep(SECOND / 20).await;
            Ok::<_, BoxError>(())
        }));
    let reasons: Vec<_> = {
        let mut calls = Vec::new();
        for _ in 0..4 {
            calls.push(service.ready().await.unwrap().call(()));
        }
        let mut reasons = Vec::new();
        for call in calls {
            reasons.push(
                call.await
                    .err()
                    .map(|error| error.rejected().unwrap().reason()),
            );
        }
        reasons
    };
    let expected = [
        None,
        Some(Reason::Full),
        Some(Reason::Full),
        Some(Reason::Limited),
    ];
    assert_eq!(reasons, expected);
}

/// The server says what it allows; a client that hears it is refused no more.
#[tokio::test(start_paused = true)]
async fn a_client_that_listens_keeps_to_a_limit_that_it_was_never_told_of() {
    let served = limiter(5, 5);
    let server = ServiceBuilder::new()
        .layer(RejectionLayer::new().announcing([served.policy()]))
        .layer(served.layer().with_binding(Http).announcing())
        .service(service_fn(|_: Request<()>| async {
            Ok::<_, BoxError>(Response::new("found"))
        }));
    // It was configured for a hundred times as much.
    let quota = Quota::per_second(some(500));
    let own = Config::new(quota)
        .when_limited(WhenLimited::Reject)
        .build()
        .unwrap();
    let mut client = ServiceBuilder::new()
        .layer(
            own.learning_layer()
                .with_error::<BoxError>()
                .with_binding(Http),
        )
        .service(server);
    let (mut answered, mut told, mut kept) = (0, 0, 0);
    let begun = Instant::now();
    while begun.elapsed() < 20 * SECOND {
        let request = Request::new(());
        match client.ready().await.unwrap().call(request).await {
            Ok(answer) if answer.status() == StatusCode::OK => answered += 1,
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
                told += 1;
            }
            Err(error) => {
                assert_eq!(error.rejected().unwrap().reason(), Reason::Limited);
                kept += 1;
            }
        }
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(own.quota(), Quota::per_second(some(5)));
    assert_eq!(told, 0, "the first answer said enough");
    assert!(kept > 500, "it kept to it by itself: {kept}");
    // A burst, and five a second; what waits for whole seconds loses some.
    assert!((60..=105).contains(&answered), "{answered} in 20 s");
    assert!(served.peek(Clock::Precise.now()).available() <= 5);
}
