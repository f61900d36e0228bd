//! The retry's tower adapter, in paused time.

mod operator;
mod policy;
mod regressions;
mod run;
mod scripted;
mod session;
mod time;

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::pin::pin;
use std::rc::Rc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_core::binding::{Advice, Advise};
use axiomatic_core::budget::{Budget, Deposits, RetryBudget};
use axiomatic_core::context::{Deadline, Endpoint, Repeatability};
use axiomatic_core::repeat::{Always, Repeat, WhenDeclared};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{
    Carrier, Classify, Context, Mode, Name, Outcome, Pattern, Ratio, Reason, Refusable, Rejected,
};
use axiomatic_failure::retry::{
    Config, ConfigError, GaveUp, LeastAttempt, Refusals, ResponseFuture, Retry, RetryLayer, Session,
};
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt};

use scripted::{Answer, BAD, Call, Dependency, GOOD, Spoken};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Waits of a second, without jitter, and 100 tokens.
fn config() -> Config {
    Config::new(plenty()).backoff(every(SECOND))
}

fn plenty() -> RetryBudget<Deposits> {
    budget(10)
}

/// So many tokens for ten seconds, and none from calls.
fn budget(a_second: u32) -> RetryBudget<Deposits> {
    RetryBudget::new("test", Deposits::of(Ratio::ZERO).floor(a_second)).unwrap()
}

fn every(wait: Duration) -> Backoff {
    Backoff::constant(wait).jitter(Jitter::Off)
}

fn typed<Bu: Budget, R>(retry: &Retry<Bu>, rule: R) -> RetryLayer<Rejected, Spoken, R, Bu> {
    retry.layer(rule).with_error().with_binding(Spoken)
}

async fn call<Bu: Budget>(
    retry: &Retry<Bu>,
    dependency: &Dependency,
    request: Call,
) -> Result<Answer, Rejected> {
    let mut service = typed(retry, WhenDeclared).layer(dependency.clone());
    service.ready().await?.call(request).await
}

#[tokio::test(start_paused = true)]
async fn tries_until_it_is_answered_and_no_longer() {
    for (failures, attempts, answer) in [(0, 1, GOOD), (1, 2, GOOD), (2, 3, GOOD)] {
        let answers = std::iter::repeat_n(BAD, failures).chain([GOOD]);
        let dependency = Dependency::that(answers);
        let retry = config().build().unwrap();
        assert_eq!(
            call(&retry, &dependency, Call::repeatable()).await,
            Ok(answer)
        );
        assert_eq!(dependency.calls(), attempts);
        assert_eq!(dependency.waits(), vec![SECOND; failures]);
        assert_eq!(retry.snapshot().retried(), failures as u64);
        assert_eq!(retry.snapshot().recovered(), u64::from(failures > 0));
    }
}

