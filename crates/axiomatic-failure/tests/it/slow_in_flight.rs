//! Calls that are slow while they are under way.

use std::time::Duration;

use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Context, Outcome, Ratio};
use axiomatic_failure::circuit_breaker::{Config, OwnedPermit, State, TripWhen, Window};

use crate::circuit_breaker::call;

const MILLI: Duration = Duration::from_millis(1);

/// Slow from 200 ms on; trips when half of at least 10 calls is.
fn config(clock: &ManualClock) -> Config {
    Config::new(Window::last(Duration::from_secs(2)))
        .trip_when(TripWhen::slow_rate(Ratio::percent(50), 10))
        .slow_after(200 * MILLI)
        .clock(Clock::Manual(clock.clone()))
}

/// A call is made every 10 ms and none comes back: when does it open?
fn opens_after(config: Config, clock: &ManualClock) -> Option<Duration> {
    let breaker = config.build().unwrap();
    let begun = clock.now();
    let mut hanging: Vec<OwnedPermit> = Vec::new();
    for _ in 0..500 {
        clock.advance(10 * MILLI);
        match breaker.admit_owned(clock.now()) {
            Ok(permit) => hanging.push(permit),
            Err(_) => return Some(clock.now() - begun),
        }
    }
    None
}

#[test]
fn a_dependency_that_hangs_trips_at_the_threshold() {
    let clock = ManualClock::new();
    let opened = opens_after(config(&clock).slow_in_flight(), &clock);
    // Ten calls are due 300 ms after the beginning, and seen a step later.
    let opened = opened.expect("it opens");
    assert!(opened >= 300 * MILLI && opened <= 350 * MILLI, "{opened:?}");
    // Without, nobody learns of it.
    assert_eq!(opens_after(config(&clock), &clock), None);
}

#[test]
fn a_call_has_the_threshold_of_its_context() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    let report = Context::default().with_slow_after(1_500 * MILLI);
    let hanging: Vec<_> = (0..20)
        .map(|_| breaker.admit_owned_for(&report, clock.now()).unwrap())
        .collect();
    clock.advance(1_400 * MILLI);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.snapshot().counts().slow(), 0);
    clock.advance(200 * MILLI);
    assert!(breaker.admit(clock.now()).is_err(), "now they are slow");
    drop(hanging);
}

#[test]
fn a_slow_call_is_counted_once_and_its_failure_still_counts() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    let slow = [(); 3].map(|()| breaker.admit_owned(clock.now()).unwrap());
    clock.advance(300 * MILLI);
    assert_eq!(breaker.snapshot().counts().slow(), 3);
    let outcomes = [Outcome::Success, Outcome::Transient, Outcome::Transient];
    for (permit, outcome) in slow.into_iter().zip(outcomes) {
        permit.record(clock.now(), outcome);
    }
    let counts = breaker.snapshot().counts();
    assert_eq!((counts.total(), counts.slow(), counts.failed()), (3, 3, 2));
    assert_eq!(counts.failed_or_slow(), 3);
}

#[test]
fn a_failure_counts_even_after_its_slowness_was_forgotten() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    let hung = breaker.admit_owned(clock.now()).unwrap();
    for _ in 0..100 {
        clock.advance(100 * MILLI);
        call(&breaker, Outcome::Success);
    }
    let before = breaker.snapshot().counts();
    assert_eq!((before.slow(), before.failed()), (0, 0));
    hung.record(clock.now(), Outcome::Transient);
    assert_eq!(breaker.snapshot().counts().failed(), 1);
}

#[test]
fn a_call_in_time_leaves_no_trace_of_being_watched() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    for outcome in [Outcome::Success, Outcome::Transient, Outcome::Ignored] {
        let permit = breaker.admit(clock.now()).unwrap();
        clock.advance(150 * MILLI);
        permit.record(clock.now(), outcome);
    }
    drop(breaker.admit(clock.now()).unwrap());
    breaker.admit(clock.now()).unwrap().cancelled(clock.now());
    clock.advance(500 * MILLI);
    let counts = breaker.snapshot().counts();
    assert_eq!((counts.total(), counts.failed(), counts.slow()), (2, 1, 0));
}

/// A caller gives up: the call stays what it was, slow.
#[test]
fn a_call_that_is_dropped_after_it_was_slow_stays_slow() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    let (dropped, cancelled) = (
        breaker.admit_owned(clock.now()).unwrap(),
        breaker.admit_owned(clock.now()).unwrap(),
    );
    clock.advance(300 * MILLI);
    call(&breaker, Outcome::Success); // Time is seen to pass.
    drop(dropped);
    cancelled.cancelled(clock.now());
    assert_eq!(breaker.snapshot().counts().slow(), 2);
}

