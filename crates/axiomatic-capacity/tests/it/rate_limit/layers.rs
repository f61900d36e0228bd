//! Calls through the layers that refuse and that wait, in paused time.

use std::pin::pin;
use std::time::Duration;

use axiomatic_capacity::rate_limit::{
    Config, Quota, RateLimitLayer, RateLimiter, WaitingRateLimitLayer, WhenLimited,
};
use axiomatic_core::context::Deadline;
use axiomatic_core::time::Clock;
use axiomatic_core::{Context, Reason, Rejected};
use futures::future::join_all;
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::mechanism::some;
use crate::support::{Carried, MILLI, SECOND};

pub(super) fn limiter(rate: u32, burst: u32) -> RateLimiter {
    let quota = Quota::per_second(some(rate)).burst(some(burst));
    Config::new(quota).build().unwrap()
}

fn patient(rate: u32, max_wait: Duration, max_waiting: u32) -> RateLimiter {
    Config::new(Quota::per_second(some(rate)).paced())
        .when_limited(WhenLimited::Wait {
            max_wait,
            max_waiting: some(max_waiting),
        })
        .build()
        .unwrap()
}

/// Answers with when it was called.
macro_rules! clocked {
    () => {
        service_fn(|_: Context| async { Ok::<_, Rejected>(Instant::now()) })
    };
}

fn waiting(limiter: &RateLimiter) -> WaitingRateLimitLayer<Rejected, Carried> {
    limiter.waiting_layer().with_error().with_binding(Carried)
}

/// In milliseconds: a wait is exact to the unit of virtual time that the
/// present instant lies in, which is two nanoseconds at most.
fn about(wait: Duration) -> u32 {
    u32::try_from((wait + Duration::from_nanos(2)).as_millis()).unwrap()
}

