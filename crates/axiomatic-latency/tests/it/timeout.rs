//! The timeout, in paused time.

mod adaptive;
mod expired;

use std::convert::Infallible;
use std::future::{Future, Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{self, Poll, Wake, Waker};
use std::time::Duration;

use axiomatic_core::context::Deadline;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{
    BoxError, Carrier, Classify, Context, Mode, Outcome, Plain, Reason, Refusable, Rejected,
};
use axiomatic_latency::timeout::{ResponseFuture, Timeout, TimeoutLayer};
use tokio::time::{advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

const MILLI: Duration = Duration::from_millis(1);

/// A request that carries its context, and a binding that reads it.
#[derive(Clone, Copy)]
struct Carried;

impl Carrier<Context> for Carried {
    fn context(&self, request: &Context) -> Context {
        request.clone()
    }

    fn set_context(&self, request: &mut Context, context: Context) {
        *request = context;
    }
}

impl<R> Classify<R, Rejected> for Carried {
    fn classify(&self, result: Result<&R, &Rejected>) -> Outcome {
        Plain.classify(result)
    }
}

fn typed(timeout: &Timeout) -> TimeoutLayer<Rejected, Carried> {
    timeout.layer().with_error().with_binding(Carried)
}

fn now() -> Instant {
    Clock::Precise.now()
}

/// Answers after this long, with the context that reached it.
fn answers_after(
    duration: Duration,
) -> impl Service<Context, Response = Context, Error = Infallible> + Clone {
    service_fn(move |context: Context| async move {
        sleep(duration).await;
        Ok(context)
    })
}

async fn call<S, R>(mut service: S, request: R) -> Result<S::Response, S::Error>
where
    S: Service<R>,
{
    service.ready().await?.call(request).await
}

#[tokio::test(start_paused = true)]
async fn gives_up_when_the_time_is_up_and_not_before() {
    for (wait, answered) in [(0, true), (49, true), (51, false)] {
        let timeout = Timeout::named("payment", 50 * MILLI);
        let service = typed(&timeout).layer(answers_after(wait * MILLI));
        let began = now();
        match call(service, Context::default()).await {
            Ok(_) => assert!(answered, "{wait}"),
            Err(rejected) => {
                assert!(!answered, "{wait}");
                assert_eq!(rejected.reason(), Reason::Elapsed);
                assert_eq!(rejected.name().as_str(), "payment");
                assert_eq!(now() - began, 50 * MILLI);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn time_runs_from_the_call() {
    let mut service = typed(&Timeout::after(50 * MILLI)).layer(answers_after(20 * MILLI));
    let began = now();
    let response = service.ready().await.unwrap().call(Context::default());
    advance(40 * MILLI).await;
    assert!(response.await.is_err());
    assert_eq!(now() - began, 50 * MILLI);
}

#[tokio::test(start_paused = true)]
async fn an_elapsed_call_is_cancelled_at_once() {
    struct OnDrop(Arc<AtomicU32>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicU32::new(0));
    let witness = Arc::clone(&dropped);
    let service = service_fn(move |_: Context| {
        let guard = OnDrop(Arc::clone(&witness));
        async move {
            let _guard = guard;
            pending::<Result<(), Infallible>>().await
        }
    });
    let mut service = typed(&Timeout::after(MILLI)).layer(service);
    let mut response = Box::pin(service.ready().await.unwrap().call(Context::default()));
    assert!(response.as_mut().await.is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "while we still hold it");
    drop(response);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_stands() {
    for (inherited, own) in [(20, 50), (50, 20)] {
        let context = Context::default().with_deadline(Deadline::at(now() + inherited * MILLI));
        let service = typed(&Timeout::after(own * MILLI)).layer(answers_after(100 * MILLI));
        let began = now();
        let rejected = call(service, context).await.unwrap_err();
        assert_eq!(rejected.reason(), Reason::Elapsed);
        assert_eq!(now() - began, 20 * MILLI);
    }
}

#[tokio::test(start_paused = true)]
async fn the_inner_service_is_told_the_deadline() {
    let service = typed(&Timeout::after(50 * MILLI)).layer(answers_after(Duration::ZERO));
    let began = now();
    let context = call(service, Context::default()).await.unwrap();
    let deadline = context.deadline().unwrap();
    assert_eq!(deadline.instant(), began + 50 * MILLI);
    assert!(deadline.is_armed());
}

#[tokio::test(start_paused = true)]
async fn an_expired_call_is_refused() {
    let called = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&called);
    let inner = service_fn(move |_: Context| {
        counted.fetch_add(1, Ordering::Relaxed);
        ready(Ok::<_, Infallible>(()))
    });
    let service = typed(&Timeout::after(50 * MILLI)).layer(inner);
    let context = Context::default().with_deadline(Deadline::at(now()));
    let rejected = call(service, context).await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::Expired);
    assert_eq!(called.load(Ordering::Relaxed), 0);
}

#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many timers a stack of these timeouts, the outermost first, arms for
/// a call that hangs: each wakes the task once, as long as nobody polls.
async fn timers(millis: [u32; 3]) -> u32 {
    let [outer, middle, inner] = millis.map(|millis| typed(&Timeout::after(millis * MILLI)));
    let hangs = service_fn(|_: Context| pending::<Result<(), Infallible>>());
    let mut stack = outer.layer(middle.layer(inner.layer(hangs)));
    let mut response = Box::pin(stack.ready().await.unwrap().call(Context::default()));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let polled = response
        .as_mut()
        .poll(&mut task::Context::from_waker(&waker));
    assert!(polled.is_pending());
    for _ in 0..5 {
        advance(10 * MILLI).await;
    }
    wakes.0.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn the_tightest_outside_arms_the_only_timer() {
    assert_eq!(timers([10, 20, 30]).await, 1);
    assert_eq!(timers([10, 10, 10]).await, 1);
    assert_eq!(
        timers([20, 10, 30]).await,
        2,
        "one for each that is earlier"
    );
    assert_eq!(timers([30, 20, 10]).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_enforced_further_out_needs_no_timer() {
    let timeout = Timeout::after(50 * MILLI);
    let at = now() + 20 * MILLI;
    let needs_timer = |deadline| timeout.admit(now(), Some(deadline)).unwrap().needs_timer();
    assert!(!needs_timer(Deadline::at(at).armed()));
    assert!(needs_timer(Deadline::at(at)));
    assert!(needs_timer(Deadline::at(now() + 80 * MILLI).armed()));
}

#[tokio::test(start_paused = true)]
async fn shadow_reports_and_cancels_nothing() {
    let timeout = Timeout::after(10 * MILLI);
    timeout.set_mode(Mode::Shadow);
    let service = typed(&timeout).layer(answers_after(50 * MILLI));
    let context = call(service, Context::default()).await.unwrap();
    assert_eq!(context.deadline(), None, "nor is a deadline handed inward");
    let expired = Context::default().with_deadline(Deadline::at(now()));
    let service = typed(&timeout).layer(answers_after(Duration::ZERO));
    assert!(call(service, expired).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn off_stands_aside() {
    let timeout = Timeout::after(10 * MILLI);
    timeout.set_mode(Mode::Off);
    let service = typed(&timeout).layer(answers_after(50 * MILLI));
    assert!(call(service, Context::default()).await.is_ok());
}

// Review of be76aa3, as is the next.
#[test]
fn the_mechanism_stands_aside_too() {
    let timeout = Timeout::after(MILLI);
    timeout.set_mode(Mode::Off);
    let permit = timeout.admit(now(), None).unwrap();
    assert!(permit.deadline().remaining(now()) > Duration::from_secs(1 << 30));
    for passed in [false, true] {
        let wait = if passed { Duration::ZERO } else { 10 * MILLI };
        let inherited = Deadline::at(now() + wait);
        let mut permit = timeout.admit(now(), Some(inherited)).unwrap();
        assert_eq!(permit.deadline(), inherited);
        assert!(!permit.needs_timer() && !permit.changes_context());
        assert_eq!(permit.elapsed(), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn no_time_at_all_lets_only_immediate_answers_through() {
    let timeout = Timeout::after(Duration::ZERO);
    let at_once = service_fn(|_: Context| ready(Ok::<_, Infallible>(7)));
    let answer = call(typed(&timeout).layer(at_once), Context::default()).await;
    assert_eq!(answer, Ok(7));
    let service = typed(&timeout).layer(answers_after(MILLI));
    let rejected = call(service, Context::default()).await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::Elapsed);
}

#[tokio::test(start_paused = true)]
async fn an_update_concerns_calls_that_begin_after_it() {
    let timeout = Timeout::after(10 * MILLI);
    let mut service = typed(&timeout).layer(answers_after(20 * MILLI));
    let early = service.ready().await.unwrap().call(Context::default());
    timeout.update(30 * MILLI);
    let late = service.ready().await.unwrap().call(Context::default());
    let (early, late) = tokio::join!(early, late);
    assert!(early.is_err());
    assert!(late.is_ok());
    assert_eq!(
        timeout.snapshot().to_string(),
        "timeout unnamed: 30ms, enforce"
    );
}

#[tokio::test(start_paused = true)]
async fn the_default_error_is_boxed_and_still_a_rejection() {
    let inner = service_fn(|()| pending::<Result<(), BoxError>>());
    let service = Timeout::after(MILLI).layer().layer(inner);
    let error: BoxError = call(service, ()).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), Reason::Elapsed);
}

#[test]
fn a_ready_answer_needs_no_runtime() {
    let inner = service_fn(|_: Context| ready(Ok::<_, Infallible>(7)));
    let mut service = typed(&Timeout::after(MILLI)).layer(inner);
    let mut cx = task::Context::from_waker(task::Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut response = Box::pin(service.call(Context::default()));
    assert_eq!(response.as_mut().poll(&mut cx), Poll::Ready(Ok(7)));
}

#[test]
fn futures_and_handles_are_send_and_sync_where_their_parts_are() {
    fn all<T: Send + Sync + 'static>() {}
    all::<Timeout>();
    all::<ResponseFuture<Ready<()>, std::rc::Rc<()>>>();
}

/// Tokio's timers share the task's cooperative budget with everything else.
/// In real time, since the call never lets the runtime rest; it ends by
/// itself, should the timeout not do it.
#[tokio::test]
async fn a_call_that_spends_the_cooperative_budget_cannot_outlive_its_time() {
    let busy = service_fn(|_: Context| async {
        let began = std::time::Instant::now();
        while began.elapsed() < 3_000 * MILLI {
            tokio::task::coop::consume_budget().await;
        }
        Ok::<_, Infallible>(())
    });
    let service = typed(&Timeout::after(10 * MILLI)).layer(busy);
    let rejected = call(service, Context::default()).await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::Elapsed);
}
