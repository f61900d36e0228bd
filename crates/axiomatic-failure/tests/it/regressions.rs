//! What broke other breakers, a test each, with the project and, where there
//! is one, the issue. Where a test elsewhere already holds ours to the same
//! promise, this one adds the scale or the surroundings in which the other
//! breaker failed.
//!
//! It is one file because it is one list.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axiomatic_core::time::ManualClock;
use axiomatic_core::{BoxError, Outcome, Ratio, Reason, Refusable, Rejected};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, Config, HalfOpen, OwnedPermit, State, TripWhen, Window,
};
use tower::buffer::Buffer;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::circuit_breaker::{call, config};

const SECOND: Duration = Duration::from_secs(1);

/// Open, and due for its probes.
fn due(clock: &ManualClock, half_open: HalfOpen) -> CircuitBreaker {
    let breaker = config(clock).half_open(half_open).build().unwrap();
    trip(&breaker);
    clock.advance(2 * SECOND);
    breaker
}

fn trip(breaker: &CircuitBreaker) {
    call(breaker, Outcome::Transient);
    call(breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::Open);
}

// --- Who is let through while half-open ---------------------------------

/// recloser 1.4 and failsafe 1.3, half-open with a length of 5, let 200 of
/// 200 concurrent callers through; Polly #216 and resilience4j #1432 are the
/// same in other languages.
#[test]
fn of_200_threads_only_as_many_as_there_are_places_probe() {
    let clock = ManualClock::new();
    let breaker = due(&clock, HalfOpen::successes(5).concurrent(3));
    let start = Barrier::new(200);
    let admitted: Vec<OwnedPermit> = std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            breaker.admit_owned(breaker.now()).ok()
        };
        let threads: Vec<_> = (0..200).map(|_| scope.spawn(ask)).collect();
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        answers.flatten().collect()
    });
    assert_eq!(admitted.len(), 3);
    assert_eq!(breaker.snapshot().probes(), 3);
    // Each place that comes back lets one more through, and no two.
    let mut held = Vec::new();
    for permit in admitted {
        drop(permit);
        held.push(breaker.admit_owned(breaker.now()).unwrap());
        assert!(breaker.admit(breaker.now()).is_err());
    }
}

/// The same through the layer: 200 calls that are all still under way.
#[test]
fn of_200_calls_only_as_many_as_there_are_places_reach_the_service() {
    let clock = ManualClock::new();
    let breaker = due(&clock, HalfOpen::successes(5).concurrent(3));
    let reached = AtomicU32::new(0);
    let hangs = service_fn(|()| {
        reached.fetch_add(1, Ordering::Relaxed);
        pending::<Result<(), Infallible>>()
    });
    let service = breaker.layer().with_error::<Rejected>().layer(hangs);
    let mut calls: Vec<_> = (0..200)
        .map(|_| Box::pin(service.clone().oneshot(())))
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    let waiting = calls
        .iter_mut()
        .filter_map(|call| call.as_mut().poll(&mut context).is_pending().then_some(()));
    assert_eq!(waiting.count(), 3, "the others are told, and do not wait");
    assert_eq!(reached.load(Ordering::Relaxed), 3);
}

// --- Half-open for ever -------------------------------------------------

/// What can become of a probe besides a verdict. None of it may cost a place:
/// throttle-net wedges after one cancelled probe, resilience4j #544 after an
/// ignored error, #903 and #935 after one that hangs, Polly #1979 after an
/// unhandled one, rezilience #521 after an interrupted one. OmniRoute #13836
/// refused 49,607 calls in the six days after a probe hung.
#[test]
fn no_ending_of_a_probe_wedges_it() {
    type Ending = fn(OwnedPermit, &CircuitBreaker) -> Option<OwnedPermit>;
    let endings: [(&str, Ending); 6] = [
        ("is lost", |permit, _| {
            drop(permit);
            None
        }),
        ("is cancelled", |permit, breaker| {
            permit.cancelled(breaker.now());
            None
        }),
        ("is cancelled late", |permit, breaker| {
            permit.cancelled(breaker.now() + 100 * SECOND);
            None
        }),
        ("is ignored", |permit, breaker| {
            permit.record(breaker.now(), Outcome::Ignored);
            None
        }),
        ("panics", |permit, breaker| {
            permit.panicked(breaker.now());
            None
        }),
        ("hangs", |permit, _| Some(permit)),
    ];
    for (name, end) in endings {
        let clock = ManualClock::new();
        let breaker = due(&clock, HalfOpen::successes(2).lease(5 * SECOND));
        let mut hung = Vec::new();
        for _ in 0..20 {
            // Both places, and then whoever else is let in.
            for _ in 0..4 {
                if let Ok(permit) = breaker.admit_owned(breaker.now()) {
                    hung.extend(end(permit, &breaker));
                }
            }
            clock.advance(7 * SECOND);
        }
        for _ in 0..2 {
            let probe = breaker.admit(breaker.now());
            probe
                .unwrap_or_else(|rejected| panic!("a probe {name}: {rejected}"))
                .record(breaker.now(), Outcome::Success);
        }
        assert_eq!(breaker.state(), State::Closed, "a probe {name}");
        // Those that come back after all are late, and decide nothing.
        for permit in hung {
            permit.record(breaker.now(), Outcome::Transient);
        }
        assert_eq!(breaker.state(), State::Closed, "a probe {name}");
    }
}

