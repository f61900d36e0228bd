//! The hedge beside its floors and its peers.
//!
//! Judged is what a call pays that is not hedged: as a mechanism
//! (`mechanism/answered`), as a tower layer around a service that answers at
//! once (`layer/ready`), and around one that is pending once (`layer/pending`),
//! where a timer is set. The request may be repeated, so all that a second
//! attempt takes is prepared; the delay is learned unless it says otherwise.
//!
//! Each thread has entered a current-thread runtime of its own, whose driver
//! believes that an earlier timer stands, as on a busy server: otherwise each
//! registration would wake it by a system call. The futures are polled by hand,
//! twice where they are pending, and the driver does not turn meanwhile. Not
//! shown: what a second attempt costs, and what it is worth, which is a matter
//! of milliseconds (`examples/hedge.rs`). It is one file, as every bench is.
//!
//! Tower's hedge cannot be cloned, so each thread has one of its own. It hedges
//! only if the period before held enough calls; so it is given a histogram of a
//! thousand calls of a millisecond, and a period of a day.

mod harness;

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axiomatic_core::repeat::{Always, WhenDeclared};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Outcome, Ratio, Rejected};
use axiomatic_latency::hedge::{Config, Delay, Hedge};
use harness::{BARE, Line, OURS, Operation, PARTS, Suite, allocations, peer, ratio, time};
use tower::hedge::Policy;
use tower_layer::Layer;
use tower_resilience_hedge::HedgeLayer as ResilientLayer;
use tower_service::Service;

const HOUR: Duration = Duration::from_secs(3_600);
const MILLI: Duration = Duration::from_millis(1);
const FIXED: &str = "ours, fixed delay";
const PARTS_FIXED: &str = "floor:parts, fixed delay";
/// Without what holds the shared state, and with a clock read at either end.
const TWO_CLOCKS: &str = "floor:two clock reads, two adds";
const TIMER: &str = "floor:timer";

fn main() -> ExitCode {
    let mut suite = Suite::new("hedge");
    mechanism(suite.operation("mechanism/answered"));
    layer(suite.operation("layer/ready"), Answer::AtOnce);
    layer(suite.operation("layer/pending"), Answer::PendingOnce);
    goals(&mut suite);
    suite.run()
}

fn goals(suite: &mut Suite) {
    let mechanism = "mechanism/answered";
    suite.goal(
        "mechanism/answered to its parts",
        ratio(time(mechanism, OURS), time(mechanism, PARTS)).at_most(1.4),
    );
    suite.goal(
        "mechanism/answered, two threads to one",
        ratio(time(mechanism, OURS).threads(2), time(mechanism, OURS)).at_most(1.5),
    );
    for operation in ["layer/ready", "layer/pending"] {
        let over = |subject: &str| time(operation, subject).over(BARE);
        for (ours, parts) in [(OURS, PARTS), (FIXED, PARTS_FIXED)] {
            suite.goal(
                &format!("{operation}, {ours}, over bare, to {parts}"),
                ratio(over(ours), over(parts)).at_most(1.4),
            );
        }
        suite.goal(
            &format!("{operation}, two threads to one"),
            ratio(over(OURS).threads(2), over(OURS)).at_most(1.5),
        );
        suite.goal(
            &format!("{operation}, allocations"),
            allocations(operation, OURS).at_most(0.0),
        );
    }
    let over = |operation: &str, subject: &str| time(operation, subject).over(BARE);
    let (tower, resilient) = (peer("tower"), peer("tower-resilience-hedge"));
    let ready = "layer/ready";
    suite.goal(
        "layer/ready, over bare, to tower",
        ratio(over(ready, OURS), over(ready, &tower)).at_most(0.35),
    );
    suite.goal(
        "layer/ready, over bare, to tower-resilience",
        ratio(over(ready, OURS), over(ready, &resilient)).at_most(0.15),
    );
    // There the timer is most of it, which all need.
    let pending = "layer/pending";
    suite.goal(
        "layer/pending, over bare, to tower",
        ratio(over(pending, OURS), over(pending, &tower)).at_most(1.0),
    );
    suite.goal(
        "layer/pending, over bare, to tower-resilience",
        ratio(over(pending, OURS), over(pending, &resilient)).at_most(0.5),
    );
    suite.goal(
        "layer/ready, over bare",
        time("layer/ready", OURS).over(BARE).at_most(60.0),
    );
    suite.goal(
        "layer/pending, over bare and a timer",
        time("layer/pending", OURS).over(TIMER).at_most(60.0),
    );
}

