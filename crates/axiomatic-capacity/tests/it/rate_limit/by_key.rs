//! Layers that ask for each request's key, in paused time.

use axiomatic_capacity::rate_limit::keyed::{self, Key, Table};
use axiomatic_capacity::rate_limit::{KeyedRateLimiter, Quota, RateLimitLayer};
use axiomatic_core::Rejected;
use axiomatic_core::time::Clock;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::layers::limiter;
use super::mechanism::some;

struct Search {
    tenant: String,
    user: u64,
}

fn search(tenant: &str, user: u64) -> Search {
    let tenant = tenant.to_owned();
    Search { tenant, user }
}

fn by_key<K: Key + ?Sized>(burst: u32) -> KeyedRateLimiter<K> {
    let quota = Quota::per_second(some(10)).burst(some(burst));
    let config = keyed::Config::new(quota, Table::for_keys(some(100)));
    config.named("tenants").build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_requests_key_has_its_own_quota_and_is_borrowed_or_made() {
    let tenants = by_key::<str>(2);
    let users = by_key::<u64>(3);
    let inner = service_fn(|_: Search| async { Ok::<_, Rejected>(()) });
    let layer = tenants.layer(|search: &Search| search.tenant.as_str());
    let mut service = layer.with_error::<Rejected>().layer(inner);
    for (tenant, admitted) in [("a", true), ("a", true), ("a", false), ("b", true)] {
        let answered = service.ready().await.unwrap().call(search(tenant, 7)).await;
        assert_eq!(answered.is_ok(), admitted, "{tenant}");
    }
    let layer = users.layer_computing(|search: &Search| search.user);
    let mut service = layer.with_error::<Rejected>().layer(inner);
    let mut admitted = 0;
    for _ in 0..5 {
        let answered = service.ready().await.unwrap().call(search("a", 7)).await;
        admitted += u32::from(answered.is_ok());
    }
    assert_eq!(admitted, 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_and_all_together_take_all_or_nothing() {
    let now = || Clock::Precise.now();
    let (tenants, all) = (by_key::<str>(2), limiter(10, 5));
    let of_tenant = tenants.by(|search: &Search| search.tenant.as_str());
    let layer = RateLimitLayer::new((all.clone(), of_tenant)).with_error::<Rejected>();
    let mut service = layer.layer(service_fn(|_: Search| async { Ok::<_, Rejected>(()) }));
    for (tenant, admitted) in [
        ("a", true),
        ("a", true),
        ("a", false),
        ("b", true),
        ("b", true),
    ] {
        let answered = service.ready().await.unwrap().call(search(tenant, 7)).await;
        assert_eq!(answered.is_ok(), admitted, "{tenant}");
    }
    assert_eq!(all.peek(now()).available(), 1);
    all.drain(now());
    let refused = service.ready().await.unwrap().call(search("c", 7)).await;
    assert!(refused.unwrap_err().retry_after().is_some());
    assert_eq!(
        tenants.peek("c", now()),
        2,
        "it has taken nothing of its own"
    );
}

#[cfg(feature = "keyed")]
#[tokio::test(start_paused = true)]
async fn an_exact_limit_by_key_has_the_same_layers() {
    use axiomatic_capacity::rate_limit::ExactKeyedRateLimiter;
    use axiomatic_core::keyed::WhenFull;

    let quota = Quota::per_second(some(10)).burst(some(2));
    let tenants: ExactKeyedRateLimiter<String> =
        ExactKeyedRateLimiter::new(quota, some(100), WhenFull::Refuse).unwrap();
    assert_eq!(tenants.quota(), quota);
    let all = limiter(10, 3);
    let of_tenant = tenants.by(|search: &Search| search.tenant.as_str());
    let both = RateLimitLayer::new((of_tenant, all.clone()));
    let mut service = both
        .with_error::<Rejected>()
        .layer(service_fn(|_: Search| async { Ok::<_, Rejected>(()) }));
    for (tenant, admitted) in [
        ("a", true),
        ("a", true),
        ("a", false),
        ("b", true),
        ("b", false),
    ] {
        let answered = service.ready().await.unwrap().call(search(tenant, 7)).await;
        assert_eq!(answered.is_ok(), admitted, "{tenant}");
    }
    let now = Clock::Precise.now();
    assert_eq!(tenants.peek("b", now), 1, "all were spent, and not its own");
    let layer = tenants.layer(|search: &Search| search.tenant.as_str());
    let mut service = layer
        .with_error::<Rejected>()
        .layer(service_fn(|_: Search| async { Ok::<_, Rejected>(()) }));
    let answered = service.ready().await.unwrap().call(search("b", 7)).await;
    assert!(answered.is_ok());
}
