//! What a deadline leaves of a retry.

use super::*;

fn until(remaining: Duration) -> Call {
    let deadline = Deadline::at(Clock::Precise.now() + remaining);
    let mut call = Call::repeatable();
    call.context = call.context.with_deadline(deadline);
    call
}

/// Waits are a second, and an attempt takes at least half of one.
#[tokio::test(start_paused = true)]
async fn no_wait_is_begun_that_leaves_no_time_for_an_attempt() {
    for (remaining, attempts) in [
        (1_400, 1),
        (1_500, 1),
        (1_501, 2),
        (2_500, 2),
        (2_520, 3),
        (60_000, 3),
    ] {
        let least = LeastAttempt::Fixed(SECOND / 2);
        let retry = config().least_attempt(least).build().unwrap();
        let dependency = Dependency::default();
        let began = Clock::Precise.now();
        let _ = call(&retry, &dependency, until(remaining * MILLI)).await;
        assert_eq!(dependency.calls(), attempts, "{remaining} ms");
        let slept = Clock::Precise.now() - began;
        assert!(slept < attempts as u32 * SECOND, "{slept:?}");
        let gave_up = retry.snapshot().gave_up(GaveUp::Deadline);
        assert_eq!(gave_up, u64::from(attempts < 3));
        // Nothing is taken for an attempt that there is no time for.
        let granted = retry.budget().snapshot(retry.now()).granted();
        assert_eq!(granted, attempts as u64 - 1);
    }
}

/// Between the wait and the attempt lies readiness, which takes as long as it
/// takes.
#[tokio::test(start_paused = true)]
async fn no_attempt_starts_when_readiness_took_the_time_for_it() {
    for (readied_after, sent) in [(400, 1), (600, 0)] {
        let least = LeastAttempt::Fixed(SECOND / 2);
        let retry = config().least_attempt(least).build().unwrap();
        let layer = retry.layer(Always).with_error::<Rejected>();
        let layer = layer.with_binding(Lasting(Deadline::at(Clock::Precise.now() + 2 * SECOND)));
        let mut service = layer.layer(SlowlyReady::default());
        let mut response = Box::pin(service.ready().await.unwrap().call(()));
        let mut cx = task::Context::from_waker(Waker::noop());
        assert!(response.as_mut().poll(&mut cx).is_pending(), "first");
        assert!(response.as_mut().poll(&mut cx).is_pending(), "wait");
        advance(SECOND + MILLI).await;
        assert!(response.as_mut().poll(&mut cx).is_pending(), "readied");
        advance(readied_after * MILLI).await;
        let polled = response.as_mut().poll(&mut cx);
        assert_eq!(retry.snapshot().retried(), sent);
        let budget = retry.budget().snapshot(retry.now());
        assert_eq!(budget.granted() - budget.returned(), sent);
        match polled {
            // The first attempt's own error.
            Poll::Ready(Err(error)) => assert_eq!(error.pattern(), Pattern::Timeout),
            Poll::Ready(Ok(())) => panic!("nobody answered"),
            Poll::Pending => assert_eq!(sent, 1),
        }
    }
}

/// Gives every request this deadline.
#[derive(Clone)]
struct Lasting(Deadline);

impl Carrier<()> for Lasting {
    fn context(&self, (): &()) -> Context {
        Context::default().with_deadline(self.0)
    }

    fn set_context(&self, (): &mut (), _: Context) {}
}

impl Classify<(), Rejected> for Lasting {
    fn classify(&self, result: Result<&(), &Rejected>) -> Outcome {
        axiomatic_core::Plain.classify(result)
    }
}

impl Advise<(), Rejected> for Lasting {}

/// Without an error to return, it says itself that the time is over.
#[tokio::test(start_paused = true)]
async fn a_response_that_failed_leaves_an_error_of_the_retry_behind() {
    let retry = config().named("payment").build().unwrap();
    let dependency = Dependency::default();
    let mut service = typed(&retry, WhenDeclared).layer(dependency.clone());
    let request = until(SECOND + 100 * MILLI);
    let mut response = Box::pin(service.ready().await.unwrap().call(request));
    let mut cx = task::Context::from_waker(Waker::noop());
    assert!(response.as_mut().poll(&mut cx).is_pending());
    // Whoever polls comes late.
    advance(2 * SECOND).await;
    let error = response.await.unwrap_err();
    assert_eq!(error.reason(), Reason::Elapsed);
    assert_eq!(error.pattern(), Pattern::Retry);
    assert_eq!(error.name(), Name::from("payment"));
    assert_eq!(dependency.calls(), 1);
}

/// Answers with success after a second.
#[derive(Clone)]
struct TakesASecond;

impl Service<Call> for TakesASecond {
    type Response = Answer;
    type Error = Rejected;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Answer, Rejected>>>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Rejected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        Box::pin(async {
            tokio::time::sleep(SECOND).await;
            Ok(GOOD)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_least_attempt_is_what_good_calls_take() {
    let retry = config().build().unwrap();
    assert_eq!(retry.snapshot().typical(), None);
    let mut good = typed(&retry, WhenDeclared).layer(TakesASecond);
    for _ in 0..100 {
        let request = until(60 * SECOND);
        let answer = good.ready().await.unwrap().call(request).await;
        assert_eq!(answer, Ok(GOOD));
    }
    let typical = retry.snapshot().typical().unwrap();
    assert!(
        typical > SECOND * 9 / 10 && typical < SECOND * 11 / 10,
        "{typical:?}"
    );

    // A wait of one second, and one for the attempt.
    for (remaining, attempts) in [(1_800, 1), (2_300, 2)] {
        let dependency = Dependency::default();
        let _ = call(&retry, &dependency, until(remaining * MILLI)).await;
        assert_eq!(dependency.calls(), attempts, "{remaining} ms");
    }
}

/// Of a call that was repeated, the good attempt is measured, and not the
/// waits before it.
#[tokio::test(start_paused = true)]
async fn a_repeated_call_is_measured_from_its_last_attempt() {
    let retry = config().build().unwrap();
    for _ in 0..100 {
        let dependency = Dependency::that([BAD, GOOD]);
        let _ = call(&retry, &dependency, until(60 * SECOND)).await;
        advance(SECOND).await;
    }
    let typical = retry.snapshot().typical().unwrap();
    assert!(typical < 10 * MILLI, "{typical:?}");
}