// --- The operations -----------------------------------------------------

/// Begins a call, asks when it is slow, and tells that it was answered.
fn mechanism(operation: &mut Operation) {
    for (subject, delay) in [(OURS, learned()), (FIXED, Delay::fixed(MILLI))] {
        operation.case(subject, move || {
            let hedge = warm(delay);
            move || {
                let hedge = hedge.clone();
                let mut time = Box::new(Own(hedge.now()));
                move || {
                    let now = time.0 + STEP;
                    time.0 = now;
                    let mut call = hedge.begin(now);
                    black_box(call.fires_at());
                    call.record(now + STEP, Outcome::Success);
                }
            }
        });
    }
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let shared = Arc::new(Line::default());
            move || {
                let floor = Floor::new(&shared);
                move || {
                    let held = floor.hold();
                    floor.deposit();
                    floor.delay();
                    floor.learn(STEP);
                    drop(black_box(held));
                }
            }
        })
        .note("a load, an Arc and two fetch_adds on lines of the thread's own");
}

/// A call that is answered before it is slow.
fn layer(operation: &mut Operation, answer: Answer) {
    operation.over(BARE);
    for (subject, delay) in [(OURS, learned()), (FIXED, Delay::fixed(MILLI))] {
        operation.case(subject, move || {
            let hedge = warm(delay);
            move || {
                enter_a_runtime();
                let layer = hedge.layer(Always).with_error::<Rejected>();
                let mut service = layer.layer(Inner(answer));
                assert!(hedge.begin(hedge.now()).fires_at().is_some());
                move || call(&mut service)
            }
        });
    }
    operation
        .case("ours, not repeatable", move || {
            let hedge = warm(learned());
            move || {
                let layer = hedge.layer(WhenDeclared).with_error::<Rejected>();
                let mut service = layer.layer(Inner(answer));
                move || call(&mut service)
            }
        })
        .note("nothing is prepared");
    operation.case(BARE, move || {
        move || {
            let mut service = Inner(answer);
            move || call(&mut service)
        }
    });
    operation.fetch_add();
    let is_pending = matches!(answer, Answer::PendingOnce);
    for (subject, learns, holds, clocks) in [
        (PARTS, true, true, 1 + u32::from(is_pending)),
        (PARTS_FIXED, false, true, 1),
        (TWO_CLOCKS, true, false, 2),
    ] {
        operation
            .case(subject, move || {
                let shared = Arc::new(Line::default());
                move || {
                    enter_a_runtime();
                    let floor = Floor::new(&shared);
                    let mut service = Inner(answer);
                    move || {
                        let began = Clock::Precise.now();
                        let held = holds.then(|| floor.hold());
                        floor.deposit();
                        floor.delay();
                        let answer = if is_pending {
                            with_timer(&mut service, began)
                        } else {
                            call(&mut service)
                        };
                        let took = match clocks {
                            1 => STEP,
                            _ => Clock::Precise.now() - began,
                        };
                        if learns {
                            floor.learn(took);
                        }
                        drop(black_box(held));
                        answer
                    }
                }
            })
            .note("and, if pending, a timer");
    }
    if is_pending {
        operation.case(TIMER, move || {
            move || {
                enter_a_runtime();
                let mut service = Inner(answer);
                let now = Clock::Precise.now();
                move || with_timer(&mut service, now)
            }
        });
    }

    operation.case(peer("tower"), move || {
        move || {
            enter_a_runtime();
            let mut service = tower::hedge::Hedge::new_with_mock_latencies(
                Inner(answer),
                EachOne,
                10,
                0.95,
                24 * HOUR,
                &[1; 1_000],
            );
            move || call(&mut service).is_ok()
        }
    });
    operation.case(peer("tower-resilience-hedge"), move || {
        let layer = ResilientLayer::builder().delay(MILLI).build();
        move || {
            enter_a_runtime();
            let mut service = layer.layer(Inner(answer));
            move || call(&mut service).is_ok()
        }
    });
}

// --- Ours ---------------------------------------------------------------

/// How far the time moves where it is an argument.
const STEP: Duration = Duration::from_nanos(100);

