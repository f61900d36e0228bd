//! Models of the shipped breaker, explored by loom: `cargo xtask loom`.
//!
//! Each is named for the invariant that it holds. Time is an argument, so a
//! model chooses it; the window is one of a few calls. It is one file, since
//! a model is understood beside the others.
#![cfg(axiomatic_loom)]

use std::time::Duration;

use axiomatic_core::Outcome;
use axiomatic_core::Ratio;
use axiomatic_core::models::{bounded_model, long_model, model};
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_failure::circuit_breaker::{
    Adaptive, CircuitBreaker, Config, HalfOpen, OpenFor, Ramp, State, TripWhen, Window,
};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> Instant {
    ManualClock::new().now()
}

fn config() -> Config {
    config_over(Window::calls(4))
}

fn config_over(window: Window) -> Config {
    Config::new(window)
        .trip_when(TripWhen::consecutive_failures(1))
        .open_for(OpenFor::fixed(SECOND))
        .half_open(HalfOpen::successes(1).lease(5 * SECOND))
        .clock(Clock::Manual(ManualClock::new()))
        .seed(0)
}

/// A breaker that has just tripped; due for its first probe at `due()`.
fn opened(config: Config) -> Arc<CircuitBreaker> {
    let breaker = config.build().unwrap();
    let permit = breaker.admit(start()).unwrap();
    permit.record(start(), Outcome::Transient);
    assert_eq!(breaker.state(), State::Open);
    Arc::new(breaker)
}

fn due() -> Instant {
    start() + 2 * SECOND
}

#[test]
fn exactly_one_caller_becomes_the_first_probe() {
    model(|| {
        let breaker = opened(config());
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || other.admit_owned(due()).ok());
        let mine = breaker.admit_owned(due()).ok();
        let theirs = thread.join().unwrap();
        assert!(mine.is_some() != theirs.is_some(), "one place, one probe");
        assert_eq!(breaker.snapshot().probes(), 1);
    });
}

#[test]
fn never_more_probes_than_slots() {
    bounded_model(|| {
        let half_open = HalfOpen::successes(9).concurrent(2);
        let breaker = opened(config().half_open(half_open));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let breaker = Arc::clone(&breaker);
                thread::spawn(move || breaker.admit_owned(due()).ok())
            })
            .collect();
        let mut permits = vec![breaker.admit_owned(due()).ok()];
        permits.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        assert_eq!(permits.into_iter().flatten().count(), 2);
    });
}

#[test]
fn never_more_probes_than_slots_while_they_come_and_go() {
    model(|| {
        let breaker = opened(config());
        let inside = Arc::new(AtomicU32::new(0));
        let probe = |breaker: &CircuitBreaker, inside: &AtomicU32| {
            if let Ok(permit) = breaker.admit(due()) {
                assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                inside.fetch_sub(1, Ordering::Relaxed);
                drop(permit);
            }
        };
        let (other, others_inside) = (Arc::clone(&breaker), Arc::clone(&inside));
        let thread = thread::spawn(move || probe(&other, &others_inside));
        probe(&breaker, &inside);
        thread.join().unwrap();
        assert_eq!(breaker.snapshot().probes(), 0);
    });
}

#[test]
fn a_stale_result_never_moves_a_newer_state() {
    bounded_model(|| {
        let breaker = config().build().unwrap();
        let stale = breaker.admit_owned(start()).unwrap();
        let breaker = Arc::new(breaker);
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || {
            // Trips, probes, closes: three generations on.
            if let Ok(call) = other.admit(start()) {
                call.record(start(), Outcome::Transient);
            }
            let probe = other.admit(due()).unwrap();
            probe.record(due(), Outcome::Success);
        });
        stale.record(start(), Outcome::Transient);
        thread.join().unwrap();
        // Whichever failure tripped it, the other one reached nothing of the
        // state that the probe made.
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.snapshot().counts().failed(), 0);
        assert!(breaker.snapshot().late() <= 1);
    });
}

#[test]
fn every_permit_resolves_once() {
    model(|| {
        let half_open = HalfOpen::successes(2).concurrent(2).allowing_failures(2);
        let breaker = opened(config().half_open(half_open));
        let one = breaker.admit_owned(due()).unwrap();
        let two = breaker.admit_owned(due()).unwrap();
        let thread = thread::spawn(move || one.record(due(), Outcome::Success));
        two.record(due(), Outcome::Success);
        thread.join().unwrap();
        // Both counted, none twice: exactly enough to close.
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.snapshot().late(), 0);
    });
}