/// tower-resilience 0.13 with a window of time: the probes' results fell out
/// of the window before there were enough of them, and 100 of 100 calls were
/// refused three seconds after the recovery.
#[test]
fn good_probes_further_apart_than_the_window_close_it() {
    let clock = ManualClock::new();
    let breaker = due(&clock, HalfOpen::successes(3).concurrent(1));
    for _ in 0..3 {
        call(&breaker, Outcome::Success);
        clock.advance(60 * SECOND);
    }
    assert_eq!(breaker.state(), State::Closed);
}

/// linkerd: a probation whose only probe is dropped before the head of its
/// answer waits for ever. Through the layer, with a caller that gives up.
#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_on_the_only_probe_leaves_its_place() {
    let clock = ManualClock::new();
    let breaker = due(&clock, HalfOpen::successes(1));
    let is_up = AtomicBool::new(false);
    let service = breaker.layer().with_error::<Rejected>();
    let service = service.layer(service_fn(|()| {
        let is_up = is_up.load(Ordering::Relaxed);
        async move {
            if !is_up {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(())
        }
    }));
    for _ in 0..50 {
        let probe = service.clone().oneshot(());
        assert!(tokio::time::timeout(SECOND, probe).await.is_err());
        assert_eq!(breaker.state(), State::HalfOpen, "nothing is decided");
    }
    is_up.store(true, Ordering::Relaxed);
    assert!(service.clone().oneshot(()).await.is_ok());
    assert_eq!(breaker.state(), State::Closed);
}

/// Polly 8: what the breaker does not handle, a cancellation among it, ends
/// in `OnActionSuccessAsync`, which closes a half-open circuit.
#[test]
fn a_cancelled_probe_closes_nothing_and_the_next_one_decides() {
    for (outcome, state) in [
        (Outcome::Success, State::Closed),
        (Outcome::Transient, State::Open),
    ] {
        let clock = ManualClock::new();
        let breaker = due(&clock, HalfOpen::successes(1));
        for _ in 0..10 {
            let probe = breaker.admit(breaker.now()).unwrap();
            probe.cancelled(breaker.now());
            assert_eq!(breaker.state(), State::HalfOpen);
        }
        call(&breaker, outcome);
        assert_eq!(breaker.state(), state);
    }
}

// --- Windows that are none ----------------------------------------------

/// tower-resilience 0.13: counters are cleared by transitions alone, so that
/// after 1,000 successes a "sliding" window of 10 needs 1,000 failures.
/// `old_successes_do_not_hide_a_new_outage` has both windows, by hand; here a
/// service that was up for 100,000 calls goes down.
#[test]
fn a_hundred_thousand_successes_do_not_hide_an_outage() {
    let half = TripWhen::failure_rate(Ratio::percent(50), 10);
    let breaker = Config::new(Window::calls(10)).trip_when(half).build();
    let breaker = breaker.unwrap();
    let is_up = AtomicBool::new(true);
    let mut service = breaker.layer().layer(service_fn(|()| {
        ready(match is_up.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(BoxError::from("down")),
        })
    }));
    let mut calls = |count: u32| {
        (0..count).find(|_| {
            let mut context = Context::from_waker(Waker::noop());
            assert!(service.poll_ready(&mut context).is_ready());
            let call = std::pin::pin!(service.call(()));
            assert!(call.poll(&mut context).is_ready());
            breaker.state() == State::Open
        })
    };
    assert_eq!(calls(100_000), None);
    is_up.store(false, Ordering::Relaxed);
    assert_eq!(calls(100), Some(4), "the fifth of ten");
}

/// failsafe 1.3: a success-rate policy cannot trip until one full window has
/// passed, which 16 million failing calls did not change. mcp-proxy #220: a
/// smallest sample is not looked at before the window is full.
#[test]
fn it_trips_as_soon_as_there_is_a_sample() {
    let clock = ManualClock::new();
    let sample = TripWhen::failure_rate(Ratio::percent(50), 20);
    for window in [Window::last(600 * SECOND), Window::calls(1000)] {
        let breaker = Config::new(window)
            .trip_when(sample)
            .clock(axiomatic_core::time::Clock::Manual(clock.clone()))
            .build()
            .unwrap();
        let failures = (1..=100).find(|_| {
            call(&breaker, Outcome::Transient);
            breaker.state() == State::Open
        });
        assert_eq!(failures, Some(20), "{window:?}");
    }
}