/// A thread's time, on lines of its own: threads' closures lie side by side.
#[repr(align(128))]
struct Own(Instant);

/// Learned from calls that are shorter than the shortest delay.
fn learned() -> Delay {
    Delay::quantile(Ratio::percent(95)).between(MILLI, HOUR)
}

/// A hedge that has learned enough.
fn warm(delay: Delay) -> Hedge {
    let hedge = Config::new(delay).build().expect("the delay is valid");
    let now = hedge.now();
    for _ in 0..1_000 {
        hedge.begin(now).record(now + STEP, Outcome::Success);
    }
    hedge
}

// --- The floors ---------------------------------------------------------

/// One thread's view of the least that a hedge is made of.
struct Floor {
    /// The delay, which all threads read.
    shared: Arc<Line>,
    /// What nobody else writes.
    deposits: Box<Line>,
    latencies: Box<Line>,
    held: Arc<Line>,
}

impl Floor {
    fn new(shared: &Arc<Line>) -> Self {
        Floor {
            shared: shared.clone(),
            deposits: Box::default(),
            latencies: Box::default(),
            held: Arc::default(),
        }
    }

    #[inline]
    fn hold(&self) -> Arc<Line> {
        self.held.clone()
    }

    #[inline]
    fn deposit(&self) {
        self.deposits.0.fetch_add(50, Relaxed);
    }

    #[inline]
    fn delay(&self) {
        black_box(self.shared.0.load(Relaxed));
    }

    #[inline]
    fn learn(&self, took: Duration) {
        black_box(took);
        self.latencies.0.fetch_add(1, Relaxed);
    }
}

/// The call, beside a timer that is set when it is pending.
#[inline]
fn with_timer(service: &mut Inner, began: Instant) -> Result<u64, Rejected> {
    let timer = tokio::time::sleep_until((began + black_box(MILLI)).into());
    let mut timer = pin!(timer);
    let mut polling = Context::from_waker(Waker::noop());
    assert!(timer.as_mut().poll(&mut polling).is_pending());
    call(service)
}

/// Enters a runtime for the rest of the thread's life. In it stands a timer
/// that is earlier than those which are measured, and its driver, which was
/// told so when it turned for the last time, will never know that it is over.
fn enter_a_runtime() {
    thread_local!(static ENTERED: () = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
        std::mem::forget(runtime.enter());
        runtime.spawn(tokio::time::sleep(3 * MILLI));
        runtime.block_on(tokio::time::sleep(2 * MILLI));
        // Past the 3 ms of the other task, which nobody polls again: no
        // condition becomes true by it, so there is none to wait for.
        std::thread::sleep(2 * MILLI);
    });
    ENTERED.with(|()| ());
}

// --- The peers ----------------------------------------------------------

/// Tower's rule that each request may be sent twice.
#[derive(Copy, Clone)]
struct EachOne;

impl Policy<u64> for EachOne {
    fn clone_request(&self, request: &u64) -> Option<u64> {
        Some(*request)
    }

    fn can_retry(&self, _: &u64) -> bool {
        true
    }
}

// --- The service --------------------------------------------------------

/// When a service answers.
#[derive(Copy, Clone)]
enum Answer {
    AtOnce,
    PendingOnce,
}

/// A service that is ready, and answers as it is told.
#[derive(Copy, Clone)]
struct Inner(Answer);

impl Service<u64> for Inner {
    type Response = u64;
    type Error = Rejected;
    type Future = Answering;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Answering {
        Answering {
            is_ready: matches!(self.0, Answer::AtOnce),
            request,
        }
    }
}

struct Answering {
    is_ready: bool,
    request: u64,
}

impl Future for Answering {
    type Output = Result<u64, Rejected>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_ready {
            return Poll::Ready(Ok(self.request));
        }
        self.is_ready = true;
        // Or else who keeps attempts in a set would not poll it again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls until there is an answer, which is twice at most. Inlined into each
/// subject, whether it is its type's only one or not.
#[inline(always)]
fn call<S: Service<u64>>(service: &mut S) -> Result<S::Response, S::Error> {
    let mut polling = Context::from_waker(Waker::noop());
    match service.poll_ready(&mut polling) {
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(error)) => return Err(error),
        Poll::Pending => unreachable!("the service is always ready"),
    }
    let mut future = pin!(service.call(black_box(1)));
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut polling) {
            return answer;
        }
    }
}
