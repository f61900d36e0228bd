//! What a hedge takes from a budget, and gives back.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};

use axiomatic_core::budget::{Budget, Class, Deposits, InFlight, Level, RetryBudget};
use axiomatic_core::repeat::Always;
use axiomatic_core::{Mode, Ratio};
use axiomatic_latency::hedge::{Config, Delay, Hedge};
use futures::FutureExt;
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt};

use super::backend::{Answer, Backend, Carried, MILLI, NEVER, Request, Trouble, call, now, over};
use super::hedged;

type InFlightHedge = Hedge<RetryBudget<InFlight>>;

/// With as many second attempts at once as there are calls.
fn in_flight() -> InFlightHedge {
    let budget = RetryBudget::new("extras", InFlight::of(Ratio::percent(100))).unwrap();
    let config = Config::new(Delay::fixed(50 * MILLI)).budget(budget);
    config.build().unwrap()
}

/// Calls and second attempts that the budget believes to be under way.
fn under_way(hedge: &InFlightHedge) -> (u64, u64) {
    match hedge.budget().snapshot(now()).level() {
        Level::InFlight { calls, extras, .. } => (calls, extras),
        other => panic!("{other:?}"),
    }
}

const BROKEN: Result<u32, Trouble> = Err(Trouble::Broken);

/// Where a call can be when its caller goes.
struct Place {
    called: &'static str,
    answers: [Answer; 2],
    /// For how long it has to run to get there.
    millis: u32,
    /// Whether the clone is ready.
    is_ready: bool,
    /// Second attempts with a token, and attempts at the backend.
    under_way: (u64, u32),
}

const fn place(
    called: &'static str,
    answers: [Answer; 2],
    (millis, is_ready): (u32, bool),
    under_way: (u64, u32),
) -> Place {
    Place {
        called,
        answers,
        millis,
        is_ready,
        under_way,
    }
}

const HANG: Answer = (NEVER, Ok(1));
const PLACES: [Place; 8] = [
    place("before the first poll", [HANG, HANG], (0, true), (0, 1)),
    place("before the delay", [HANG, HANG], (49, true), (0, 1)),
    place(
        "slow, the clone not ready",
        [HANG, HANG],
        (60, false),
        (1, 1),
    ),
    place("both under way", [HANG, HANG], (60, true), (1, 2)),
    place(
        "the first failed, the clone not ready",
        [(10, BROKEN), HANG],
        (20, false),
        (1, 0),
    ),
    place(
        "the first failed, the second under way",
        [(10, BROKEN), HANG],
        (20, true),
        (1, 1),
    ),
    place(
        "the first failed beside the second",
        [(60, BROKEN), HANG],
        (70, true),
        (1, 1),
    ),
    place(
        "the second failed beside the first",
        [HANG, (5, BROKEN)],
        (70, true),
        (0, 1),
    ),
];