#[tokio::test(start_paused = true)]
async fn three_attempts_by_default_and_no_more() {
    let dependency = Dependency::that([BAD; 9]);
    let retry = Config::default().build().unwrap();
    let answer = call(&retry, &dependency, Call::repeatable()).await;
    assert_eq!(dependency.calls(), 3);
    // What is final is marked, for those further out.
    assert_eq!(answer, Ok(Answer::Advised(Advice::Never)));
    assert_eq!(retry.snapshot().gave_up(GaveUp::Attempts), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_declared_repeatable_is_sent_once() {
    for repeatability in [Repeatability::Undeclared, Repeatability::Once] {
        let dependency = Dependency::default();
        let retry = config().build().unwrap();
        let request = Call {
            context: Context::default().with_repeatability(repeatability),
            ..Call::default()
        };
        let clones = Rc::clone(&request.clones);
        // Those further out may know more, so nothing is marked.
        assert_eq!(call(&retry, &dependency, request).await, Ok(BAD));
        assert_eq!((dependency.calls(), clones.get()), (1, 0));
        assert_eq!(dependency.contexts()[0].retried_by(), None);
        assert_eq!(retry.snapshot().gave_up(GaveUp::Unrepeatable), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_decides_what_is_repeated() {
    let retry = config().build().unwrap();
    let dependency = Dependency::that([BAD, GOOD]);
    let mut service = typed(&retry, Always).layer(dependency.clone());
    let answer = service.ready().await.unwrap().call(Call::default()).await;
    assert_eq!(answer, Ok(GOOD));

    let never = |_: &Context, _: &Call| None;
    let dependency = Dependency::that([BAD, GOOD]);
    let mut service = typed(&retry, never).layer(dependency.clone());
    let answer = service
        .ready()
        .await
        .unwrap()
        .call(Call::repeatable())
        .await;
    assert_eq!(answer, Ok(BAD));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_cloned_before_each_attempt_but_the_last() {
    for (attempts, clones) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
        let retry = config().attempts(attempts).build().unwrap();
        let request = Call::repeatable();
        let cloned = Rc::clone(&request.clones);
        let dependency = Dependency::default();
        let _ = call(&retry, &dependency, request).await;
        assert_eq!(dependency.calls(), attempts as usize);
        assert_eq!(cloned.get(), clones, "{attempts} attempts");
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_is_cloned_while_the_budget_is_drained() {
    let retry = Config::new(budget(0)).build().unwrap();
    let dependency = Dependency::default();
    for clones in [1, 0] {
        let request = Call::repeatable();
        let cloned = Rc::clone(&request.clones);
        let _ = call(&retry, &dependency, request).await;
        assert_eq!(cloned.get(), clones);
    }
    assert_eq!(retry.snapshot().gave_up(GaveUp::Budget), 2);
    advance(SECOND).await;
    let request = Call::repeatable();
    let cloned = Rc::clone(&request.clones);
    let _ = call(&retry, &dependency, request).await;
    assert_eq!(cloned.get(), 1, "by now there may be something in it");
}

#[tokio::test(start_paused = true)]
async fn a_budget_bounds_what_all_calls_add_together() {
    let deposits = Deposits::of(Ratio::percent(10)).floor(0);
    let budget = RetryBudget::new("test", deposits).unwrap();
    let retry = Config::new(budget).build().unwrap();
    let dependency = Dependency::default();
    for _ in 0..1_000 {
        let _ = call(&retry, &dependency, Call::repeatable()).await;
        advance(20 * MILLI).await;
    }
    let added = dependency.calls() - 1_000;
    assert!((80..=100).contains(&added), "{added}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_returned_and_the_token_too() {
    let retry = config().build().unwrap();
    let dependency = Dependency::default();
    let mut service = typed(&retry, WhenDeclared).layer(dependency.clone());
    let answer = service.ready().await.unwrap().call(Call::repeatable());
    dependency.is_failing.set(true);
    assert_eq!(answer.await.unwrap_err().reason(), Reason::Full);
    assert_eq!(dependency.calls(), 1);
    let budget = retry.budget().snapshot(retry.now());
    assert_eq!((budget.granted(), budget.returned()), (1, 1));
}

/// A response holds what it holds: a connection, a permit further in.
#[tokio::test(start_paused = true)]
async fn a_failed_response_is_dropped_before_the_wait() {
    let witness = Rc::new(());
    let held = Rc::clone(&witness);
    let service = tower::service_fn(move |(): ()| ready(Ok::<_, Rejected>(Rc::clone(&held))));
    let fails =
        axiomatic_core::Plain.classified_by(|_: Result<&Rc<()>, &Rejected>| Outcome::Transient);
    let retry = config().build().unwrap();
    let layer = retry.layer(Always).with_error().with_binding(fails);
    let mut service = layer.layer(service);
    let mut response = Box::pin(service.ready().await.unwrap().call(()));
    let mut cx = task::Context::from_waker(Waker::noop());
    assert!(response.as_mut().poll(&mut cx).is_pending());
    // The witness, the closure's and its clones', of which there are two.
    assert_eq!(Rc::strong_count(&witness), 3);
}

#[test]
fn no_timer_and_no_runtime_before_a_retry() {
    let retry = config().build().unwrap();
    let mut service = typed(&retry, WhenDeclared).layer(Dependency::that([GOOD]));
    let mut cx = task::Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let response = pin!(service.call(Call::repeatable()));
    assert_eq!(response.poll(&mut cx), Poll::Ready(Ok(GOOD)));
}

/// At the first attempt, in the wait, while the next is readied, in it.
#[tokio::test(start_paused = true)]
async fn whoever_leaves_at_any_point_takes_no_token_along() {
    for polls in 0..6 {
        let retry = config().build().unwrap();
        let slow = SlowlyReady::default();
        let layer = retry.layer(Always).with_error::<Rejected>();
        let mut service = layer.layer(slow);
        let mut response = Box::pin(service.ready().await.unwrap().call(()));
        let mut cx = task::Context::from_waker(Waker::noop());
        for poll in 0..polls {
            assert!(response.as_mut().poll(&mut cx).is_pending());
            // The token is taken before the wait, which the second poll begins.
            let granted = retry.budget().snapshot(retry.now()).granted();
            assert_eq!(granted, u64::from(poll >= 1));
            advance(SECOND).await;
        }
        drop(response);
        let budget = retry.budget().snapshot(retry.now());
        let sent = retry.snapshot().retried();
        assert_eq!(budget.granted() - budget.returned(), sent, "{polls} polls");
        assert_eq!(sent, u64::from(polls >= 4), "{polls} polls");
    }
}

/// Each instance is ready at the second time of asking; the first call fails
/// at its second poll, and later ones hang.
#[derive(Default)]
struct SlowlyReady {
    asked: bool,
    calls: Rc<Cell<u32>>,
}

impl Clone for SlowlyReady {
    fn clone(&self) -> Self {
        SlowlyReady {
            asked: false,
            calls: Rc::clone(&self.calls),
        }
    }
}

impl Service<()> for SlowlyReady {
    type Response = ();
    type Error = Rejected;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<(), Rejected>>>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Rejected>> {
        if std::mem::replace(&mut self.asked, true) {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        let is_first = self.calls.get() == 1;
        Box::pin(async move {
            if !is_first {
                return pending().await;
            }
            tokio::task::yield_now().await;
            Err(Rejected::new(Pattern::Timeout, Reason::Elapsed))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_takes_no_token_along() {
    let retry = config().build().unwrap();
    let calls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&calls);
    let service = tower::service_fn(move |(): ()| {
        counted.set(counted.get() + 1);
        let is_first = counted.get() == 1;
        async move {
            assert!(is_first, "scripted panic");
            Err::<(), _>(Rejected::new(Pattern::Timeout, Reason::Elapsed))
        }
    });
    let layer = retry.layer(Always).with_error::<Rejected>();
    let mut service = layer.layer(service);
    let mut response = Box::pin(service.ready().await.unwrap().call(()));
    let mut cx = task::Context::from_waker(Waker::noop());
    assert!(response.as_mut().poll(&mut cx).is_pending());
    advance(SECOND).await;
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        response.as_mut().poll(&mut cx)
    }));
    assert!(polled.is_err());
    drop(response);
    let budget = retry.budget().snapshot(retry.now());
    assert_eq!((budget.granted(), budget.returned()), (1, 0), "it was sent");
    assert_eq!(retry.snapshot().retried(), 1);
}

#[test]
fn futures_and_handles_are_send_and_sync_where_their_parts_are() {
    fn all<T: Send + Sync + 'static>() {}
    all::<Retry>();
    all::<Session<RetryBudget<Deposits>>>();
    type Inner = tower::util::BoxCloneSyncService<u8, u8, Rejected>;
    fn send<T: Send>() {}
    send::<ResponseFuture<Inner, u8, Rejected, Spoken, Always, RetryBudget<Deposits>>>();
}
