//! The tower layer.

use std::time::Duration;

use axiomatic_contract::{Class, Contract, Request, Subject};
use axiomatic_core::allowance::Allowance;
use axiomatic_core::{Announce, BoxError, Carrier, Context, Mode, Reason, Refusable, Rejected};
use axiomatic_redis::rate_limit::{Lease, OnFailure, RedisRateLimiter};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Shared, patient, slowly, some};

/// A limiter without a Redis.
fn alone(on_failure: OnFailure) -> RedisRateLimiter {
    let client = redis::Client::open("redis://127.0.0.1:1/").unwrap();
    let config = patient("p", slowly(10), on_failure);
    config.build(client).unwrap()
}

#[tokio::test]
async fn each_request_is_limited_by_its_key_and_layers_share_the_limit() {
    let Some(redis) = Shared::find() else { return };
    let config = patient(&*redis.prefix, slowly(2), OnFailure::FailClosed);
    let limiter = redis.build(config);
    let layer = limiter.layer(|tenant: &String| tenant.as_str());
    let echo = service_fn(|tenant: String| async move { Ok::<_, BoxError>(tenant) });
    let mut one = layer.layer(echo);
    let mut other = layer.clone().layer(echo);
    assert_eq!(
        one.ready().await.unwrap().call("a".into()).await.unwrap(),
        "a"
    );
    other.ready().await.unwrap().call("a".into()).await.unwrap();
    let refused = one
        .ready()
        .await
        .unwrap()
        .call("a".into())
        .await
        .unwrap_err();
    assert_eq!(refused.rejected().unwrap().reason(), Reason::Limited);
    other.ready().await.unwrap().call("b".into()).await.unwrap();
}

#[tokio::test]
async fn a_typed_stack_gets_the_refusal_itself() {
    let layer = alone(OnFailure::FailClosed)
        .layer(|_: &u32| "all")
        .with_error::<Rejected>();
    let mut service = layer.layer(service_fn(|n: u32| async move { Ok::<_, Rejected>(n) }));
    let refused = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Unreachable);
}

#[tokio::test]
async fn a_call_that_a_lease_pays_asks_nobody() {
    let Some(redis) = Shared::find() else { return };
    let config = patient(&*redis.prefix, slowly(100), OnFailure::FailClosed);
    let lease = Lease::of(some(10)).lasting(Duration::from_secs(3_600));
    let limiter = redis.build(config.lease(lease));
    let layer = limiter.layer(|_: &u32| "all");
    let mut service = layer.layer(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }));
    for n in 0..10 {
        assert_eq!(service.ready().await.unwrap().call(n).await.unwrap(), n);
    }
    assert_eq!(limiter.snapshot().round_trips(), 1);
}

/// A protocol whose answers say what is left.
#[derive(Clone)]
struct Left;

impl Carrier<u32> for Left {
    fn context(&self, _: &u32) -> Context {
        Context::default()
    }
    fn set_context(&self, _: &mut u32, _: Context) {}
}

impl Announce<u64> for Left {
    fn announce(&self, response: &mut u64, allowance: impl FnOnce() -> Allowance) {
        let allowance = allowance();
        assert_eq!(allowance.policy().name().as_str(), "announced");
        assert_eq!(allowance.policy().quota(), 10);
        let hour = Duration::from_secs(3_600);
        assert!(allowance.more_after() <= hour && allowance.more_after() > hour * 9 / 10);
        *response = allowance.remaining();
    }
}

#[tokio::test]
async fn a_request_costs_what_it_says_and_the_answer_says_what_is_left() {
    let Some(redis) = Shared::find() else { return };
    let config = patient(&*redis.prefix, slowly(10), OnFailure::FailClosed);
    let limiter = redis.build(config.named("announced"));
    let layer = limiter
        .layer(|_: &u32| "all")
        .weighing(|n: &u32| some(*n))
        .announcing()
        .with_binding(Left);
    let mut service = layer.layer(service_fn(|_: u32| async { Ok::<u64, BoxError>(99) }));
    assert_eq!(service.ready().await.unwrap().call(3).await.unwrap(), 7);
    assert_eq!(service.ready().await.unwrap().call(5).await.unwrap(), 2);
    let refused = service.ready().await.unwrap().call(3).await.unwrap_err();
    assert_eq!(refused.rejected().unwrap().reason(), Reason::Limited);
    limiter.set_mode(Mode::Off);
    assert_eq!(service.ready().await.unwrap().call(3).await.unwrap(), 99);
}

/// Off, and refusing at once: what it does while it waits for Redis needs a
/// runtime, and the kit has none.
#[test]
fn the_layer_keeps_the_contract_of_a_service() {
    Contract::new(Class::Waiting, || {
        let limiter = alone(OnFailure::FailClosed);
        limiter.set_mode(Mode::Off);
        Subject::new(limiter.layer(|_: &Request| "all"))
    })
    .assert();
}
