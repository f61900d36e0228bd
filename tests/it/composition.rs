//! Patterns that meet.

mod hedges;
mod hops;
mod placement;
mod rates;
mod shedding;
mod slots;

use std::convert::Infallible;
use std::future::pending;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_core::keyed::WhenFull;
use axiomatic_core::{BoxError, Reason, Refusable, Rejected};
use axiomatic_failure::circuit_breaker::{Config, KeyedCircuitBreaker, State, TripWhen, Window};
use axiomatic_latency::timeout::Timeout;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// A hang is no error, so a breaker alone would never see it. The timeout
/// inside turns it into one, and says of itself that a call was made.
#[tokio::test(start_paused = true)]
async fn a_hang_behind_an_attempt_timeout_opens_the_breaker() {
    let breaker = Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::consecutive_failures(3))
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(breaker.layer())
        .layer(Timeout::after(SECOND / 5).layer())
        .service(service_fn(|()| pending::<Result<(), BoxError>>()));
    for _ in 0..3 {
        assert_eq!(breaker.state(), State::Closed);
        let error = service.ready().await.unwrap().call(()).await.unwrap_err();
        assert_eq!(error.rejected().unwrap().reason(), Reason::Elapsed);
    }
    assert_eq!(breaker.state(), State::Open);
    let error = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), Reason::Open);
}

/// The other order: the breaker inside sees its calls dropped, which is
/// neutral, unless it was told what slow is.
#[tokio::test(start_paused = true)]
async fn a_hang_inside_a_timeout_is_seen_by_what_is_slow() {
    for slow_after in [None, Some(SECOND / 10)] {
        let mut config = Config::new(Window::last(10 * SECOND));
        if let Some(slow_after) = slow_after {
            config = config
                .slow_after(slow_after)
                .trip_when(TripWhen::slow_rate(axiomatic_core::Ratio::percent(50), 3));
        }
        let breaker = config.build().unwrap();
        let mut service = ServiceBuilder::new()
            .layer(Timeout::after(SECOND / 5).layer().with_error::<Rejected>())
            .layer(breaker.layer().with_error::<Rejected>())
            .service(service_fn(|()| pending::<Result<(), Infallible>>()));
        for _ in 0..3 {
            assert!(service.ready().await.unwrap().call(()).await.is_err());
        }
        let expected = match slow_after {
            None => State::Closed,
            Some(_) => State::Open,
        };
        assert_eq!(breaker.state(), expected);
    }
}

/// A host that hangs costs its own callers three timeouts, and those of the
/// other host nothing.
#[tokio::test(start_paused = true)]
async fn a_hang_behind_an_attempt_timeout_opens_the_breaker_of_its_host() {
    let config = Config::default().trip_when(TripWhen::consecutive_failures(3));
    let cap = NonZeroU32::new(10).unwrap();
    let hosts: KeyedCircuitBreaker<String> =
        KeyedCircuitBreaker::new(config, cap, WhenFull::Refuse).unwrap();
    let mut service = ServiceBuilder::new()
        .layer(hosts.layer(|host: &&'static str| host.to_string()))
        .layer(Timeout::after(SECOND / 5).layer())
        .service(service_fn(|host: &'static str| async move {
            match host {
                "bad" => pending().await,
                good => Ok::<_, BoxError>(good),
            }
        }));
    for call in 0..9 {
        let error = service
            .ready()
            .await
            .unwrap()
            .call("bad")
            .await
            .unwrap_err();
        let expected = if call < 3 {
            Reason::Elapsed
        } else {
            Reason::Open
        };
        assert_eq!(error.rejected().unwrap().reason(), expected, "call {call}");
        let answer = service.ready().await.unwrap().call("good").await;
        assert_eq!(answer.unwrap(), "good");
    }
    let mut states = Vec::new();
    hosts.for_each(|host, breaker| states.push((host.clone(), breaker.state())));
    states.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("bad", State::Open), ("good", State::Closed)];
    assert_eq!(
        states,
        expected.map(|(host, state)| (host.to_owned(), state))
    );
}

/// Typed errors, boxed errors and services that cannot fail stack without an
/// adapter between them.
#[tokio::test]
async fn stacks_of_any_error_compose() {
    let breaker = Config::default().build().unwrap();
    let timeout = Timeout::after(SECOND);
    let infallible = service_fn(|()| async { Ok::<_, Infallible>(1) });
    let typed = ServiceBuilder::new()
        .layer(breaker.layer().with_error::<Rejected>())
        .layer(timeout.layer().with_error::<Rejected>())
        .service(infallible);
    let mut boxed = ServiceBuilder::new()
        .layer(timeout.layer())
        .layer(breaker.layer())
        .service(typed);
    let answer: Result<i32, BoxError> = boxed.ready().await.unwrap().call(()).await;
    assert_eq!(answer.unwrap(), 1);
}
