//! What a layer learns from the calls that pass through it.

use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};

use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::repeat::Always;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Context, Ratio};
use axiomatic_latency::hedge::{Config, Delay, Hedge};
use axiomatic_sim::Random;
use futures::FutureExt;
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::backend::{Backend, Carried, MILLI, NEVER, Request, Trouble, call, over};

fn learning(delay: Delay) -> Hedge {
    Config::new(delay).build().unwrap()
}

/// Calls that are answered after so many milliseconds, one after the other.
async fn answered(hedge: &Hedge, calls: u32, millis: u32) {
    // Also for second attempts.
    let answers: Vec<_> = (0..2 * calls).map(|_| (millis, Ok(1))).collect();
    let backend = Backend::new(&answers);
    for _ in 0..calls {
        let result = call(over(hedge, &backend), Request::default()).await;
        assert_eq!(result, Ok(1));
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_learns_no_request_is_repeated_and_no_service_cloned() {
    let hedge = learning(Delay::quantile(Ratio::percent(95)));
    let backend = Backend::new(&[(10, Ok(1)); 200]);
    while hedge.delay().is_none() {
        let service = hedge
            .layer(|_: &Context, _: &Request| panic!("not yet"))
            .with_error::<Trouble>()
            .with_binding(Carried)
            .layer(backend.service());
        assert_eq!(call(service, Request::default()).await, Ok(1));
        assert_eq!(backend.clones(), 0);
    }
    call(over(&hedge, &backend), Request::default())
        .await
        .unwrap();
    assert_eq!(backend.clones(), 1);
}

// tower-0.5.3 forgets losers: what it learns is faster than what it calls, so
// that it hedges earlier and earlier.
#[tokio::test(start_paused = true)]
async fn losers_count_as_what_they_are_and_the_delay_does_not_drift() {
    // Evenly between 1 and 100 ms; so half of them take more than 50.
    let mut random = Random::new(11);
    let answers: Vec<_> = (0..8_000)
        .map(|_| (1 + random.below(100) as u32, Ok(1)))
        .collect();
    let backend = Backend::new(&answers);
    let all = RetryBudget::new("all", Deposits::of(Ratio::percent(100))).unwrap();
    let config = Config::new(Delay::quantile(Ratio::percent(50))).budget(all);
    let hedge = config.build().unwrap();
    for _ in 0..5 {
        let before = backend.sent().len();
        for _ in 0..1_000 {
            let result = call(over(&hedge, &backend), Request::default()).await;
            assert_eq!(result, Ok(1));
        }
        let extra = backend.sent().len() - before - 1_000;
        let delay = hedge.delay().unwrap();
        assert!((46 * MILLI..62 * MILLI).contains(&delay), "{delay:?}");
        assert!((380..560).contains(&extra), "{extra} of 1,000 were slow");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_is_learned_from() {
    for is_hedged in [false, true] {
        let hedge = learning(Delay::quantile(Ratio::percent(95)));
        answered(&hedge, 100, 10).await;
        assert!(hedge.delay() < Some(20 * MILLI));
        for _ in 0..100 {
            let backend = Backend::new(&[(NEVER, Ok(1)), (NEVER, Ok(2))]);
            let rule = move |_: &Context, request: &Request| is_hedged.then(|| request.clone());
            let layer = hedge.layer(rule).with_error().with_binding(Carried);
            let response = call(layer.layer(backend.service()), Request::default());
            timeout(200 * MILLI, response).await.unwrap_err();
        }
        assert!(hedge.delay() > Some(180 * MILLI), "{:?}", hedge.delay());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_says_nothing() {
    let hedge = learning(Delay::quantile(Ratio::percent(95)));
    answered(&hedge, 100, 10).await;
    let before = hedge.delay();
    for _ in 0..100 {
        let backend = Backend::new(&[(10, Ok(1))]);
        let mut service = over(&hedge, &backend);
        let response = service.ready().await.unwrap().call(Request::default());
        sleep(100 * MILLI).await;
        drop(response);
    }
    answered(&hedge, 1, 10).await;
    assert_eq!(hedge.delay(), before);
}

#[tokio::test(start_paused = true)]
async fn failures_do_not_make_it_hedge_earlier() {
    let hedge = learning(Delay::quantile(Ratio::percent(60)));
    answered(&hedge, 100, 50).await;
    let before = hedge.delay();
    for _ in 0..1_000 {
        let answers = [(1, Err(Trouble::Broken)), (1, Err(Trouble::Broken))];
        let backend = Backend::new(&answers);
        let result = call(over(&hedge, &backend), Request::default()).await;
        assert_eq!(result, Err(Trouble::Broken));
    }
    assert_eq!(hedge.delay(), before);
}

/// What is answered when it is first asked for could not have been hedged, and
/// need not be measured.
#[test]
fn an_answer_at_once_takes_one_look_at_the_clock() {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    let clock = Clock::Source(|| {
        let looks = LOOKS.fetch_add(1, Ordering::Relaxed);
        Instant::from_nanos(50_000_000_000 + 1_000 * looks)
    });
    let config = Config::new(Delay::quantile(Ratio::percent(50))).clock(clock);
    let hedge = config.build().unwrap();
    let layer = hedge.layer(Always).with_error().with_binding(Carried);
    let mut service = layer.layer(service_fn(|_: Request| ready(Ok::<_, Trouble>(1))));
    let calls = 100;
    for _ in 0..calls {
        let response = service.ready().now_or_never().unwrap().unwrap();
        let response = response.call(Request::default()).now_or_never();
        assert_eq!(response, Some(Ok(1)));
    }
    assert_eq!(LOOKS.load(Ordering::Relaxed), calls);
    assert_eq!(hedge.delay(), Some(MILLI));
}

/// The least that there is, which is the shortest delay.
#[tokio::test(start_paused = true)]
async fn what_is_answered_when_it_is_first_asked_for_takes_no_time() {
    let hedge = learning(Delay::quantile(Ratio::percent(95)));
    let service = service_fn(|_: Request| ready(Ok::<_, Trouble>(1)));
    let layer = hedge.layer(Always).with_error().with_binding(Carried);
    for _ in 0..100 {
        call(layer.layer(service), Request::default())
            .await
            .unwrap();
    }
    assert_eq!(hedge.delay(), Some(MILLI));
    // Of which one in ten is asked for longer. Only those can be slow.
    answered(&hedge, 10, 30).await;
    sleep(1_000 * MILLI).await;
    for _ in 0..10 {
        answered(&hedge, 1, 30).await;
    }
    assert!(hedge.delay() > Some(20 * MILLI), "{:?}", hedge.delay());
}
