//! tower's own layers, held to the contract: those that keep it, and what the
//! others do, as findings.

use std::error::Error;
use std::time::Duration;

use axiomatic_contract::{
    Class, Contract, Obligation as O, Probe, Request, Response, Script, Subject, Verdict,
};
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer, RateLimit, RateLimitLayer};
use tower::load_shed::{LoadShedLayer, error::Overloaded};
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;
use tower::util::{BoxCloneService, MapResponseLayer};
use tower::{ServiceBuilder, ServiceExt};

use crate::sample::{Thrice, broken, paused};

#[test]
fn nothing_at_all_passes() {
    Contract::new(Class::Direct, || Subject::from_fn(|inner| inner)).assert();
}

#[test]
fn map_response_passes() {
    Contract::new(Class::Direct, || {
        Subject::new(MapResponseLayer::new(|response: Response| response))
    })
    .assert();
}

#[test]
fn boxing_passes() {
    Contract::new(Class::Direct, || Subject::from_fn(BoxCloneService::new)).assert();
}

#[test]
fn timeout_passes() {
    let runtime = paused();
    let _entered = runtime.enter();
    let limit = Duration::from_secs(1);
    Contract::new(Class::Direct, || Subject::new(TimeoutLayer::new(limit)))
        .passing_time(|time| runtime.block_on(tokio::time::sleep(time)))
        .gives_up_after(limit)
        .assert();
}

#[test]
fn retry_passes() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || {
        Subject::new(RetryLayer::new(Thrice::after(|| {
            tokio::time::sleep(Duration::from_secs(1))
        })))
    })
    .passing_time(|time| runtime.block_on(tokio::time::sleep(time)))
    .assert();
}

/// The limit is taken in `poll_ready`, and a readied service that is not
/// called keeps it from everybody else.
#[test]
fn concurrency_limit_lets_idle_services_hold_permits() {
    let contract = Contract::new(Class::Direct, || {
        Subject::new(GlobalConcurrencyLimitLayer::new(2)).limit_in_flight(2)
    });
    assert_eq!(broken(&contract), [O::IdleHoldsNothing]);
    contract
        .except(O::IdleHoldsNothing, "tower reserves in poll_ready")
        .assert();
}

/// `ConcurrencyLimitLayer` limits each service that it makes on its own.
#[test]
fn concurrency_limit_layer_makes_a_limit_for_each_service() {
    let contract = Contract::new(Class::Direct, || {
        Subject::new(ConcurrencyLimitLayer::new(2)).limit_in_flight(2)
    });
    assert!(broken(&contract).contains(&O::SharedState));
}

/// A call that was shed keeps its place in the inner service's queue, where it
/// will be woken, or given a permit, for nothing.
#[test]
fn load_shed_stays_in_the_queue() {
    let contract = Contract::new(Class::Shedding, || Subject::new(LoadShedLayer::new()))
        .refused_as(<dyn Error>::is::<Overloaded>);
    assert_eq!(broken(&contract), [O::ShedLeavesQueue]);
}

/// Both together: with nothing in flight and one idle service that was
/// readied, every call is shed.
#[test]
fn load_shed_over_a_concurrency_limit_sheds_with_nothing_in_flight() {
    let contract = Contract::new(Class::Shedding, || {
        let limited = ServiceBuilder::new()
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(1));
        Subject::new(limited).limit_in_flight(1)
    })
    .refused_as(<dyn Error>::is::<Overloaded>);
    let broken = broken(&contract);
    assert!(broken.contains(&O::IdleHoldsNothing), "{broken:?}");

    // The same by hand, and twenty times.
    let runtime = paused();
    let service = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(1))
        .service(Script::new().service());
    let shed = runtime.block_on(async {
        let mut idle = service.clone();
        idle.ready().await.unwrap();
        let mut shed = 0;
        for id in 0..20 {
            let answer = service.clone().oneshot(Request::new(id)).await;
            shed += u32::from(answer.is_err_and(|error| error.is::<Overloaded>()));
        }
        drop(idle);
        assert!(service.oneshot(Request::new(20)).await.is_ok());
        shed
    });
    assert_eq!(shed, 20);
}

/// tower's `RateLimit` is no `Clone`, and each service counts for itself.
#[test]
fn rate_limit_counts_in_each_service() {
    let runtime = paused();
    let _entered = runtime.enter();
    let contract = |calls: u64| -> Contract<'_, RateLimit<Probe>> {
        Contract::without_clone(Class::Direct, move || {
            Subject::new(RateLimitLayer::new(calls, Duration::from_secs(60)))
                .limit_calls(usize::try_from(calls).unwrap())
        })
    };
    // Where no check runs into the limit, all is well but for the state.
    assert_eq!(broken(&contract(1000)), [O::SharedState]);
    assert!(matches!(
        contract(2).judge(O::SharedState),
        Verdict::Broken(_)
    ));
}
