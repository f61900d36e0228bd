//! What a review of 2026-11-26 proved wrong.

use super::*;

use axiomatic_core::Plain;
use axiomatic_core::budget::{InFlight, Level};
use axiomatic_failure::retry::{Ended, Verdict};

/// A stack of two retries, the outer first, and what is behind them.
async fn nested<Bu: Budget, Inner: Repeat<Call> + Clone>(
    outer: &Retry<Bu>,
    inner: (&Retry, Inner),
    dependency: &Dependency,
    request: Call,
) -> Result<Answer, Rejected> {
    let stack = typed(inner.0, inner.1).layer(dependency.clone());
    let mut stack = typed(outer, WhenDeclared).layer(stack);
    stack.ready().await?.call(request).await
}

/// A retry whose budget was found empty a moment ago.
async fn drained() -> Retry {
    let retry = Config::new(budget(0)).build().unwrap();
    let _ = call(&retry, &Dependency::default(), Call::repeatable()).await;
    assert!(retry.budget().is_drained(retry.now()));
    retry
}

#[tokio::test(start_paused = true)]
async fn a_retry_in_shadow_leaves_those_further_in_and_out_alone() {
    let outer = config().named("outer").build().unwrap();
    outer.set_mode(Mode::Shadow);
    let inner = config().named("inner").build().unwrap();
    let dependency = Dependency::default();
    let _ = nested(
        &outer,
        (&inner, WhenDeclared),
        &dependency,
        Call::repeatable(),
    )
    .await;
    assert_eq!(dependency.calls(), 3);
    let told = dependency.contexts()[0].retried_by();
    assert_eq!(told, Some(Name::from("inner")));

    // Also where it would have given up.
    let deadline = Deadline::at(Clock::Precise.now() + SECOND / 2);
    let mut late = Call::repeatable();
    late.context = late.context.with_deadline(deadline);
    assert_eq!(call(&outer, &Dependency::default(), late).await, Ok(BAD));
}

