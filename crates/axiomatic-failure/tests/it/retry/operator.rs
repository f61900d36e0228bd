//! What an operator can do with a retry, and see of it.

use super::*;

#[tokio::test(start_paused = true)]
async fn shadow_counts_what_it_would_repeat_and_repeats_nothing() {
    let retry = config().build().unwrap();
    retry.set_mode(Mode::Shadow);
    let dependency = Dependency::default();
    assert_eq!(call(&retry, &dependency, Call::repeatable()).await, Ok(BAD));
    assert_eq!(dependency.calls(), 1);
    assert_eq!(retry.snapshot().would_retry(), 1);
    assert_eq!(retry.budget().snapshot(retry.now()).granted(), 0);
    assert!(
        retry
            .snapshot()
            .to_string()
            .ends_with("in shadow: 1 not retried")
    );
}

#[tokio::test(start_paused = true)]
async fn off_stands_aside() {
    let retry = config().build().unwrap();
    retry.set_mode(Mode::Off);
    let dependency = Dependency::default();
    let request = Call::repeatable();
    let cloned = Rc::clone(&request.clones);
    assert_eq!(call(&retry, &dependency, request).await, Ok(BAD));
    assert_eq!((dependency.calls(), cloned.get()), (1, 0));
    assert_eq!(dependency.contexts()[0].retried_by(), None);
}

#[tokio::test(start_paused = true)]
async fn an_update_concerns_attempts_that_end_after_it() {
    let retry = config().build().unwrap();
    let dependency = Dependency::default();
    retry.update(&config().attempts(5)).unwrap();
    let _ = call(&retry, &dependency, Call::repeatable()).await;
    assert_eq!(dependency.calls(), 5);
    let refused = retry.update(&config().attempts(0));
    assert_eq!(refused, Err(ConfigError::Attempts));
    let _ = call(&retry, &dependency, Call::repeatable()).await;
    assert_eq!(dependency.calls(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_update_changes_waits_times_and_refusals() {
    let retry = config().build().unwrap();
    let least = LeastAttempt::Fixed(2 * SECOND);
    let changed = config().backoff(every(3 * SECOND)).least_attempt(least);
    retry.update(&changed.refusals(Refusals::Repeat)).unwrap();
    let open = Err(Rejected::new(Pattern::CircuitBreaker, Reason::Open));
    let dependency = Dependency::with([open, Ok(GOOD)]);
    let answer = call(&retry, &dependency, Call::repeatable()).await;
    assert_eq!(answer, Ok(GOOD));
    assert_eq!(dependency.waits(), [3 * SECOND]);

    let deadline = Deadline::at(Clock::Precise.now() + 4 * SECOND);
    let mut request = Call::repeatable();
    request.context = request.context.with_deadline(deadline);
    let _ = call(&retry, &Dependency::default(), request).await;
    assert_eq!(retry.snapshot().gave_up(GaveUp::Deadline), 1);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let refused = config().attempts(0).build().unwrap_err();
    assert_eq!(refused, ConfigError::Attempts);
    let backoff = Backoff::exponential(2 * SECOND, SECOND);
    let refused = config().backoff(backoff).build().unwrap_err();
    assert!(matches!(refused, ConfigError::Backoff(_)), "{refused}");
    assert!(Config::default().build().is_ok(), "as `Retry::default` is");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_prints_as_a_line() {
    let retry = config().named("payment").build().unwrap();
    let _ = call(&retry, &Dependency::that([BAD, GOOD]), Call::repeatable()).await;
    let _ = call(&retry, &Dependency::that([BAD; 3]), Call::repeatable()).await;
    assert_eq!(
        retry.snapshot().to_string(),
        "retry payment: 3 retried, 1 recovered; gave up for attempts 1"
    );
}