/// tower's is not `Clone`, and behind a `Buffer` each connection has its own:
/// axum #2634.
#[tokio::test(start_paused = true)]
async fn clones_and_layers_share_one_limit() {
    let limiter = limiter(5, 5);
    let layer = limiter.layer().with_error::<Rejected>();
    let mut admitted = 0;
    for _ in 0..100 {
        let mut service = layer.clone().layer(clocked!());
        let mut clone = service.clone();
        for service in [&mut service, &mut clone] {
            let answered = service
                .ready()
                .await
                .unwrap()
                .call(Context::default())
                .await;
            admitted += u32::from(answered.is_ok());
        }
    }
    assert_eq!(admitted, 5);
    assert_eq!(limiter.snapshot().refused(), 195);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_leaves_the_inner_service_ready() {
    let limiter = limiter(1, 1);
    let layer = limiter.layer().with_error::<Rejected>();
    let mut service = layer.layer(clocked!());
    service.ready().await.unwrap();
    assert!(service.call(Context::default()).await.is_ok());
    let unready = service.call(Context::default()).await.unwrap_err();
    assert_eq!(unready.reason(), Reason::NotReady);
    service.ready().await.unwrap();
    let refused = service.call(Context::default()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Limited);
    advance(refused.retry_after().unwrap()).await;
    // It was readied, and nothing has used that up.
    assert!(service.call(Context::default()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_has_passed_costs_nothing() {
    let limiter = limiter(1, 1);
    let expired = Deadline::at(Clock::Precise.now());
    let context = Context::default().with_deadline(expired);
    let layer = limiter
        .layer()
        .with_error::<Rejected>()
        .with_binding(Carried);
    let mut service = layer.layer(clocked!());
    let refused = service.ready().await.unwrap().call(context.clone()).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::Expired);
    let mut service = waiting(&limiter).layer(clocked!());
    let refused = service.ready().await.unwrap().call(context).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::Expired);
    assert_eq!(limiter.peek(Clock::Precise.now()).available(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_cost_what_is_said_of_them() {
    let limiter = limiter(10, 10);
    let layer = limiter.layer().with_error::<Rejected>();
    let mut service =
        layer
            .weighing(|cost: &u32| some(*cost))
            .layer(service_fn(
                |cost: u32| async move { Ok::<_, Rejected>(cost) },
            ));
    for cost in [4, 6] {
        assert_eq!(service.ready().await.unwrap().call(cost).await, Ok(cost));
    }
    let refused = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert_eq!(about(refused.retry_after().unwrap()), 100);
    let never = service.ready().await.unwrap().call(11).await.unwrap_err();
    assert_eq!(never.retry_after(), None);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_in_the_order_of_coming_and_at_the_rate() {
    let limiter = patient(10, 10 * SECOND, 100);
    let mut service = waiting(&limiter).layer(clocked!());
    let begun = Instant::now();
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(service.ready().await.unwrap().call(Context::default()));
    }
    // Polled backwards: the order is that of the calls.
    calls.reverse();
    let mut at: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    at.reverse();
    for (place, at) in at.iter().enumerate() {
        let due = begun + 100 * MILLI * u32::try_from(place).unwrap();
        assert_eq!(*at, due, "of place {place}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_due_in_time_is_refused_at_once() {
    let limiter = patient(10, 250 * MILLI, 100);
    let mut service = waiting(&limiter).layer(clocked!());
    let begun = Instant::now();
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(service.ready().await.unwrap().call(Context::default()));
    }
    // By how long it may wait.
    let last = calls.pop().unwrap();
    let refused = last.await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Limited);
    assert_eq!(about(refused.retry_after().unwrap()), 300);
    // By its own deadline.
    let deadline = Deadline::at(Clock::Precise.now() + 90 * MILLI);
    drop(calls.pop());
    let context = Context::default().with_deadline(deadline);
    let hurried = service.ready().await.unwrap().call(context).await;
    assert_eq!(hurried.unwrap_err().reason(), Reason::Limited);
    assert_eq!(begun, Instant::now(), "none of that took any time");
    assert!(join_all(calls).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn so_many_wait_and_no_more() {
    let limiter = patient(10, 100 * SECOND, 3);
    let mut service = waiting(&limiter).layer(clocked!());
    let mut calls = Vec::new();
    for _ in 0..6 {
        calls.push(service.ready().await.unwrap().call(Context::default()));
    }
    let answered = join_all(calls).await;
    let refused = answered.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(refused, 2, "one at once, and three that wait");
}

/// leaky-bucket #35 freezes, and #39 loses tokens.
#[tokio::test(start_paused = true)]
async fn who_leaves_gives_its_place_to_who_comes_next() {
    let limiter = patient(10, 10 * SECOND, 100);
    let mut service = waiting(&limiter).layer(clocked!());
    let begun = Instant::now();
    let mut calls = Vec::new();
    for _ in 0..5 {
        calls.push(service.ready().await.unwrap().call(Context::default()));
    }
    let third = calls.remove(2);
    drop(third);
    let instead = service.ready().await.unwrap().call(Context::default());
    assert_eq!(instead.await.unwrap(), begun + 200 * MILLI);
    // All leave, and nothing of them stays.
    drop(calls);
    advance(100 * MILLI).await;
    let now = Instant::now();
    let next = service.ready().await.unwrap().call(Context::default());
    assert_eq!(next.await.unwrap(), now);
}

#[tokio::test(start_paused = true)]
async fn wherever_a_waiting_call_is_cancelled_nothing_is_lost() {
    for polls in 0..4 {
        let limiter = patient(10, 10 * SECOND, 100);
        let now = || Clock::Precise.now();
        limiter.admit(now()).unwrap();
        let mut service = waiting(&limiter).layer(clocked!());
        {
            let mut call = pin!(service.ready().await.unwrap().call(Context::default()));
            for _ in 0..polls {
                let _ = futures::poll!(call.as_mut());
                advance(30 * MILLI).await;
            }
        }
        let next = limiter.peek(now()).next_after();
        assert_eq!(about(next), 100 - 30 * polls, "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn the_instance_that_is_called_is_readied_once_it_is_due() {
    let limiter = patient(10, 10 * SECOND, 100);
    let (inner, mut handle) = tower_test::mock::pair::<Context, ()>();
    let layer = limiter.waiting_layer().with_binding(Carried);
    let mut service = layer.layer(inner);
    handle.allow(0);
    limiter.admit(Clock::Precise.now()).unwrap();
    let mut call = pin!(service.ready().await.unwrap().call(Context::default()));
    assert!(futures::poll!(call.as_mut()).is_pending());
    advance(100 * MILLI).await;
    assert!(
        futures::poll!(call.as_mut()).is_pending(),
        "it is due, and not ready"
    );
    handle.allow(1);
    assert!(futures::poll!(call.as_mut()).is_pending());
    let (_, respond) = handle.next_request().await.unwrap();
    respond.send_response(());
    assert!(call.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn several_limits_decide_as_one_and_take_all_or_nothing() {
    let now = || Clock::Precise.now();
    let (global, tenant, route) = (limiter(10, 10), limiter(10, 3), limiter(10, 5));
    let all = (global.clone(), tenant.clone(), route.clone());
    let mut service = RateLimitLayer::new(all)
        .with_error::<Rejected>()
        .layer(clocked!());
    let mut admitted = 0;
    for _ in 0..20 {
        let answered = service
            .ready()
            .await
            .unwrap()
            .call(Context::default())
            .await;
        admitted += u32::from(answered.is_ok());
    }
    assert_eq!(admitted, 3);
    let left = [&global, &tenant, &route].map(|one| one.peek(now()).available());
    assert_eq!(left, [7, 0, 2], "who was refused by one has taken of none");
    assert_eq!(tenant.snapshot().refused(), 17);
    assert_eq!(global.snapshot().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_several_limits_is_due_when_it_is_by_all() {
    let slow = patient(10, 10 * SECOND, 100);
    let slower = patient(5, 300 * MILLI, 100);
    let both = (slow.clone(), slower.clone());
    let layer = WaitingRateLimitLayer::new(both).with_error::<Rejected>();
    let mut service = layer.layer(clocked!());
    let begun = Instant::now();
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(service.ready().await.unwrap().call(Context::default()));
    }
    let answered = join_all(calls).await;
    assert_eq!(answered[0], Ok(begun));
    assert_eq!(answered[1], Ok(begun + 200 * MILLI));
    assert!(
        answered[2].is_err(),
        "the slower would have it wait too long"
    );
    let next = slow.peek(Clock::Precise.now());
    assert_eq!(next.available(), 1, "and the other has got it back");
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_tower_gives_its_place_up_too() {
    let limiter = patient(10, 10 * SECOND, 100);
    let one = some(1);
    limiter.wait(one, None).await.unwrap();
    {
        let mut wait = pin!(limiter.wait(one, None));
        assert!(futures::poll!(wait.as_mut()).is_pending());
    }
    let begun = Instant::now();
    limiter.wait(one, None).await.unwrap();
    assert_eq!(begun.elapsed(), 100 * MILLI);
    let too_soon = Clock::Precise.now() + 50 * MILLI;
    let refused = limiter.wait(one, Some(too_soon)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Limited);
}