#[tokio::test(start_paused = true)]
async fn in_shadow_the_budget_is_not_asked_not_even_whether_it_is_drained() {
    let retry = drained().await;
    retry.set_mode(Mode::Shadow);
    let answer = call(&retry, &Dependency::default(), Call::repeatable()).await;
    assert_eq!(answer, Ok(BAD));
    assert_eq!(retry.snapshot().would_retry(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_tries_once_forbids_nobody_to_try_again() {
    for request in [Call::repeatable(), Call::default()] {
        let retry = config().attempts(1).build().unwrap();
        let dependency = Dependency::default();
        assert_eq!(call(&retry, &dependency, request).await, Ok(BAD));
        assert_eq!(dependency.contexts()[0].retried_by(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_repeated_is_nobodys_also_while_the_budget_is_drained() {
    let outer = drained().await;
    let dependency = Dependency::default();
    assert_eq!(call(&outer, &dependency, Call::default()).await, Ok(BAD));
    assert_eq!(dependency.contexts()[0].retried_by(), None);
    assert_eq!(outer.snapshot().gave_up(GaveUp::Unrepeatable), 1);

    // So one further in that may repeat it does.
    let outer = drained().await;
    let inner = config().build().unwrap();
    let dependency = Dependency::that([BAD, GOOD]);
    let answer = nested(&outer, (&inner, Always), &dependency, Call::default()).await;
    assert_eq!(answer, Ok(GOOD));
}

#[test]
fn another_retrys_mark_is_not_overwritten() {
    let retry = config().named("inner").build().unwrap();
    let context = Context::default()
        .with_retried_by(Name::from("outer"))
        .with_attempt(2);
    let session = retry.begin(&context, retry.now());
    assert_eq!(session.mark(context.clone()), context);
    let mut session = retry.begin(&Context::default(), retry.now());
    session.only_once();
    assert_eq!(session.mark(Context::default()), Context::default());
}

/// That nobody should repeat a call is handed on by those that leave it alone.
#[tokio::test(start_paused = true)]
async fn a_call_of_another_that_must_not_be_repeated_is_marked_on_the_way_out() {
    let retry = config().build().unwrap();
    let context = Context::default().with_retried_by(Name::REMOTE);
    let mut session = retry.begin(&context, retry.now());
    let never = Ended::with(Outcome::Transient).advised(Advice::Never);
    let verdict = session.record(retry.now(), &never);
    assert_eq!(verdict, Verdict::GiveUp(GaveUp::Advised));
    assert_eq!(retry.snapshot().gave_up(GaveUp::Advised), 0, "not by it");
}

#[tokio::test(start_paused = true)]
async fn a_response_whose_request_was_lost_did_not_run_out_of_time() {
    let retry = config().build().unwrap();
    let is_lost = Rc::new(Cell::new(false));
    let layer = typed(&retry, policy::Lossy(Rc::clone(&is_lost)));
    let mut service = layer.layer(Dependency::default());
    let answer = service.ready().await.unwrap().call(Call::default());
    let (answer, ()) = tokio::join!(answer, async {
        tokio::time::sleep(SECOND / 2).await;
        is_lost.set(true);
    });
    assert_eq!(answer.unwrap_err().reason(), Reason::Unrepeated);
}

#[tokio::test(start_paused = true)]
async fn a_function_repeats_refusals_on_request() {
    let retry = config().refusals(Refusals::Repeat).build().unwrap();
    let calls = Cell::new(0);
    let refused = |_| {
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(Rejected::new(
            Pattern::CircuitBreaker,
            Reason::Open,
        )))
    };
    let answer = retry.run_within(&Context::default(), &Plain, refused).await;
    assert!(answer.is_err());
    assert_eq!(calls.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_switched_off_in_a_wait_sends_nothing_more() {
    let retry = config().build().unwrap();
    let dependency = Dependency::default();
    let (answer, ()) = tokio::join!(call(&retry, &dependency, Call::repeatable()), async {
        tokio::time::sleep(SECOND / 2).await;
        retry.set_mode(Mode::Off);
    });
    assert_eq!(answer.unwrap_err().reason(), Reason::Unrepeated);
    assert_eq!(dependency.calls(), 1);
    assert_eq!(retry.snapshot().gave_up(GaveUp::Off), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_readiness_is_counted_and_its_token_returned_at_once() {
    let retry = config().build().unwrap();
    let dependency = Dependency::default();
    let mut service = typed(&retry, WhenDeclared).layer(dependency.clone());
    let mut answer = Box::pin(service.ready().await.unwrap().call(Call::repeatable()));
    dependency.is_failing.set(true);
    assert!(answer.as_mut().await.is_err());
    let budget = retry.budget().snapshot(retry.now());
    assert_eq!((budget.granted(), budget.returned()), (1, 1));
    assert_eq!(retry.snapshot().gave_up(GaveUp::Unready), 1);
}

/// Though its future is kept.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_over_holds_nothing() {
    for answers in [[GOOD; 3], [Answer::Is(Outcome::Permanent); 3], [BAD; 3]] {
        let budget = RetryBudget::new("test", InFlight::default()).unwrap();
        let retry = Config::new(budget).build().unwrap();
        let mut service = typed(&retry, WhenDeclared).layer(Dependency::that(answers));
        let request = Call::repeatable();
        let clones = Rc::clone(&request.clones);
        let mut response = Box::pin(service.ready().await.unwrap().call(request));
        assert!(response.as_mut().await.is_ok());
        assert_eq!(Rc::strong_count(&clones), 1, "{answers:?}");
        let level = retry.budget().snapshot(retry.now()).level();
        let Level::InFlight { calls, extras, .. } = level else {
            panic!("a budget of calls in flight");
        };
        assert_eq!((calls, extras), (0, 0), "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_another_attempt_is_counted_and_final() {
    let open = Err(Rejected::new(Pattern::CircuitBreaker, Reason::Open));
    let retry = config().build().unwrap();
    let answer = call(
        &retry,
        &Dependency::with([Ok(BAD), open]),
        Call::repeatable(),
    )
    .await;
    assert_eq!(answer.unwrap_err().reason(), Reason::Open);
    assert_eq!(retry.snapshot().gave_up(GaveUp::Refused), 1);
}

/// Pairs of calls that fail together, of which the budget has place for one:
/// the hint that a budget is drained must not cost what it would grant.
#[test]
fn a_place_among_calls_in_flight_is_not_lost_to_a_hint() {
    let budget = RetryBudget::new("test", InFlight::of(Ratio::ZERO).at_least(1)).unwrap();
    let retry = Config::new(budget)
        .backoff(every(Duration::ZERO))
        .build()
        .unwrap();
    for pair in 0..1_000 {
        let now = Instant::from_nanos(50_000_000_000 + pair * 100_000);
        assert!(!retry.budget().is_drained(now));
        let mut calls = [(); 2].map(|()| retry.begin(&Context::default(), now));
        let failed = Ended::with(Outcome::Transient);
        let verdicts = calls.each_mut().map(|call| call.record(now, &failed));
        assert_eq!(verdicts[1], Verdict::GiveUp(GaveUp::Budget));
        assert!(calls[0].start_attempt(now));
        let good = Ended::with(Outcome::Success);
        assert_eq!(calls[0].record(now, &good), Verdict::Return);
    }
    assert_eq!(retry.snapshot().retried(), 1_000);
}