#[tokio::test(start_paused = true)]
async fn wherever_a_call_is_cancelled_no_token_is_lost() {
    for Place {
        called: place,
        answers,
        millis,
        is_ready,
        under_way: (extras, live),
    } in PLACES
    {
        let hedge = in_flight();
        let backend = Backend::new(&answers);
        let mut service = over(&hedge, &backend);
        {
            let response = service.ready().await.unwrap().call(Request::default());
            let mut response = pin!(response);
            backend.set_ready(is_ready);
            for _ in 0..millis {
                assert!(response.as_mut().now_or_never().is_none(), "{place}");
                sleep(MILLI).await;
            }
            if millis > 0 {
                assert!(response.as_mut().now_or_never().is_none(), "{place}");
            }
            assert_eq!(under_way(&hedge), (1, extras), "{place}");
            assert_eq!(backend.live(), live, "{place}");
        }
        assert_eq!((under_way(&hedge), backend.live()), ((0, 0), 0), "{place}");
        let budget = hedge.budget().snapshot(now());
        let spent = budget.granted() - budget.returned();
        assert_eq!(spent, hedge.snapshot().hedged(), "{place}");
        assert_eq!(backend.sent().len() as u64, 1 + spent, "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_over_holds_nothing_though_it_is_still_held() {
    for (answers, is_ready) in [
        ([(20, Ok(1)), HANG], true),
        ([(80, Ok(1)), HANG], true),
        ([(80, Ok(1)), HANG], false),
        ([HANG, (20, Ok(2))], true),
        ([(10, BROKEN), (20, BROKEN)], true),
    ] {
        let hedge = in_flight();
        let backend = Backend::new(&answers);
        let mut service = over(&hedge, &backend);
        let response = service.ready().await.unwrap().call(Request::default());
        backend.set_ready(is_ready);
        let mut response = pin!(response);
        let (waker, wakes) = counting_waker();
        let mut cx = task::Context::from_waker(&waker);
        while response.as_mut().poll(&mut cx).is_pending() {
            sleep(MILLI).await;
        }
        assert_eq!((under_way(&hedge), backend.live()), ((0, 0), 0));
        // Nor does a timer ring for it.
        let before = *wakes.lock().unwrap();
        sleep(100 * MILLI).await;
        assert_eq!(*wakes.lock().unwrap(), before, "{answers:?}");
    }
}

/// Whoever goes first in a poll: none leaves a second attempt lie that was
/// allowed in it.
#[tokio::test(start_paused = true)]
async fn a_second_attempt_is_sent_in_the_poll_that_allowed_it() {
    for polls in 0..8 {
        for (answers, millis) in [([(10, BROKEN), HANG], 10), ([HANG, HANG], 50)] {
            let hedge = in_flight();
            let backend = Backend::new(&answers);
            let mut service = over(&hedge, &backend);
            let response = service.ready().await.unwrap().call(Request::default());
            let mut response = pin!(response);
            for _ in 0..=polls {
                assert!(response.as_mut().now_or_never().is_none());
            }
            sleep(millis * MILLI).await;
            assert!(response.as_mut().now_or_never().is_none());
            assert_eq!(backend.sent().len(), 2, "{polls} {answers:?}");
        }
    }
}

/// A permit that comes in time for nothing, as the first answers meanwhile.
#[tokio::test(start_paused = true)]
async fn a_token_whose_attempt_is_never_sent_is_returned() {
    let budget = RetryBudget::new("extras", Deposits::of(Ratio::percent(100)).floor(0)).unwrap();
    let config = Config::new(Delay::fixed(50 * MILLI)).budget(budget.clone());
    let hedge = config.build().unwrap();
    let backend = Backend::new(&[(80, Ok(1))]);
    let mut service = over(&hedge, &backend);
    let response = service.ready().await.unwrap().call(Request::default());
    backend.set_ready(false);
    assert_eq!(response.await, Ok(1));
    let snapshot = budget.snapshot(now());
    assert_eq!((snapshot.granted(), snapshot.returned()), (1, 1));
    assert!(
        budget.try_extra(now(), Class::Hedge).is_ok(),
        "it is there again"
    );
}

/// Where the service panics, by the number of the attempt.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Panics {
    Call(u32),
    Poll(u32),
    ReadinessOfTheClone,
}

struct Instance {
    panics: Panics,
    is_clone: bool,
}

impl Clone for Instance {
    fn clone(&self) -> Self {
        Instance {
            panics: self.panics,
            is_clone: true,
        }
    }
}

/// Without the hook, which would fill the log.
fn panics_here() -> ! {
    std::panic::resume_unwind(Box::new("ordered"))
}

impl Service<Request> for Instance {
    type Response = u32;
    type Error = Trouble;
    type Future = Pin<Box<dyn Future<Output = Result<u32, Trouble>>>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Trouble>> {
        if self.is_clone && self.panics == Panics::ReadinessOfTheClone {
            panics_here();
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let attempt = request.context.attempt();
        if self.panics == Panics::Call(attempt) {
            panics_here();
        }
        let panics = self.panics;
        Box::pin(async move {
            sleep(if attempt == 1 { 100 } else { 20 } * MILLI).await;
            if panics == Panics::Poll(attempt) {
                panics_here();
            }
            std::future::pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_service_leaks_no_token() {
    for (panics, sent) in [
        (Panics::Call(1), 0),
        (Panics::Call(2), 1),
        (Panics::Poll(1), 1),
        (Panics::Poll(2), 1),
        (Panics::ReadinessOfTheClone, 0),
    ] {
        let hedge = in_flight();
        let layer = hedge.layer(Always).with_error().with_binding(Carried);
        let instance = Instance {
            panics,
            is_clone: false,
        };
        let mut service = layer.layer(instance);
        let attempt = AssertUnwindSafe(async {
            service
                .ready()
                .await
                .unwrap()
                .call(Request::default())
                .await
        });
        assert!(attempt.catch_unwind().await.is_err(), "{panics:?}");
        assert_eq!(under_way(&hedge), (0, 0), "{panics:?}");
        let budget = hedge.budget().snapshot(now());
        assert_eq!(budget.granted() - budget.returned(), sent, "{panics:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_the_budget_refuses_is_counted_and_not_sent() {
    let budget = RetryBudget::new("none", Deposits::of(Ratio::ZERO).floor(0)).unwrap();
    let config = || Config::new(Delay::fixed(50 * MILLI)).budget(budget.clone());
    let hedge = config().build().unwrap();
    for (answers, took) in [
        (vec![(80, Ok(1)), (20, Ok(2))], 80),
        (vec![(10, BROKEN), (20, Ok(2))], 10),
    ] {
        let backend = Backend::new(&answers);
        let began = now();
        let result = call(over(&hedge, &backend), Request::default()).await;
        assert_eq!(result, answers[0].1);
        assert_eq!((now() - began).as_millis(), took);
        assert_eq!(backend.sent().len(), 1);
        // So that the next is not taken for drained.
        sleep(20 * MILLI).await;
    }
    let snapshot = hedge.snapshot();
    assert_eq!((snapshot.refused(), snapshot.hedged()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn while_the_budget_is_drained_nothing_is_prepared() {
    let budget = RetryBudget::new("none", Deposits::of(Ratio::ZERO).floor(0)).unwrap();
    let config = Config::new(Delay::fixed(50 * MILLI)).budget(budget.clone());
    let hedge = config.build().unwrap();
    for (is_drained, clones) in [(false, 1), (true, 0)] {
        assert_eq!(budget.is_drained(now()), is_drained);
        let backend = Backend::new(&[(60, Ok(1))]);
        assert_eq!(
            call(over(&hedge, &backend), Request::default()).await,
            Ok(1)
        );
        assert_eq!(backend.clones(), clones);
        // What is refused after 50 ms is remembered for 10.
        budget.try_extra(now(), Class::Hedge).unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsent_attempt_is_made_anew_free_of_budget() {
    let budget = RetryBudget::new("none", Deposits::of(Ratio::ZERO).floor(0)).unwrap();
    let config = Config::new(Delay::fixed(50 * MILLI)).budget(budget);
    let backend = Backend::new(&[(10, Err(Trouble::Unsent)), (20, Ok(2))]);
    let hedge = config.build().unwrap();
    assert_eq!(
        call(over(&hedge, &backend), Request::default()).await,
        Ok(2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_poll_wakes_nobody() {
    let hedge = super::hedge();
    let backend = Backend::new(&[(NEVER, Ok(1)), (NEVER, Ok(2))]);
    let mut service = over(&hedge, &backend);
    let response = service.ready().await.unwrap().call(Request::default());
    let mut response = pin!(response);
    let (waker, wakes) = counting_waker();
    let mut cx = task::Context::from_waker(&waker);
    for millis in [0, 20, 29, 1, 1, 20] {
        tokio::time::advance(millis * MILLI).await;
        let before = *wakes.lock().unwrap();
        assert!(response.as_mut().poll(&mut cx).is_pending());
        assert!(response.as_mut().poll(&mut cx).is_pending());
        assert_eq!(*wakes.lock().unwrap(), before);
    }
    assert_eq!(*wakes.lock().unwrap(), 1, "by the timer");
    assert_eq!(backend.live(), 2);
}

/// A waker that counts.
fn counting_waker() -> (Waker, Arc<Mutex<u32>>) {
    struct Counts(Arc<Mutex<u32>>);
    impl task::Wake for Counts {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let count = Arc::new(Mutex::new(0));
    (Waker::from(Arc::new(Counts(count.clone()))), count)
}

#[tokio::test(start_paused = true)]
async fn what_a_hedge_did_prints_as_a_line() {
    let hedge = Config::new(Delay::fixed(50 * MILLI))
        .named("catalogue")
        .build()
        .unwrap();
    for answers in [
        vec![(20, Ok(1))],
        vec![(80, Ok(1)), (NEVER, Ok(2))],
        vec![(NEVER, Ok(1)), (20, Ok(2))],
    ] {
        assert!(hedged(&hedge, &answers).await.0.is_ok());
    }
    let snapshot = hedge.snapshot();
    assert_eq!((snapshot.hedged(), snapshot.won()), (2, 1));
    assert_eq!(snapshot.mode(), Mode::Enforce);
    assert_eq!(snapshot.name().as_str(), "catalogue");
    assert_eq!(snapshot.delay(), Some(50 * MILLI));
    assert_eq!(
        snapshot.to_string(),
        "hedge catalogue: after 50.0ms; 2 hedged, 1 won, 0 refused"
    );
}
