//! The hedge, in paused time. When there is a second attempt, and who wins,
//! stands here; what is taken and given back, what is learned, and what happens
//! under load, in the files beside.

mod backend;
mod delay;
mod load;
mod mechanism;
mod regressions;
mod requests;
mod tokens;
mod told;

use std::future::{Future, Ready, pending, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{self, Poll};

use axiomatic_core::budget::{Budget, Deposits, InFlight, Level, RetryBudget};
use axiomatic_core::repeat::Always;
use axiomatic_core::{BoxError, Context, Mode, Name, Pattern, Plain, Ratio, Reason, Rejected};
use axiomatic_latency::hedge::{
    Attempt, Call, Config, Delay, Hedge, HedgeService, Permit, ResponseFuture,
};
use tokio::time::{advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use backend::{Answer, Backend, Carried, MILLI, NEVER, Request, Trouble, call, now, over};

/// After 50 ms.
fn hedge() -> Hedge {
    Config::new(Delay::fixed(50 * MILLI)).build().unwrap()
}

const ELAPSED: Trouble = Trouble::Rejected(Rejected::new(Pattern::Timeout, Reason::Elapsed));
const OPEN: Trouble = Trouble::Rejected(Rejected::new(Pattern::CircuitBreaker, Reason::Open));
const ENDS: [(Trouble, bool); 7] = [
    // Whether a failure of this kind is hedged at once.
    (Trouble::Broken, true),
    (ELAPSED, true),
    (Trouble::Unsent, true),
    (Trouble::Unwilling, false),
    (Trouble::Throttled, false),
    (Trouble::Wrong, false),
    (OPEN, false),
];

/// What the caller gets, after how many milliseconds, and when the attempts
/// were sent.
async fn hedged(hedge: &Hedge, answers: &[Answer]) -> (Result<u32, Trouble>, u32, Vec<u32>) {
    let backend = Backend::new(answers);
    let began = now();
    let result = call(over(hedge, &backend), Request::default()).await;
    let took = (now() - began).as_millis() as u32;
    (result, took, backend.sent_since(began))
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_hedged_after_the_delay_and_not_before() {
    for (first, sent) in [(0, vec![0]), (49, vec![0]), (51, vec![0, 50])] {
        let hedge = hedge();
        let answers = [(first, Ok(1)), (NEVER, Ok(2))];
        assert_eq!(hedged(&hedge, &answers).await, (Ok(1), first, sent));
        assert_eq!(hedge.snapshot().hedged(), u64::from(first > 50));
    }
}

// tower-0.5.3: the first to end wins, be it by an error.
#[tokio::test(start_paused = true)]
async fn the_first_success_wins_and_an_error_waits_for_the_other() {
    for (first, second, expected) in [
        ((80, Ok(1)), (100, Ok(2)), (Ok(1), 80)),
        ((200, Ok(1)), (20, Ok(2)), (Ok(2), 70)),
        ((NEVER, Ok(1)), (20, Ok(2)), (Ok(2), 70)),
        ((200, Ok(1)), (20, Err(Trouble::Broken)), (Ok(1), 200)),
        ((80, Err(Trouble::Broken)), (100, Ok(2)), (Ok(2), 150)),
        // That the request is wrong is an answer.
        (
            (200, Ok(1)),
            (20, Err(Trouble::Wrong)),
            (Err(Trouble::Wrong), 70),
        ),
        // To ask for less, or to refuse, is none.
        ((200, Ok(1)), (20, Err(Trouble::Throttled)), (Ok(1), 200)),
        ((200, Ok(1)), (20, Err(OPEN)), (Ok(1), 200)),
        ((80, Err(OPEN)), (100, Ok(2)), (Ok(2), 150)),
    ] {
        let found = hedged(&hedge(), &[first, second]).await;
        let (result, took) = expected;
        assert_eq!(found, (result, took, vec![0, 50]), "{first:?} {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_both_fail_the_caller_gets_what_the_first_said() {
    for (first, second, took) in [(80, 100, 150), (120, 20, 120)] {
        for (trouble, _) in ENDS {
            // Wrong is an answer.
            if trouble == Trouble::Wrong {
                continue;
            }
            let answers = [(first, Err(trouble)), (second, Err(Trouble::Broken))];
            let found = hedged(&hedge(), &answers).await;
            assert_eq!(found, (Err(trouble), took, vec![0, 50]), "{trouble:?}");
        }
    }
}

// tower-resilience-hedge: a fast failure is held back until the delay, and then
// hedged whatever its kind.
#[tokio::test(start_paused = true)]
async fn a_failure_that_may_be_repeated_is_hedged_at_once_and_no_other() {
    for (trouble, is_hedged) in ENDS {
        let hedge = hedge();
        let found = hedged(&hedge, &[(10, Err(trouble)), (20, Ok(2))]).await;
        let expected = if is_hedged {
            (Ok(2), 30, vec![0, 10])
        } else {
            (Err(trouble), 10, vec![0])
        };
        assert_eq!(found, expected, "{trouble:?}");
        let snapshot = hedge.snapshot();
        assert_eq!(snapshot.hedged(), u64::from(is_hedged));
        assert_eq!(snapshot.won(), u64::from(is_hedged));
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_no_third_attempt() {
    let answers = [(10, Err(Trouble::Broken)), (100, Err(Trouble::Broken))];
    let found = hedged(&hedge(), &answers).await;
    assert_eq!(found, (Err(Trouble::Broken), 110, vec![0, 10]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_retry_repeats_is_hedged_when_slow_and_fails_at_once() {
    let retried = Context::default().with_retried_by(Name::from("retry"));
    for (first, expected) in [
        ((10, Err(Trouble::Broken)), (Err(Trouble::Broken), 10)),
        ((200, Ok(1)), (Ok(2), 70)),
    ] {
        let backend = Backend::new(&[first, (20, Ok(2))]);
        let began = now();
        let result = call(over(&hedge(), &backend), retried.clone().into()).await;
        assert_eq!((result, (now() - began).as_millis()), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_delay_runs_from_the_call() {
    let backend = Backend::new(&[(200, Ok(1)), (20, Ok(2))]);
    let mut service = over(&hedge(), &backend);
    let began = now();
    let response = service.ready().await.unwrap().call(Request::default());
    advance(40 * MILLI).await;
    assert_eq!(response.await, Ok(2));
    assert_eq!(backend.sent_since(began), [0, 50]);
}

#[tokio::test(start_paused = true)]
async fn losers_are_dropped_before_the_answer_is_returned() {
    for answers in [[(80, Ok(1)), (NEVER, Ok(2))], [(NEVER, Ok(1)), (20, Ok(2))]] {
        let backend = Backend::new(&answers);
        let mut service = over(&hedge(), &backend);
        let response = service.ready().await.unwrap().call(Request::default());
        let mut response = pin!(response);
        assert!(response.as_mut().await.is_ok());
        assert_eq!(backend.live(), 0, "while we still hold it");
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_attempt_is_made_by_an_instance_that_said_it_was_ready() {
    let backend = Backend::new(&[(NEVER, Ok(1)), (20, Ok(2))]);
    let mut service = over(&hedge(), &backend);
    let began = now();
    let response = service.ready().await.unwrap().call(Request::default());
    backend.set_ready(false);
    let response = tokio::spawn(response);
    sleep(80 * MILLI).await;
    assert_eq!(backend.sent_since(began), [0], "not ready yet");
    backend.set_ready(true);
    assert_eq!(response.await.unwrap(), Ok(2));
    assert_eq!(backend.sent_since(began), [0, 80]);
    assert_eq!(backend.unreadied_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_fails_to_become_ready_costs_nothing_but_the_hedge() {
    for (first, expected) in [
        ((80, Ok(1)), Ok(1)),
        ((10, Err(Trouble::Broken)), Err(Trouble::Broken)),
    ] {
        let backend = Backend::new(&[first]);
        let hedge = hedge();
        let mut service = over(&hedge, &backend);
        let response = service.ready().await.unwrap().call(Request::default());
        backend.fail_readiness();
        assert_eq!(response.await, expected);
        let budget = hedge.budget().snapshot(now());
        assert_eq!((budget.granted(), budget.returned()), (1, 1));
        assert_eq!(hedge.snapshot().hedged(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn shadow_counts_what_it_would_have_hedged_and_sends_nothing() {
    let hedge = hedge();
    hedge.set_mode(Mode::Shadow);
    let answers = [(80, Ok(1)), (20, Ok(2))];
    assert_eq!(hedged(&hedge, &answers).await, (Ok(1), 80, vec![0]));
    let answers = [(10, Err(Trouble::Broken)), (20, Ok(2))];
    let found = hedged(&hedge, &answers).await;
    assert_eq!(found, (Err(Trouble::Broken), 10, vec![0]));
    assert_eq!(hedged(&hedge, &[(20, Ok(1))]).await.1, 20);
    let snapshot = hedge.snapshot();
    assert_eq!((snapshot.would_hedge(), snapshot.hedged()), (2, 0));
    assert_eq!(hedge.budget().snapshot(now()).granted(), 0);
    assert_eq!(
        snapshot.to_string(),
        "hedge unnamed: after 50.0ms; 0 hedged, 0 won, 0 refused; in shadow: 2 not hedged"
    );
}

#[tokio::test(start_paused = true)]
async fn off_stands_aside() {
    let hedge = hedge();
    hedge.set_mode(Mode::Off);
    let answers = [(80, Ok(1)), (20, Ok(2))];
    assert_eq!(hedged(&hedge, &answers).await, (Ok(1), 80, vec![0]));
    let snapshot = hedge.snapshot();
    assert_eq!((snapshot.would_hedge(), snapshot.hedged()), (0, 0));
    assert!(snapshot.to_string().ends_with("; off"));
    // Nor did the call deposit anything.
    let Level::Deposited { total, .. } = hedge.budget().snapshot(now()).level() else {
        panic!("it counts deposits");
    };
    assert_eq!(total.as_thousandths() % 1_000, 0);
}

#[tokio::test(start_paused = true)]
async fn a_switch_concerns_calls_under_way() {
    let hedge = hedge();
    let backend = Backend::new(&[(80, Ok(1)), (20, Ok(2))]);
    let mut service = over(&hedge, &backend);
    let response = tokio::spawn(service.ready().await.unwrap().call(Request::default()));
    sleep(20 * MILLI).await;
    hedge.set_mode(Mode::Off);
    assert_eq!(response.await.unwrap(), Ok(1));
    assert_eq!(backend.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_update_concerns_calls_that_begin_after_it() {
    let hedge = hedge();
    let backend = Backend::new(&[(80, Ok(1)), (80, Ok(2)), (80, Ok(3))]);
    let mut service = over(&hedge, &backend);
    let began = now();
    let early = service.ready().await.unwrap().call(Request::default());
    hedge
        .update(&Config::new(Delay::fixed(100 * MILLI)))
        .unwrap();
    let late = service.ready().await.unwrap().call(Request::default());
    let _ = tokio::join!(early, late);
    assert_eq!(backend.sent_since(began), [0, 0, 50]);
}

/// Tokio's cooperative budget is the task's, and whoever is polled first may
/// use it up. In real time, since such an attempt never lets the runtime
/// rest; it ends by itself, should the other starve.
#[tokio::test]
async fn an_attempt_that_spends_the_cooperative_budget_does_not_starve_the_other() {
    for busy_attempt in [1, 2] {
        let service = service_fn(move |request: Request| async move {
            let context = request.context;
            let began = std::time::Instant::now();
            let is_busy = context.attempt() == busy_attempt;
            let (ends, polls) = if is_busy {
                (3_000, u32::MAX)
            } else {
                (3_500, 20)
            };
            for _ in 0..polls {
                if began.elapsed() >= ends * MILLI {
                    break;
                }
                if is_busy {
                    // All that there is, for this poll.
                    while tokio::task::coop::has_budget_remaining() {
                        tokio::task::coop::consume_budget().await;
                    }
                } else {
                    tokio::task::yield_now().await;
                }
                tokio::task::coop::consume_budget().await;
            }
            Ok::<_, Trouble>(context.attempt())
        });
        let config = Config::new(Delay::fixed(5 * MILLI));
        let layer = config.build().unwrap().layer(Always);
        let service = layer.with_error().with_binding(Carried).layer(service);
        let answered = call(service, Request::default()).await.unwrap();
        assert_ne!(answered, busy_attempt);
    }
}

#[test]
fn a_ready_answer_needs_no_runtime() {
    let inner = service_fn(|_: Request| ready(Ok::<_, Trouble>(7)));
    let layer = hedge().layer(Always).with_error().with_binding(Carried);
    let mut service: HedgeService<_, Trouble, _, _, _> = layer.layer(inner);
    let mut cx = task::Context::from_waker(task::Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let response = pin!(service.call(Request::default()));
    assert_eq!(response.poll(&mut cx), Poll::Ready(Ok(7)));
}

#[tokio::test(start_paused = true)]
async fn boxed_errors_and_bindings_of_the_default_need_no_more_than_a_rule() {
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = attempts.clone();
    let inner = service_fn(move |request: u32| {
        let attempt = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            if attempt == 0 {
                return pending().await;
            }
            Ok::<_, BoxError>(request)
        }
    });
    let layer = hedge().layer(|_: &Context, request: &u32| (*request < 10).then_some(*request));
    let answer = call(layer.layer(inner), 7).await;
    assert_eq!(answer.unwrap(), 7);
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
}

#[test]
fn futures_and_handles_are_send_and_sync_where_their_parts_are() {
    fn all<T: Send + Sync + 'static>() {}
    type Nothing = tower::util::ServiceFn<fn(u32) -> Ready<Result<u32, Rejected>>>;
    type Response<Bu> = ResponseFuture<Nothing, u32, Rejected, Plain, Always, Bu>;
    all::<Hedge>();
    all::<Response<RetryBudget<Deposits>>>();
    all::<Response<RetryBudget<InFlight>>>();
    all::<Call>();
    all::<Permit>();
    all::<Attempt>();
}

/// So that what a stack moves about is known: a timer is most of it.
#[test]
fn a_response_is_as_large_as_its_parts() {
    type Nothing = tower::util::ServiceFn<fn(u64) -> Ready<Result<u64, Rejected>>>;
    type Response = ResponseFuture<Nothing, u64, Rejected, Plain, Always, RetryBudget<Deposits>>;
    let timer = size_of::<tokio::time::Sleep>();
    let parts = timer + size_of::<Call>() + 2 * size_of::<Ready<Result<u64, Rejected>>>();
    assert!(
        size_of::<Response>() <= parts + 64,
        "{}",
        size_of::<Response>()
    );
    assert_eq!(size_of::<Call>(), 24, "a budget of deposits weighs nothing");
}

#[test]
fn a_budget_is_shared_by_whoever_has_a_handle() {
    let extras = RetryBudget::new("extras", Deposits::of(Ratio::percent(100)).floor(0)).unwrap();
    let config = || Config::new(Delay::fixed(50 * MILLI)).budget(extras.clone());
    let [one, other] = [(); 2].map(|()| config().build().unwrap());
    let _ = one.begin(now());
    let class = axiomatic_core::budget::Class::Hedge;
    let call = other.begin(now());
    let permits = [(); 3].map(|()| call.admit(now(), class).is_some());
    assert_eq!(permits, [true; 3], "each was dropped");
    let held = [(); 3].map(|()| call.admit(now(), class));
    assert_eq!(held.iter().flatten().count(), 2);
    assert!(extras.try_extra(now(), class).is_err());
    assert_eq!(other.snapshot().refused(), 1);
    drop(held);
    assert!(one.budget().is_same(other.budget()));
    let nested = Config::new(Delay::fixed(50 * MILLI)).budget(extras.clone().within(extras));
    assert!(nested.build().is_ok());
}
