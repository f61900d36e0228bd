//! Fail-fast, in paused time: what is refused for whom, since when, and what is
//! let go. One file, because it is one list of promises over one small service.

use std::cell::Cell;
use std::future::{Future, Ready, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use axiomatic_capacity::load_shed::fail_fast::{
    Config, ConfigError, FailFast, FailFastService, Verdict, Wait,
};
use axiomatic_core::time::Instant;
use axiomatic_core::{BoxError, Mode, Pattern, Reason, Refusable, Rejected};
use tokio::time::{advance, sleep, timeout};
use tower::limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer};
use tower::load_shed::LoadShed;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::support::{Held, MILLI, SECOND, Wakes};

type Mock = mock::Mock<u32, u32>;
type Handle = mock::Handle<u32, u32>;

fn fail_fast(after: Duration) -> FailFast {
    Config::new(after).named("inventory").build().unwrap()
}

/// Over a service that is not ready.
fn over_unready(after: Duration) -> (FailFast, FailFastService<Mock, BoxError>, Handle) {
    let fail_fast = fail_fast(after);
    let (inner, mut handle) = mock::pair();
    handle.allow(0);
    let service = fail_fast.layer().layer(inner);
    (fail_fast, service, handle)
}

fn refused(error: &BoxError) -> Rejected {
    error.rejected().expect("a refusal")
}

fn poll_ready<S: Service<u32>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut task::Context::from_waker(Waker::noop()))
}

/// Makes it fail fast.
async fn fail(service: &FailFastService<Mock, BoxError>) {
    let error = service.clone().oneshot(0).await.unwrap_err();
    assert_eq!(refused(&error).reason(), Reason::Shed);
}

fn now() -> Instant {
    tokio::time::Instant::now().into()
}

