//! The way back: a share of the calls, stage by stage.

use std::time::Duration;

use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Outcome, Ratio, Reason};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, Config, ConfigError, HalfOpen, OpenFor, OwnedPermit, Ramp, State, TripWhen,
    Window,
};

use crate::circuit_breaker::call;

const SECOND: Duration = Duration::from_secs(1);

fn config(clock: &ManualClock) -> Config {
    without_ramp(clock).ramp(Ramp::over(8 * SECOND))
}

fn without_ramp(clock: &ManualClock) -> Config {
    Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::consecutive_failures(2))
        .open_for(OpenFor::fixed(SECOND))
        .half_open(HalfOpen::successes(1))
        .clock(Clock::Manual(clock.clone()))
}

/// A breaker that was open and whose probe was good.
fn ramping(clock: &ManualClock, config: Config) -> CircuitBreaker {
    let breaker = config.build().unwrap();
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    clock.advance(2 * SECOND);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Ramping);
    breaker
}

/// How many of 1,000 calls pass, and work.
fn passes(breaker: &CircuitBreaker) -> usize {
    let now = breaker.now();
    (0..1_000)
        .filter_map(|_| breaker.admit(now).ok())
        .map(|permit| permit.record(now, Outcome::Success))
        .count()
}

#[test]
fn a_ramp_admits_its_shares_exactly() {
    let clock = ManualClock::new();
    let breaker = ramping(&clock, config(&clock));
    let mut shares = Vec::new();
    for _ in 0..5 {
        shares.push(passes(&breaker));
        clock.advance(2 * SECOND + Duration::from_millis(5));
    }
    assert_eq!(shares, [50, 100, 250, 500, 1_000]);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_refused_call_is_told_when_the_stage_ends() {
    let clock = ManualClock::new();
    let breaker = ramping(&clock, config(&clock));
    drop(breaker.admit(clock.now()).expect("the first always passes"));
    clock.advance(SECOND / 2);
    let rejected = breaker.admit(clock.now()).unwrap_err();
    assert_eq!(rejected.reason(), Reason::Open);
    let wait = rejected.retry_after().unwrap();
    assert!(wait > SECOND && wait <= 3 * SECOND / 2 + Duration::from_millis(5));
    let line = breaker.snapshot().to_string();
    assert!(line.contains("ramping") && line.contains("5 % of the calls pass"));
}

#[test]
fn a_stage_waits_for_a_call_that_works() {
    let clock = ManualClock::new();
    let breaker = ramping(&clock, config(&clock));
    drop(breaker.admit(clock.now()).unwrap());
    clock.advance(60 * SECOND);
    assert!(breaker.admit(clock.now()).is_err(), "still the first stage");
    assert_eq!(breaker.snapshot().admitting(), Ratio::percent(5));
}

#[test]
fn more_failures_than_the_guard_forgives_open_it_again() {
    let clock = ManualClock::new();
    // Two of the first twenty are forgiven.
    let breaker = ramping(&clock, config(&clock));
    for failures in 1..=3 {
        assert_eq!(breaker.state(), State::Ramping, "{failures}");
        let permit = (0..20).find_map(|_| breaker.admit(clock.now()).ok());
        permit.unwrap().record(clock.now(), Outcome::Transient);
    }
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().reopenings(), 2, "it was never stable");
}

#[test]
fn a_failure_counts_even_if_it_comes_a_stage_later() {
    let clock = ManualClock::new();
    let strict = Ramp::over(8 * SECOND).forgiving(Ratio::ZERO, 1);
    let breaker = ramping(&clock, config(&clock).ramp(strict));
    let earlier = breaker.admit_owned(clock.now()).unwrap();
    assert!(passes(&breaker) > 0);
    clock.advance(3 * SECOND);
    assert!(passes(&breaker) > 90);
    earlier.record(clock.now(), Outcome::Transient);
    assert_eq!(breaker.state(), State::Open);
}