#[test]
fn no_transition_is_lost() {
    model(|| {
        let half_open = HalfOpen::successes(1).concurrent(2);
        let breaker = opened(config().half_open(half_open));
        let good = breaker.admit_owned(due()).unwrap();
        let bad = breaker.admit_owned(due()).unwrap();
        let thread = thread::spawn(move || good.record(due(), Outcome::Success));
        bad.record(due(), Outcome::Transient);
        thread.join().unwrap();
        // The first verdict decides, the second is late.
        assert_ne!(breaker.state(), State::HalfOpen);
        assert_eq!(breaker.snapshot().late(), 1);
    });
}

#[test]
fn a_dropped_permit_returns_its_slot() {
    model(|| {
        let breaker = opened(config());
        let probe = breaker.admit_owned(due()).unwrap();
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || {
            // May find the place still taken, or free.
            drop(other.admit(due()));
        });
        drop(probe);
        thread.join().unwrap();
        assert_eq!(breaker.state(), State::HalfOpen);
        assert!(breaker.admit(due()).is_ok(), "the place is free again");
    });
}

#[test]
fn a_slot_given_back_is_found_by_the_next_probe() {
    model(|| {
        let breaker = opened(config());
        let probe = breaker.admit_owned(due()).unwrap();
        let other = Arc::clone(&breaker);
        // Whoever gets the place has a lease, so it cannot wedge.
        let thread = thread::spawn(move || other.admit_owned(due()).ok());
        drop(probe);
        if let Some(next) = thread.join().unwrap() {
            assert!(breaker.admit(due() + 9 * SECOND).is_err());
            assert_eq!(breaker.state(), State::Open, "its lease ran out");
            drop(next);
        }
    });
}

#[test]
fn a_lease_that_runs_out_races_with_its_verdict() {
    model(|| {
        let breaker = opened(config());
        let probe = breaker.admit_owned(due()).unwrap();
        let other = Arc::clone(&breaker);
        let late = due() + 9 * SECOND;
        let thread = thread::spawn(move || other.admit(late).is_ok());
        probe.record(late, Outcome::Success);
        let admitted = thread.join().unwrap();
        match breaker.state() {
            State::Closed => assert_eq!(breaker.snapshot().late(), 0),
            State::Open => {
                assert!(!admitted);
                assert_eq!(breaker.snapshot().late(), 1);
            }
            state => panic!("{state}"),
        }
    });
}

#[test]
fn a_lease_given_back_never_runs_out() {
    model(|| {
        let breaker = opened(config());
        let probe = breaker.admit_owned(due()).unwrap();
        let other = Arc::clone(&breaker);
        let late = due() + 9 * SECOND;
        let thread = thread::spawn(move || drop(other.admit(late)));
        drop(probe);
        thread.join().unwrap();
        let snapshot = breaker.snapshot();
        match snapshot.state() {
            // The place was given back first: there is nothing to run out.
            State::HalfOpen => assert_eq!(snapshot.late(), 0),
            // The lease ran out first: what is given back comes late.
            State::Open => assert_eq!(snapshot.late(), 1),
            state => panic!("{state}"),
        }
    });
}

#[test]
fn a_claim_that_comes_late_takes_nobodys_lease() {
    bounded_model(|| {
        let breaker = opened(config());
        let other = Arc::clone(&breaker);
        // A probe that hangs, slow to claim its lease.
        let thread = thread::spawn(move || std::mem::forget(other.admit(due())));
        // Meanwhile an operator begins anew, it trips, and probes again.
        breaker.reset();
        if let Ok(permit) = breaker.admit(due()) {
            permit.record(due(), Outcome::Transient);
        }
        std::mem::forget(breaker.admit(due() + 4 * SECOND));
        thread.join().unwrap();
        // All leases ran out: the first caller finds out, the next probes.
        let _ = breaker.admit(due() + 104 * SECOND);
        assert!(breaker.admit(due() + 204 * SECOND).is_ok(), "wedged");
    });
}

/// Slow from a second on, seen in flight; one slow call trips. The window has
/// as few steps as can be: a thread's first call clears a ring of them.
fn seen_in_flight() -> Config {
    config_over(Window::last(2 * SECOND))
        .trip_when(TripWhen::slow_rate(Ratio::percent(50), 1))
        .slow_after(SECOND)
        .slow_in_flight()
}

#[test]
fn a_call_that_hangs_trips_whoever_asks_next() {
    long_model(|| {
        let breaker = Arc::new(seen_in_flight().build().unwrap());
        let hung = breaker.admit_owned(start()).unwrap();
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || drop(other.admit(due())));
        // Who asks while another finds out may still pass, and nobody after.
        drop(breaker.admit(due()));
        thread.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
        assert!(breaker.admit(due()).is_err());
        drop(hung);
    });
}

