//! The layers of rates: what refuses, and what waits.

use axiomatic_capacity::rate_limit::keyed::{self, Table};
use axiomatic_capacity::rate_limit::{
    Algorithm, Config, KeyedRateLimiter, Quota, RateLimitLayer, RateLimiter, WaitingRateLimitLayer,
    WhenLimited,
};

use axiomatic_contract::Verdict;

use super::*;

const SPENT_IN_CALL: &str = "what is left is known at the time of the call, and the clock is read \
                             once";

fn some(count: usize) -> NonZeroU32 {
    NonZeroU32::new(u32::try_from(count).unwrap()).unwrap()
}

/// So many, and then one in an hour.
fn so_many(calls: usize) -> Quota {
    Quota::per_hour(NonZeroU32::MIN).burst(some(calls))
}

fn limiter(calls: usize) -> RateLimiter {
    Config::new(so_many(calls)).build().unwrap()
}

/// Whose calls wait for a second at most.
fn patient(quota: Quota) -> RateLimiter {
    let waits = WhenLimited::Wait {
        max_wait: Duration::from_secs(60),
        max_waiting: some(1_000),
    };
    Config::new(quota).when_limited(waits).build().unwrap()
}

fn subject<'a, L>(limiter: &RateLimiter, layer: L) -> Subject<'a, L::Service>
where
    L: Layer<Probe> + 'a,
{
    let (taker, giver) = (limiter.clone(), limiter.clone());
    Subject::new(layer)
        .refuse(move || taker.drain(taker.clock().now()))
        .relent(move || giver.refund(giver.clock().now(), giver.quota().at_once()))
}

#[test]
fn a_rate_limiter_keeps_the_contract() {
    for algorithm in [Algorithm::Gcra, Algorithm::TokenBucket] {
        Contract::new(Class::Direct, || {
            let config = Config::new(so_many(1_000)).algorithm(algorithm);
            let limiter = config.build().unwrap();
            subject(&limiter, limiter.layer())
        })
        .except(Obligation::RefusalSkipsInner, SPENT_IN_CALL)
        .assert();
    }
    Contract::new(Class::Direct, || {
        let limiter = limiter(1_000);
        subject(&limiter, limiter.layer().with_error::<Typed>())
    })
    .except(Obligation::RefusalSkipsInner, SPENT_IN_CALL)
    .assert();
}

#[test]
fn a_rate_limiter_admits_so_many_calls_and_no_more() {
    for calls in [1, 2, 5] {
        // Other checks spend calls freely.
        let verdict = Contract::new(Class::Direct, || {
            Subject::new(limiter(calls).layer()).limit_calls(calls)
        })
        .judge(Obligation::SharedState);
        assert!(matches!(verdict, Verdict::Kept), "{verdict:?}");
    }
}

#[test]
fn a_rate_limiter_with_costs_or_with_others_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let limiter = limiter(3_000);
        subject(&limiter, limiter.layer().weighing(|_: &Request| some(3)))
    })
    .except(Obligation::RefusalSkipsInner, SPENT_IN_CALL)
    .assert();
    Contract::new(Class::Direct, || {
        let (global, tenant, route) = (limiter(9_000), limiter(1_000), limiter(9_000));
        let all = (global, tenant.clone(), route);
        subject(&tenant, RateLimitLayer::new(all))
    })
    .except(Obligation::RefusalSkipsInner, SPENT_IN_CALL)
    .assert();
}

#[test]
fn a_rate_limiter_by_key_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let table = Table::for_keys(some(100));
        let config = keyed::Config::new(so_many(1_000), table);
        let tenants: KeyedRateLimiter<u64> = config.build().unwrap();
        let (taker, giver) = (tenants.clone(), tenants.clone());
        let now = |limiter: &KeyedRateLimiter<u64>| limiter.clock().now();
        Subject::new(tenants.layer_computing(|_: &Request| 7))
            .refuse(move || while taker.admit(&7, now(&taker)).is_ok() {})
            .relent(move || {
                giver.forget(&7);
            })
    })
    .except(Obligation::RefusalSkipsInner, SPENT_IN_CALL)
    .assert();
}

#[test]
fn a_rate_limiter_that_refuses_nobody_keeps_the_contract() {
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Direct, || {
            let limiter = limiter(1);
            limiter.set_mode(mode);
            Subject::new(limiter.layer())
        })
        .assert();
        let runtime = paused();
        let _entered = runtime.enter();
        Contract::new(Class::Waiting, || {
            let limiter = patient(so_many(1));
            limiter.set_mode(mode);
            Subject::new(limiter.waiting_layer())
        })
        .passing_time(|time| pass(&runtime, time))
        .assert();
    }
}

#[test]
fn a_rate_limiter_that_has_calls_wait_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    let thousand = Quota::per_second(some(1_000));
    Contract::new(Class::Waiting, || {
        Subject::new(patient(thousand).waiting_layer())
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
    Contract::new(Class::Waiting, || {
        let both = (patient(thousand), patient(thousand));
        Subject::new(WaitingRateLimitLayer::new(both).with_error::<Typed>())
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
    // Nobody waits where that was not chosen.
    Contract::new(Class::Waiting, || {
        let limiter = limiter(1_000);
        subject(&limiter, limiter.waiting_layer())
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
}

#[test]
fn layers_of_rates_ask_for_nothing_but_clones_where_they_wait() {
    let runtime = paused();
    let _entered = runtime.enter();
    let direct = limiter(1_000).layer();
    local::accepts_local(&direct);
    local::accepts_local(&direct.clone().with_error::<Typed>());
    local::stays_send(&direct);
    let waiting = patient(so_many(1_000)).waiting_layer();
    local::accepts_local_clone(&waiting);
    local::accepts_local_clone(&waiting.clone().with_error::<Typed>());
    local::stays_send(&waiting);
}