// --- Results from before ------------------------------------------------

/// No breaker among failsafe, recloser, throttle-net, tower-resilience and
/// linkerd knows when a call began: a success from before the trip closes
/// tower-resilience (Polly #217 is the same). In Polly #218, a failure from
/// before opens what is open once more. `a_stale_result_decides_nothing` has
/// the half-open one; here every result meets every later state.
#[test]
fn a_result_from_before_the_trip_meets_no_later_state() {
    for stale in [Outcome::Success, Outcome::Transient, Outcome::Permanent] {
        let clock = ManualClock::new();
        let breaker = config(&clock).build().unwrap();
        let mut before: Vec<_> = (0..30)
            .map(|_| breaker.admit_owned(breaker.now()).unwrap())
            .collect();
        let mut arrive = |state: State| {
            for permit in before.drain(..10) {
                permit.record(breaker.now(), stale);
                assert_eq!(breaker.state(), state, "{stale:?}");
            }
        };

        trip(&breaker);
        clock.advance(SECOND / 2);
        let wait =
            |breaker: &CircuitBreaker| breaker.admit(breaker.now()).unwrap_err().retry_after();
        let promised = wait(&breaker);
        arrive(State::Open);
        assert_eq!(wait(&breaker), promised, "nor does it stay open longer");

        clock.advance(SECOND);
        let probe = breaker.admit(breaker.now()).unwrap();
        arrive(State::HalfOpen);
        assert_eq!(breaker.snapshot().probes(), 1, "and takes no probe's place");
        probe.record(breaker.now(), Outcome::Success);

        arrive(State::Closed);
        assert_eq!(breaker.snapshot().counts().total(), 0);
        assert_eq!(breaker.snapshot().late(), 30);
    }
}

/// Probes are no different: one of an earlier half-open phase decides nothing
/// in the next.
#[test]
fn a_probe_of_an_earlier_try_decides_nothing_in_the_next() {
    for stale in [Outcome::Success, Outcome::Transient] {
        let clock = ManualClock::new();
        let breaker = due(&clock, HalfOpen::successes(2));
        let early = breaker.admit(breaker.now()).unwrap();
        call(&breaker, Outcome::Transient);
        assert_eq!(breaker.state(), State::Open);
        clock.advance(2 * SECOND);
        let one = breaker.admit(breaker.now()).unwrap();
        early.record(breaker.now(), stale);
        assert_eq!(breaker.state(), State::HalfOpen);
        assert_eq!(breaker.snapshot().probes(), 1);
        one.record(breaker.now(), Outcome::Success);
        assert_eq!(breaker.state(), State::HalfOpen, "one of two was good");
    }
}

// --- Listeners that call back -------------------------------------------

/// gobreaker #37, gascity #4839 and failsafe on a reset: listeners are called
/// under the breaker's lock, and one that asks the breaker anything waits for
/// itself. resilience4j #2038: one that makes a transition is called for it,
/// without end. Polly 8 calls the generator of durations under its lock.
///
/// Does to the breaker all that a handle can.
#[cfg(any(feature = "tracing", feature = "metrics"))]
fn meddle(breaker: &CircuitBreaker) {
    assert!(!breaker.snapshot().to_string().is_empty());
    if let Ok(permit) = breaker.admit(breaker.now()) {
        permit.record(breaker.now(), Outcome::Transient);
    }
    breaker.set_mode(axiomatic_core::Mode::Shadow);
    breaker.set_mode(axiomatic_core::Mode::Enforce);
    breaker.force_open();
}

/// The subscriber is the process's, since one of a thread is not told of what
/// happens while it is told something. It looks at one name alone.
#[cfg(feature = "tracing")]
#[test]
fn a_subscriber_may_call_back() {
    use std::sync::OnceLock;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    static BREAKER: OnceLock<CircuitBreaker> = OnceLock::new();
    static TOLD: AtomicU32 = AtomicU32::new(0);

    struct Meddles;
    struct IsOurs(bool);

    impl Visit for IsOurs {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0 |= field.name() == "name" && value == "meddled with";
        }
        fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
    }

    impl Subscriber for Meddles {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "axiomatic::circuit_breaker"
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut is_ours = IsOurs(false);
            event.record(&mut is_ours);
            if let (true, Some(breaker)) = (is_ours.0, BREAKER.get()) {
                TOLD.fetch_add(1, Ordering::Relaxed);
                meddle(breaker);
            }
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    let clock = ManualClock::new();
    let breaker = config(&clock).named("meddled with").build().unwrap();
    BREAKER.set(breaker.clone()).unwrap();
    tracing::subscriber::set_global_default(Meddles).expect("no other test has one");
    tracing::callsite::rebuild_interest_cache();
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::ForcedOpen);
    assert_eq!(
        TOLD.load(Ordering::Relaxed),
        2,
        "that it opened, and that it was forced to"
    );
    // And from the operator's side.
    breaker.reset();
    assert_eq!(breaker.state(), State::ForcedOpen);
    assert_eq!(TOLD.load(Ordering::Relaxed), 4);
}