#[test]
fn a_call_that_ends_while_it_is_looked_at_is_fine_or_slow_and_not_both() {
    long_model(|| {
        let rules = TripWhen::slow_rate(Ratio::ONE, 9);
        let breaker = Arc::new(seen_in_flight().trip_when(rules).build().unwrap());
        let ended = breaker.admit_owned(start()).unwrap();
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || drop(other.admit(due())));
        // In time by this thread's clock.
        ended.record(start(), Outcome::Success);
        thread.join().unwrap();
        let counts = breaker.snapshot().counts();
        assert_eq!((counts.total(), counts.slow()), (1, 0));
    });
}

fn ramping(config: Config) -> Arc<CircuitBreaker> {
    let breaker = opened(config.ramp(Ramp::over(8 * SECOND)));
    let probe = breaker.admit(due()).unwrap();
    probe.record(due(), Outcome::Success);
    assert_eq!(breaker.state(), State::Ramping);
    breaker
}

#[test]
fn a_share_is_exact_whoever_takes_turns() {
    model(|| {
        let breaker = ramping(config());
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || other.admit_owned(due()).ok());
        let mine = breaker.admit_owned(due()).ok();
        let theirs = thread.join().unwrap();
        assert!(mine.is_some() != theirs.is_some(), "one in twenty");
    });
}

#[test]
fn a_stage_ends_once() {
    bounded_model(|| {
        let breaker = ramping(config());
        let permit = breaker.admit(due()).unwrap();
        permit.record(due(), Outcome::Success);
        let later = due() + 3 * SECOND;
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || drop(other.admit(later)));
        drop(breaker.admit(later));
        thread.join().unwrap();
        assert_eq!(breaker.snapshot().admitting(), Ratio::percent(10));
    });
}

#[test]
fn steering_never_undoes_a_trip() {
    bounded_model(|| {
        let adaptive = Adaptive::steering(Ratio::percent(1)).sample(1);
        let breaker = config_over(Window::last(10 * SECOND).in_buckets(1))
            .trip_when(TripWhen::consecutive_failures(2))
            .dual(adaptive);
        let breaker = Arc::new(breaker.build().unwrap());
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || fail(&other));
        fail(&breaker);
        thread.join().unwrap();
        // Both failed, unless the first made the second wait for its turn.
        match breaker.state() {
            State::Open => {}
            State::Thinning => assert_eq!(breaker.snapshot().counts().failed(), 1),
            state => panic!("{state}"),
        }
    });
}

#[test]
fn an_update_is_not_judged_by_the_rules_before_it() {
    bounded_model(|| {
        let rules = |sample| config().trip_when(TripWhen::failure_rate(Ratio::ONE, sample));
        let breaker = Arc::new(rules(4).build().unwrap());
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || other.update(&rules(2)).unwrap());
        fail(&breaker);
        thread.join().unwrap();
        fail(&breaker);
        assert_eq!(breaker.state(), State::Open);
    });
}

#[test]
fn a_streak_counts_every_failure() {
    model(|| {
        let breaker = config()
            .trip_when(TripWhen::consecutive_failures(2))
            .build()
            .unwrap();
        let breaker = Arc::new(breaker);
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || {
            let permit = other.admit(start()).unwrap();
            permit.record(start(), Outcome::Transient);
        });
        let permit = breaker.admit_owned(start()).unwrap();
        permit.record(start(), Outcome::Transient);
        thread.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
    });
}

fn fail(breaker: &CircuitBreaker) {
    if let Ok(permit) = breaker.admit(start()) {
        permit.record(start(), Outcome::Transient);
    }
}

/// `before` failures, two at the same time, `after` more: all that it takes.
/// Each kind of window: one line for all, and a ring for each thread.
fn reaches_a_rate(before: u32, after: u32) {
    for window in [Window::calls(4), Window::last(10 * SECOND).in_buckets(1)] {
        bounded_model(move || {
            let sample = before + 2 + after;
            let config = config_over(window).trip_when(TripWhen::failure_rate(Ratio::ONE, sample));
            let breaker = Arc::new(config.build().unwrap());
            (0..before).for_each(|_| fail(&breaker));
            let other = Arc::clone(&breaker);
            let thread = thread::spawn(move || fail(&other));
            fail(&breaker);
            thread.join().unwrap();
            (0..after).for_each(|_| fail(&breaker));
            assert_eq!(breaker.state(), State::Open);
        });
    }
}

#[test]
fn a_rate_that_is_reached_trips_whoever_comes_last() {
    reaches_a_rate(0, 0);
}

#[test]
fn a_promise_to_wait_is_never_too_long() {
    reaches_a_rate(0, 1);
}

#[test]
fn a_promise_that_ends_is_seen_with_its_records() {
    reaches_a_rate(1, 0);
}

#[test]
fn an_operator_is_never_overruled() {
    model(|| {
        let breaker = opened(config());
        let probe = breaker.admit_owned(due()).unwrap();
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || other.force_open());
        probe.record(due(), Outcome::Success);
        thread.join().unwrap();
        assert_eq!(breaker.state(), State::ForcedOpen);
    });
}
