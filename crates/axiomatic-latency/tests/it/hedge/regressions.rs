//! What a review of 2026-11-26 proved wrong.

use super::*;

use axiomatic_core::Outcome;
use axiomatic_core::binding::Classified;
use axiomatic_core::budget::{Call as _, Class, Throttle};
use axiomatic_core::context::Deadline;
use axiomatic_core::time::Instant;
use std::time::Duration;

fn at(passed: Duration) -> Instant {
    Instant::from_nanos(50_000_000_000) + passed
}

/// It was allowed when the timer rang, and its instance is not ready yet.
#[tokio::test(start_paused = true)]
async fn an_answer_that_asks_for_less_calls_off_what_is_not_sent() {
    let retried = Context::default().with_retried_by(Name::from("retry"));
    for (trouble, context) in [
        (Trouble::Throttled, Context::default()),
        (Trouble::Unwilling, Context::default()),
        (Trouble::Broken, retried),
    ] {
        let backend = Backend::new(&[(60, Err(trouble)), (20, Ok(2))]);
        let hedge = hedge();
        let mut service = over(&hedge, &backend);
        let response = service.ready().await.unwrap().call(context.into());
        backend.set_ready(false);
        assert_eq!(response.await, Err(trouble), "and it is not waited for");
        assert_eq!(backend.sent().len(), 1);
        let budget = hedge.budget().snapshot(now());
        assert_eq!((budget.granted(), budget.returned()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn switched_off_while_its_instance_becomes_ready_it_is_not_sent() {
    for mode in [Mode::Off, Mode::Shadow] {
        let backend = Backend::new(&[(200, Ok(1)), (20, Ok(2))]);
        let hedge = hedge();
        let mut service = over(&hedge, &backend);
        let response = service.ready().await.unwrap().call(Request::default());
        backend.set_ready(false);
        let (answer, ()) = tokio::join!(response, async {
            sleep(80 * MILLI).await;
            hedge.set_mode(mode);
            backend.set_ready(true);
        });
        assert_eq!((answer, backend.sent().len()), (Ok(1), 1), "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_second_attempt_is_sent_after_the_deadline() {
    let backend = Backend::new(&[(300, Ok(1)), (20, Ok(2))]);
    let hedge = hedge();
    let mut service = over(&hedge, &backend);
    let context = Context::default().with_deadline(Deadline::at(now() + 100 * MILLI));
    let response = service.ready().await.unwrap().call(context.into());
    backend.set_ready(false);
    let (_, ()) = tokio::join!(response, async {
        sleep(150 * MILLI).await;
        backend.set_ready(true);
    });
    assert_eq!(backend.sent().len(), 1);
}

/// However often it was polled before.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_there_with_the_timer_needs_no_second() {
    for polls in 1..6 {
        let backend = Backend::new(&[(40, Ok(1)), (20, Ok(2))]);
        let mut service = over(&hedge(), &backend);
        let mut response = pin!(service.ready().await.unwrap().call(Request::default()));
        let mut cx = task::Context::from_waker(task::Waker::noop());
        for _ in 0..polls {
            assert!(response.as_mut().poll(&mut cx).is_pending());
        }
        // The task comes late.
        sleep(60 * MILLI).await;
        assert_eq!(response.as_mut().poll(&mut cx), Poll::Ready(Ok(1)));
        assert_eq!(backend.sent().len(), 1, "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn in_shadow_no_request_is_marked() {
    let config = Config::new(Delay::fixed(50 * MILLI)).avoiding_endpoints();
    let hedge = config.build().unwrap();
    hedge.set_mode(Mode::Shadow);
    let backend = Backend::new(&[(80, Ok(1))]);
    call(over(&hedge, &backend), Request::default())
        .await
        .unwrap();
    assert!(backend.requests()[0].choice.is_none());
}

/// Of a call that a retry began, the retry tells what became of it.
#[test]
fn a_shared_budget_is_told_what_became_of_a_call_once() {
    let budget = RetryBudget::new("test", Throttle::of(10, Ratio::percent(10))).unwrap();
    for _ in 0..4 {
        let mut failed = budget.begin(at(Duration::ZERO));
        failed.record(at(Duration::ZERO), Outcome::Transient);
    }
    let config = Config::new(Delay::fixed(50 * MILLI)).sharing(budget.clone());
    let hedge = config.build().unwrap();

    let mut retry = budget.begin(at(Duration::ZERO));
    let mut call = hedge.begin(at(Duration::ZERO));
    let permit = call.admit(at(50 * MILLI), Class::Hedge).unwrap();
    let second = permit.send(at(50 * MILLI));
    second.record(at(60 * MILLI), Outcome::Success);
    call.lost(at(60 * MILLI));
    retry.record(at(60 * MILLI), Outcome::Success);
    let level = budget.snapshot(at(60 * MILLI)).level().to_string();
    assert_eq!(level, "6.1 of 10", "and not 6.2");
}

/// For longer than it takes to forget what came before, and from the start.
#[test]
fn an_outage_of_quick_failures_does_not_make_it_hedge_earlier() {
    let hedge = Config::new(Delay::quantile(Ratio::percent(95)))
        .build()
        .unwrap();
    let fail = |from: u64| {
        for call in 0..30_000 {
            let began = at(Duration::from_secs(from) + call * 10 * MILLI);
            hedge.begin(began).record(began + MILLI, Outcome::Transient);
        }
    };
    fail(0);
    assert_eq!(hedge.delay(), None, "nothing was ever answered");
    for call in 0..5_000 {
        let began = at(Duration::from_secs(300) + call * 10 * MILLI);
        hedge
            .begin(began)
            .record(began + 100 * MILLI, Outcome::Success);
    }
    let before = hedge.delay().unwrap();
    fail(350);
    assert!(
        hedge.delay().is_none_or(|delay| delay >= before),
        "{before:?}"
    );
}

#[test]
fn a_fixed_delay_is_always_this_long() {
    let micros = Duration::from_micros(300);
    let hedge = Config::new(Delay::fixed(micros)).build().unwrap();
    assert_eq!(hedge.delay(), Some(micros));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_of_the_dependency_wins_as_well() {
    let hedge = Config::new(Delay::fixed(50 * MILLI)).build().unwrap();
    let backend = Backend::new(&[(NEVER, Ok(1)), (20, Ok(2))]);
    let says_nothing = Classified::new(Carried, |_: Result<&u32, &Trouble>| Outcome::Ignored);
    let layer = hedge.layer(Always).with_error::<Trouble>();
    let service = layer.with_binding(says_nothing).layer(backend.service());
    assert_eq!(call(service, Request::default()).await.unwrap(), 2);
    assert_eq!(hedge.snapshot().won(), 1);
}