/// Nine of ten calls take three seconds to fail, longer than a stage.
#[test]
fn timeouts_that_outlast_a_stage_are_not_overlooked() {
    let clock = ManualClock::new();
    let breaker = ramping(&clock, config(&clock));
    let mut under_way = std::collections::VecDeque::new();
    for call in 0..9_000_u64 {
        clock.advance(Duration::from_millis(1));
        let is_over = |(begun, _): &(u64, _)| begun + 3_000 <= call;
        while under_way.front().is_some_and(is_over) {
            let (_, permit): (u64, OwnedPermit) = under_way.pop_front().unwrap();
            permit.record(clock.now(), Outcome::Transient);
        }
        match breaker.admit_owned(clock.now()) {
            Ok(permit) if call % 10 == 0 => permit.record(clock.now(), Outcome::Success),
            Ok(permit) => under_way.push_back((call, permit)),
            Err(_) => {}
        }
        assert_ne!(breaker.state(), State::Closed);
    }
}

/// Calls are further apart than the window is long.
#[test]
fn a_quiet_service_gets_through_its_ramp() {
    let clock = ManualClock::new();
    let breaker = ramping(&clock, config(&clock));
    let mut calls = 0;
    while breaker.state() != State::Closed {
        clock.advance(12 * SECOND);
        calls += 1;
        assert!(calls <= 5, "{}", breaker.snapshot());
        if let Ok(permit) = breaker.admit(clock.now()) {
            permit.record(clock.now(), Outcome::Success);
        }
    }
}

#[test]
fn without_its_guard_a_ramp_opens_as_a_closed_breaker_does() {
    let clock = ManualClock::new();
    let breaker = ramping(&clock, config(&clock));
    breaker.update(&without_ramp(&clock)).unwrap();
    for _ in 0..2 {
        let permit = (0..20).find_map(|_| breaker.admit(clock.now()).ok());
        permit.unwrap().record(clock.now(), Outcome::Transient);
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_ramp_that_hangs_opens_at_the_slow_threshold() {
    let clock = ManualClock::new();
    let config = config(&clock)
        .slow_after(SECOND / 5)
        .slow_in_flight()
        .trip_when(TripWhen::slow_rate(Ratio::percent(50), 2));
    let breaker = config.build().unwrap();
    let hang = |calls: usize| {
        let permits = (0..calls).filter_map(|_| breaker.admit_owned(clock.now()).ok());
        permits.collect::<Vec<_>>()
    };
    let first = hang(5);
    clock.advance(SECOND);
    assert!(hang(1).is_empty(), "open");
    clock.advance(2 * SECOND);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Ramping);
    let second = hang(100);
    assert_eq!(second.len(), 5);
    clock.advance(SECOND / 2);
    assert!(hang(1).is_empty());
    assert_eq!(breaker.state(), State::Open);
    drop(first);
}

#[test]
fn a_ramp_can_be_switched_off_while_it_is_under_way() {
    let clock = ManualClock::new();
    let breaker = ramping(&clock, config(&clock));
    assert_eq!(passes(&breaker), 50);
    breaker.update(&without_ramp(&clock)).unwrap();
    call_until_one_passes(&breaker);
    assert_eq!(breaker.state(), State::Closed);
}

fn call_until_one_passes(breaker: &CircuitBreaker) {
    let permit = (0..20).find_map(|_| breaker.admit(breaker.now()).ok());
    permit.unwrap().record(breaker.now(), Outcome::Success);
}

#[test]
fn a_ramp_that_cannot_work_is_refused() {
    let build = |ramp| Config::default().ramp(ramp).build().err();
    assert_eq!(build(Ramp::over(Duration::ZERO)), Some(ConfigError::Ramp));
    assert_eq!(build(Ramp::over(Duration::MAX)), Some(ConfigError::Ramp));
    let all = Ramp::over(SECOND).forgiving(Ratio::ONE, 1);
    assert_eq!(build(all), Some(ConfigError::Rate(Ratio::ONE)));
    assert_eq!(build(Ramp::over(SECOND)), None);
}