#[test]
fn what_is_due_beyond_the_window_is_judged_when_it_ends() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    let batch = Context::default().with_slow_after(Duration::from_secs(60));
    let batch = breaker.admit_owned_for(&batch, clock.now()).unwrap();
    clock.advance(Duration::from_secs(61));
    assert_eq!(breaker.snapshot().counts().slow(), 0);
    batch.record(clock.now(), Outcome::Success);
    assert_eq!(breaker.snapshot().counts().slow(), 1);
}

#[test]
fn a_threshold_that_the_window_cannot_see_is_refused() {
    use axiomatic_failure::circuit_breaker::ConfigError::SlowInFlight;
    let clock = ManualClock::new();
    let long = config(&clock).slow_after(Duration::from_secs(3));
    assert_eq!(long.slow_in_flight().build().unwrap_err(), SlowInFlight);
    let calls = Config::new(Window::calls(100)).slow_after(MILLI);
    assert_eq!(calls.slow_in_flight().build().unwrap_err(), SlowInFlight);
    // Steps of two minutes would hold more calls than they can count.
    let coarse = Config::new(Window::last(Duration::from_secs(1_200)).in_buckets(100));
    let coarse = coarse.slow_after(Duration::from_secs(480));
    assert_eq!(coarse.slow_in_flight().build().unwrap_err(), SlowInFlight);
    let none = Config::default().slow_in_flight();
    assert_eq!(none.build().unwrap_err(), SlowInFlight);
}

#[test]
fn a_probe_that_is_slow_fails_at_once() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    let hang = || breaker.admit_owned(clock.now());
    let hung: Vec<_> = (0..10).map(|_| hang().unwrap()).collect();
    clock.advance(Duration::from_secs(1));
    assert!(hang().is_err());
    clock.advance(Duration::from_secs(1));
    let probe = hang().unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    clock.advance(250 * MILLI);
    assert!(hang().is_err(), "slow, and so bad");
    assert_eq!(breaker.state(), State::Open);
    drop((hung, probe));
}

/// Somebody reads the clock, and is delayed before asking.
#[test]
fn a_call_that_begins_with_an_old_time_is_not_slow_at_once() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    let before = clock.now();
    clock.advance(300 * MILLI);
    call(&breaker, Outcome::Success);
    let late: Vec<_> = (0..40)
        .map(|_| breaker.admit_owned(before).unwrap())
        .collect();
    assert_eq!(breaker.snapshot().counts().slow(), 0);
    call(&breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::Closed);
    drop(late);
}

#[test]
fn a_promise_survives_calls_that_are_given_up() {
    let clock = ManualClock::new();
    let failures = TripWhen::failure_rate(Ratio::percent(50), 10);
    let config = config(&clock).trip_when(failures).slow_in_flight();
    let breaker = config.build().unwrap();
    let patient = Context::default().with_slow_after(Duration::from_secs(1));
    let failing: Vec<_> = (0..30)
        .map(|_| breaker.admit_owned_for(&patient, clock.now()).unwrap())
        .collect();
    let hung: Vec<_> = (0..100)
        .map(|_| breaker.admit_owned(clock.now()).unwrap())
        .collect();
    clock.advance(300 * MILLI);
    let mut failing = failing.into_iter();
    let first = failing.next().unwrap();
    first.record(clock.now(), Outcome::Transient);
    drop(hung);
    for permit in failing {
        permit.record(clock.now(), Outcome::Transient);
    }
    let counts = breaker.snapshot().counts();
    let is_reached = counts.failed() * 2 >= counts.total();
    assert_eq!(breaker.state() == State::Open, is_reached, "{counts}");
}

/// Threads hand permits to each other: whoever ends a call finds its word.
#[test]
fn a_call_may_end_on_another_thread() {
    let clock = ManualClock::new();
    let breaker = config(&clock).slow_in_flight().build().unwrap();
    let permits: Vec<_> = (0..100)
        .map(|_| breaker.admit_owned(clock.now()).unwrap())
        .collect();
    let now = clock.now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for permit in permits {
                permit.record(now, Outcome::Success);
            }
        });
    });
    clock.advance(500 * MILLI);
    let counts = breaker.snapshot().counts();
    assert_eq!((counts.total(), counts.slow()), (100, 0));
    assert_eq!(breaker.state(), State::Closed);
}