#[tokio::test(start_paused = true)]
async fn who_is_not_ready_for_less_than_the_time_is_waited_for() {
    let (fail_fast, service, mut handle) = over_unready(SECOND);
    let call = tokio::spawn(service.oneshot(7));
    sleep(999 * MILLI).await;
    assert!(!call.is_finished());
    handle.allow(1);
    let (request, reply) = handle.next_request().await.unwrap();
    assert_eq!(request, 7);
    reply.send_response(8);
    assert_eq!(call.await.unwrap().unwrap(), 8);
    assert_eq!(fail_fast.snapshot().refused(), 0);
    assert_eq!(fail_fast.snapshot().episodes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_refused_once_the_service_was_not_ready_for_the_time() {
    let (fail_fast, service, _handle) = over_unready(SECOND);
    let began = now();
    let error = service.oneshot(7).await.unwrap_err();
    let took = now() - began;
    assert!(took >= SECOND && took <= SECOND + 2 * MILLI, "{took:?}");
    let refused = refused(&error);
    assert_eq!(
        (refused.pattern(), refused.reason()),
        (Pattern::FailFast, Reason::Shed)
    );
    assert_eq!(refused.name().as_str(), "inventory");
    assert_eq!(refused.retry_after(), None);
    let snapshot = fail_fast.snapshot();
    assert!(snapshot.is_failing());
    assert_eq!((snapshot.refused(), snapshot.episodes()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_too_long_for_one_is_waited_for_by_nobody() {
    let (fail_fast, service, _handle) = over_unready(SECOND);
    fail(&service).await;
    let began = now();
    for mut instance in [
        service.clone(),
        fail_fast.layer().layer(service.get_ref().clone()),
    ] {
        assert!(matches!(poll_ready(&mut instance), Poll::Ready(Ok(()))));
        let error = instance.call(7).await.unwrap_err();
        assert_eq!(refused(&error).reason(), Reason::Shed);
    }
    assert_eq!(now(), began, "at once");
    assert_eq!(fail_fast.snapshot().refused(), 3);
    assert_eq!(fail_fast.snapshot().episodes(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_came_later_is_refused_with_the_first() {
    let (_, service, _handle) = over_unready(SECOND);
    let first = tokio::spawn(service.clone().oneshot(1));
    sleep(SECOND / 2).await;
    let began = now();
    let later = service.oneshot(2).await.unwrap_err();
    assert_eq!(refused(&later).reason(), Reason::Shed);
    assert!(now() - began <= SECOND / 2 + 3 * MILLI);
    assert!(first.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn of_ten_that_are_stuck_all_are_refused_and_it_is_told_once() {
    let (fail_fast, service, _handle) = over_unready(SECOND);
    let calls: Vec<_> = (0..10)
        .map(|number| tokio::spawn(service.clone().oneshot(number)))
        .collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(refused(&error).reason(), Reason::Shed);
    }
    let snapshot = fail_fast.snapshot();
    assert_eq!((snapshot.refused(), snapshot.episodes()), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_finds_it_ready_lets_all_pass_at_once() {
    let (fail_fast, mut service, mut handle) = over_unready(SECOND);
    fail(&service).await;
    let mut other = service.clone();
    assert!(matches!(poll_ready(&mut other), Poll::Ready(Ok(()))));
    handle.allow(1);
    assert!(matches!(poll_ready(&mut service), Poll::Ready(Ok(()))));
    assert!(!fail_fast.is_failing());
    let call = service.call(7);
    handle.next_request().await.unwrap().1.send_response(8);
    assert_eq!(call.await.unwrap(), 8);
    // Whoever was found ready before that stays as it was found; and whoever
    // comes now waits again.
    assert!(other.call(7).await.is_err());
    assert!(poll_ready(&mut other).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_serves_others_is_not_unavailable() {
    let (fail_fast, service, mut handle) = over_unready(SECOND);
    let mut stuck = service.clone();
    assert!(poll_ready(&mut stuck).is_pending());
    let waits = tokio::spawn(stuck.oneshot(1));
    for _ in 0..9 {
        sleep(SECOND * 9 / 10).await;
        fail_fast.found_ready(&mut Wait::default());
        assert!(!waits.is_finished());
    }
    // Nobody finds it ready any more.
    let began = now();
    assert!(waits.await.unwrap().is_err());
    assert!(now() - began <= 2 * SECOND + MILLI);
    handle.allow(1);
}

#[tokio::test(start_paused = true)]
async fn with_no_time_at_all_a_call_is_refused_at_once_and_nobody_for_it() {
    let (fail_fast, mut service, mut handle) = over_unready(Duration::ZERO);
    let mut other = service.clone();
    assert!(matches!(poll_ready(&mut service), Poll::Ready(Ok(()))));
    assert_eq!(
        refused(&service.call(7).await.unwrap_err()).reason(),
        Reason::Shed
    );
    assert!(!fail_fast.is_failing());
    handle.allow(1);
    assert!(matches!(poll_ready(&mut other), Poll::Ready(Ok(()))));
    let call = other.call(7);
    handle.next_request().await.unwrap().1.send_response(8);
    assert_eq!(call.await.unwrap(), 8);
    assert_eq!(fail_fast.snapshot().refused(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_left_makes_nobody_fail() {
    let (fail_fast, service, _handle) = over_unready(SECOND);
    // Cancelled after half of the time, which nobody waits to the end.
    let cancelled = timeout(SECOND / 2, service.clone().oneshot(1));
    assert!(cancelled.await.is_err());
    sleep(600 * SECOND).await;
    let mut later = tokio::spawn(service.oneshot(2));
    assert!(timeout(999 * MILLI, &mut later).await.is_err());
    assert!(!fail_fast.is_failing());
    assert!(later.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn who_came_later_waits_the_whole_time_if_the_first_has_left() {
    let (fail_fast, service, _handle) = over_unready(SECOND);
    let first = tokio::spawn(timeout(SECOND / 2, service.clone().oneshot(1)));
    sleep(SECOND / 4).await;
    let began = now();
    let error = service.oneshot(2).await.unwrap_err();
    assert_eq!(refused(&error).reason(), Reason::Shed);
    let took = now() - began;
    assert!(took >= SECOND && took <= SECOND + 2 * MILLI, "{took:?}");
    assert!(first.await.unwrap().is_err());
    assert_eq!(fail_fast.snapshot().episodes(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_nobody_asks_makes_nobody_fail() {
    let (fail_fast, mut idle, _handle) = over_unready(SECOND);
    assert!(poll_ready(&mut idle).is_pending());
    sleep(600 * SECOND).await;
    assert!(!fail_fast.is_failing());
    // Asked again, it has not waited for ten minutes.
    assert!(poll_ready(&mut idle).is_pending());
    assert!(idle.oneshot(7).await.is_err());
    assert!(fail_fast.is_failing());
}

/// One place, taken; the calls of both services end when they are let.
fn one_place(
    held: &Held,
) -> ConcurrencyLimit<
    impl Service<
        u32,
        Response = u32,
        Error = Rejected,
        Future = impl Future<Output = Result<u32, Rejected>>,
    > + Clone,
> {
    GlobalConcurrencyLimitLayer::new(1).layer(held.service())
}

#[tokio::test(start_paused = true)]
async fn a_shed_call_leaves_no_waiter_in_the_queue() {
    for after in [Duration::ZERO, SECOND] {
        let held = Held::new();
        let inner = one_place(&held);
        let mut first = inner.clone();
        let first = first.ready().await.unwrap().call(1);
        let fail_fast = fail_fast(after);
        let mut shed = fail_fast
            .layer()
            .with_error::<Rejected>()
            .layer(inner.clone());
        shed.ready().await.unwrap();
        // Already: whether it is called is its caller's business.
        held.let_end(1);
        first.await.unwrap();
        let mut next = inner.clone();
        assert!(matches!(poll_ready(&mut next), Poll::Ready(Ok(()))));
        drop(next);
        assert_eq!(shed.call(2).await.unwrap_err().reason(), Reason::Shed);
        let mut next = inner;
        assert!(matches!(poll_ready(&mut next), Poll::Ready(Ok(()))));
    }
}

/// What it is compared with.
#[tokio::test]
async fn towers_load_shed_leaves_its_waiter_in_the_queue() {
    let held = Held::new();
    let inner = one_place(&held);
    let mut first = inner.clone();
    let first = first.ready().await.unwrap().call(1);
    let mut shed = LoadShed::new(inner.clone());
    assert!(shed.ready().await.unwrap().call(2).await.is_err());
    held.let_end(1);
    first.await.unwrap();
    let mut next = inner;
    assert!(poll_ready(&mut next).is_pending(), "the one place is kept");
    drop(shed);
    assert!(matches!(poll_ready(&mut next), Poll::Ready(Ok(()))));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_passes() {
    let fail_fast = fail_fast(SECOND);
    let (inner, mut handle) = mock::pair::<u32, u32>();
    handle.allow(0);
    let mut service = fail_fast.layer().layer(inner);
    for is_failing in [false, true] {
        if is_failing {
            fail(&service).await;
        } else {
            assert!(poll_ready(&mut service).is_pending());
        }
        handle.send_error("broken");
        let Poll::Ready(Err(error)) = poll_ready(&mut service) else {
            panic!("an error");
        };
        assert!(error.rejected().is_none(), "{error}");
        assert_eq!(fail_fast.is_failing(), is_failing);
        if !is_failing {
            return_to_unready(&mut service, &mut handle, &fail_fast);
        }
    }
}

/// The mock keeps its error for all, so a new one takes its place.
fn return_to_unready(
    service: &mut FailFastService<Mock, BoxError>,
    handle: &mut Handle,
    fail_fast: &FailFast,
) {
    let (inner, new) = mock::pair();
    *handle = new;
    handle.allow(0);
    *service = fail_fast.layer().layer(inner);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_woken_for_a_wait_that_is_over() {
    let (_, mut service, mut handle) = over_unready(SECOND);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let cx = &mut task::Context::from_waker(&waker);
    assert!(service.poll_ready(cx).is_pending());
    assert_eq!(wakes.count(), 0);
    handle.allow(1);
    assert_eq!(wakes.count(), 1);
    assert!(matches!(service.poll_ready(cx), Poll::Ready(Ok(()))));
    sleep(9 * SECOND).await;
    assert_eq!(wakes.count(), 1, "nothing is armed any more");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_woken_once_when_it_is_too_long() {
    let (_, mut service, mut handle) = over_unready(SECOND);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let cx = &mut task::Context::from_waker(&waker);
    assert!(service.poll_ready(cx).is_pending());
    sleep(SECOND + 2 * MILLI).await;
    assert_eq!(wakes.count(), 1);
    assert!(matches!(service.poll_ready(cx), Poll::Ready(Ok(()))));
    // The instance that had asked is gone, and its waker with it.
    handle.allow(1);
    sleep(9 * SECOND).await;
    assert_eq!(wakes.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn in_shadow_all_wait_and_those_that_would_be_refused_are_counted() {
    let (fail_fast, service, mut handle) = over_unready(SECOND);
    fail_fast.set_mode(Mode::Shadow);
    let calls: Vec<_> = (0..3)
        .map(|number| tokio::spawn(service.clone().oneshot(number)))
        .collect();
    sleep(60 * SECOND).await;
    assert!(calls.iter().all(|call| !call.is_finished()));
    assert!(fail_fast.is_failing());
    // One that asks again and again is one.
    let mut later = service.clone();
    for _ in 0..3 {
        assert!(poll_ready(&mut later).is_pending());
        sleep(9 * SECOND).await;
    }
    let snapshot = fail_fast.snapshot();
    assert_eq!((snapshot.refused(), snapshot.would_refuse()), (0, 4));
    drop(later);
    handle.allow(3);
    for _ in 0..3 {
        let (request, reply) = handle.next_request().await.unwrap();
        reply.send_response(request);
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert!(!fail_fast.is_failing());
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_waits_and_knows_nothing() {
    let (fail_fast, service, mut handle) = over_unready(SECOND);
    fail(&service).await;
    fail_fast.set_mode(Mode::Off);
    assert!(!fail_fast.is_failing());
    let call = tokio::spawn(service.oneshot(7));
    sleep(60 * SECOND).await;
    assert!(!call.is_finished() && !fail_fast.is_failing());
    handle.allow(1);
    handle.next_request().await.unwrap().1.send_response(8);
    assert_eq!(call.await.unwrap().unwrap(), 8);
    assert_eq!(fail_fast.snapshot().would_refuse(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_can_be_changed_while_it_runs() {
    let (fail_fast, service, _handle) = over_unready(60 * SECOND);
    let began = now();
    fail_fast.update(SECOND).unwrap();
    fail(&service).await;
    assert!(now() - began <= SECOND + 2 * MILLI);
    let too_long = Config::LONGEST + SECOND;
    let error = ConfigError::MaxUnavailable(too_long);
    assert_eq!(fail_fast.update(too_long), Err(error));
    assert_eq!(fail_fast.max_unavailable(), SECOND);
    assert_eq!(Config::new(too_long).build().unwrap_err(), error);
    assert!(Config::new(Config::LONGEST).build().is_ok());
}

#[tokio::test]
async fn who_is_not_asked_refuses_without_calling() {
    let (fail_fast, mut service, mut handle) = over_unready(SECOND);
    let unasked = service.call(7).await.unwrap_err();
    assert_eq!(refused(&unasked).reason(), Reason::NotReady);
    handle.allow(1);
    service.ready().await.unwrap();
    let mut clone = service.clone();
    let unasked = clone.call(7).await.unwrap_err();
    assert_eq!(refused(&unasked).reason(), Reason::NotReady);
    assert_eq!(fail_fast.snapshot().refused(), 0);
}

/// Neither the service nor the request nor the response can leave the thread.
#[derive(Clone)]
struct Local {
    is_ready: Rc<Cell<bool>>,
}

impl Service<Rc<u32>> for Local {
    type Response = Rc<u32>;
    type Error = Rejected;
    type Future = Ready<Result<Rc<u32>, Rejected>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Rejected>> {
        if self.is_ready.get() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, request: Rc<u32>) -> Self::Future {
        ready(Ok(request))
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_leave_its_thread_is_served_and_refused() {
    let is_ready = Rc::new(Cell::new(true));
    let inner = Local {
        is_ready: Rc::clone(&is_ready),
    };
    let layer = fail_fast(SECOND).layer().with_error::<Rejected>();
    let service = layer.layer(inner);
    assert_eq!(*service.clone().oneshot(Rc::new(7)).await.unwrap(), 7);
    is_ready.set(false);
    let refused = service.oneshot(Rc::new(7)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Shed);
}

#[test]
fn its_types_can_be_sent_and_moved() {
    fn can<T: Send + Sync + Unpin>() {}
    fn sendable<T: Send>() {}
    can::<FailFast>();
    can::<FailFastService<Ready<u32>, Rejected>>();
    sendable::<Oneshot<FailFastService<Mock, BoxError>, u32>>();
}

#[tokio::test(start_paused = true)]
async fn time_that_passes_while_it_is_ready_counts_for_nothing() {
    let (fail_fast, mut service, mut handle) = over_unready(SECOND);
    assert!(poll_ready(&mut service).is_pending());
    handle.allow(1);
    assert!(matches!(poll_ready(&mut service), Poll::Ready(Ok(()))));
    drop(service.call(7));
    advance(60 * SECOND).await;
    assert!(poll_ready(&mut service).is_pending());
    advance(SECOND - 2 * MILLI).await;
    assert!(poll_ready(&mut service).is_pending());
    assert!(!fail_fast.is_failing());
}

#[test]
fn a_wait_counts_from_when_somebody_last_found_it_ready() {
    let fail_fast = fail_fast(SECOND);
    let at = |millis| Instant::from_nanos(1) + MILLI * millis;
    let [mut first, mut second] = [(); 2].map(|()| Wait::default());
    let until = |millis| Verdict::Wait(Some(at(millis)));
    assert_eq!(fail_fast.found_unready(&mut first, at(0)), until(1_000));
    // It looks whether the first has said so, and not before it can have.
    assert_eq!(fail_fast.found_unready(&mut second, at(500)), until(1_001));
    assert_eq!(
        fail_fast.found_unready(&mut second, at(1_001)),
        until(1_500)
    );
    fail_fast.found_ready(&mut first);
    // From the next time that it is asked in vain, at most.
    assert_eq!(
        fail_fast.found_unready(&mut second, at(1_500)),
        until(2_500)
    );
    assert_eq!(fail_fast.found_unready(&mut first, at(1_600)), until(2_501));
    assert_eq!(
        fail_fast.found_unready(&mut second, at(2_500)),
        Verdict::Refuse
    );
    assert_eq!(
        fail_fast.found_unready(&mut first, at(2_501)),
        Verdict::Refuse
    );
    assert_eq!(fail_fast.snapshot().episodes(), 1);
}

#[tokio::test]
async fn a_service_that_is_ready_is_as_if_nothing_were_there() {
    let echo = service_fn(|number: u32| async move { Ok::<_, Rejected>(number) });
    let layer = fail_fast(Duration::ZERO).layer().with_error::<Rejected>();
    let mut service = layer.layer(echo);
    for number in 0..3 {
        let answered = service.ready().await.unwrap().call(number).await;
        assert_eq!(answered, Ok(number));
    }
    let line = service.fail_fast().snapshot().to_string();
    assert_eq!(
        line,
        "fail-fast inventory: passing, after 0ns, 0 times, 0 refused"
    );
}