#[cfg(feature = "metrics")]
#[test]
fn a_recorder_may_call_back() {
    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder,
        SharedString, Unit,
    };
    use std::sync::Mutex;

    #[derive(Default)]
    struct Meddles {
        breaker: Mutex<Option<CircuitBreaker>>,
        is_told: AtomicBool,
        told: AtomicU32,
    }

    impl Meddles {
        /// It is told of what it does itself, and leaves it at that: a
        /// refusal that is counted by asking once more would be without end
        /// in any breaker.
        fn meddle(&self) {
            self.told.fetch_add(1, Ordering::Relaxed);
            if !self.is_told.swap(true, Ordering::Relaxed) {
                let breaker = self.breaker.lock().unwrap().clone();
                if let Some(breaker) = breaker {
                    meddle(&breaker);
                }
                self.is_told.store(false, Ordering::Relaxed);
            }
        }
    }

    impl CounterFn for Meddles {
        fn increment(&self, _: u64) {
            self.meddle();
        }
        fn absolute(&self, _: u64) {}
    }

    impl GaugeFn for Meddles {
        fn increment(&self, _: f64) {}
        fn decrement(&self, _: f64) {}
        fn set(&self, _: f64) {
            self.meddle();
        }
    }

    struct Hands(Arc<Meddles>);

    impl Recorder for Hands {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::clone(&self.0))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::clone(&self.0))
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    let meddles = Arc::new(Meddles::default());
    let clock = ManualClock::new();
    let breaker = metrics::with_local_recorder(&Hands(Arc::clone(&meddles)), || {
        config(&clock).build().unwrap()
    });
    *meddles.breaker.lock().unwrap() = Some(breaker.clone());
    let before = meddles.told.load(Ordering::Relaxed);
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::ForcedOpen);
    assert!(breaker.admit(breaker.now()).is_err());
    assert!(meddles.told.load(Ordering::Relaxed) > before + 4);
    // They hold each other.
    *meddles.breaker.lock().unwrap() = None;
}

// --- Behind a buffer ----------------------------------------------------

/// tower #855: a breaker whose `poll_ready` fails while it is open kills a
/// `Buffer` around it for good, since for tower an error of readiness is the
/// end of a service. Ours is ready, refuses the call, and recovers.
#[tokio::test]
async fn a_buffer_around_it_outlives_an_outage() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    let is_up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&is_up);
    let inner = service_fn(move |()| {
        ready(match answers.load(Ordering::Relaxed) {
            true => Ok("served"),
            false => Err(BoxError::from("down")),
        })
    });
    let buffer = Buffer::new(breaker.layer().layer(inner), 8);
    for outage in 0..3 {
        for _ in 0..2 {
            let failed = buffer.clone().oneshot(()).await.unwrap_err();
            assert_eq!(failed.rejected(), None);
        }
        assert_eq!(breaker.state(), State::Open, "outage {outage}");
        for _ in 0..20 {
            let refused = buffer.clone().oneshot(()).await.unwrap_err();
            let reason = refused.rejected().map(|rejected| rejected.reason());
            assert_eq!(reason, Some(Reason::Open), "the breaker's own refusal");
        }
        is_up.store(true, Ordering::Relaxed);
        clock.advance(2 * SECOND);
        assert_eq!(buffer.clone().oneshot(()).await.unwrap(), "served");
        assert_eq!(breaker.state(), State::Closed, "outage {outage}");
        is_up.store(false, Ordering::Relaxed);
    }
}

/// The control to it: with an error of readiness, the buffer would be dead.
#[tokio::test]
async fn an_error_of_readiness_ends_a_buffer() {
    struct Unready(Arc<AtomicBool>);
    impl Service<()> for Unready {
        type Response = ();
        type Error = BoxError;
        type Future = std::future::Ready<Result<(), BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(match self.0.load(Ordering::Relaxed) {
                true => Ok(()),
                false => Err("open".into()),
            })
        }
        fn call(&mut self, (): ()) -> Self::Future {
            ready(Ok(()))
        }
    }
    let is_up = Arc::new(AtomicBool::new(false));
    let buffer = Buffer::new(Unready(Arc::clone(&is_up)), 8);
    assert!(buffer.clone().oneshot(()).await.is_err());
    is_up.store(true, Ordering::Relaxed);
    assert!(buffer.clone().oneshot(()).await.is_err());
}
