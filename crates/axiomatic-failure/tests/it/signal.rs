//! A breaker as a signal of overload.

use std::time::Duration;

use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Mode, Outcome, Ratio};
use axiomatic_failure::circuit_breaker::{
    Adaptive, CircuitBreaker, Config, HalfOpen, OpenFor, Ramp, State, TripWhen, Window,
};

use crate::circuit_breaker::call;

const SECOND: Duration = Duration::from_secs(1);

/// Where shedding ends unless it is told otherwise.
const LEAVE: Pressure = Pressure::percent(80);

fn config(clock: &ManualClock) -> Config {
    Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::consecutive_failures(2))
        .open_for(OpenFor::fixed(4 * SECOND))
        .half_open(HalfOpen::successes(2))
        .clock(Clock::Manual(clock.clone()))
}

fn pressure(breaker: &CircuitBreaker) -> Pressure {
    breaker.pressure(breaker.now())
}

#[test]
fn an_open_breaker_is_full_pressure_until_its_time_is_over() {
    let clock = ManualClock::new();
    let breaker = config(&clock).named("payment").build().unwrap();
    assert_eq!(Signal::name(&breaker), "circuit breaker");
    assert_eq!(pressure(&breaker), Pressure::NONE);
    call(&breaker, Outcome::Transient);
    assert_eq!(pressure(&breaker), Pressure::NONE);
    call(&breaker, Outcome::Transient);
    assert_eq!(pressure(&breaker), Pressure::FULL);
    clock.advance(3 * SECOND);
    assert_eq!(pressure(&breaker), Pressure::FULL);
    clock.advance(2 * SECOND);
    // Nobody has called: it is still open, and waits for who does.
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(pressure(&breaker), Pressure::percent(50));
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(pressure(&breaker), Pressure::percent(50));
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(pressure(&breaker), Pressure::NONE);
}

/// Who sheds while it is full, and until it is below 80 %, never keeps the
/// probes away that would end it.
#[test]
fn who_sheds_by_it_lets_it_recover() {
    let clock = ManualClock::new();
    let ramp = Ramp::over(8 * SECOND);
    let breaker = config(&clock).ramp(ramp).build().unwrap();
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    let mut sheds = false;
    let mut shed = 0;
    for _ in 0..600 {
        let is = pressure(&breaker);
        sheds = is >= if sheds { LEAVE } else { Pressure::FULL };
        if sheds {
            shed += 1;
        } else if let Ok(permit) = breaker.admit(clock.now()) {
            permit.record(clock.now(), Outcome::Success);
        }
        clock.advance(SECOND / 20);
    }
    assert_eq!(breaker.state(), State::Closed);
    assert!((80..=82).contains(&shed), "{shed} in four seconds");
}

#[test]
fn a_ramp_is_half_at_most_and_falls_with_what_passes() {
    let clock = ManualClock::new();
    let ramp = Ramp::over(8 * SECOND);
    let breaker = config(&clock).ramp(ramp).build().unwrap();
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    clock.advance(5 * SECOND);
    call(&breaker, Outcome::Success);
    call(&breaker, Outcome::Success);
    let mut pressures = Vec::new();
    while breaker.state() != State::Closed {
        assert_eq!(breaker.state(), State::Ramping);
        pressures.push(pressure(&breaker).as_parts_per_million() / 10_000);
        let passed = (0..200).filter_map(|_| breaker.admit(clock.now()).ok());
        passed.for_each(|permit| permit.record(clock.now(), Outcome::Success));
        clock.advance(2 * SECOND + Duration::from_millis(5));
        drop(breaker.admit(clock.now()));
    }
    assert_eq!(pressures, [50, 50, 50, 50]);
    assert_eq!(pressure(&breaker), Pressure::NONE);
}

#[test]
fn what_is_thinned_out_is_its_share() {
    let clock = ManualClock::new();
    let adaptive = Adaptive::steering(Ratio::percent(1));
    let breaker = Config::new(Window::last(10 * SECOND))
        .clock(Clock::Manual(clock.clone()))
        .adaptive(adaptive)
        .build()
        .unwrap();
    let load = |seconds: u32, failing: u32| {
        for round in 0..seconds * 100 {
            clock.advance(SECOND / 100);
            if let Ok(permit) = breaker.admit(clock.now()) {
                let outcome = if failing > 0 && round % failing == 0 {
                    Outcome::Transient
                } else {
                    Outcome::Success
                };
                permit.record(clock.now(), outcome);
            }
        }
    };
    load(60, 5);
    assert_eq!(breaker.state(), State::Thinning);
    let refused =
        Ratio::ONE.as_parts_per_million() - breaker.snapshot().admitting().as_parts_per_million();
    assert!(refused > 0 && refused < 500_000, "{refused}");
    assert_eq!(pressure(&breaker), Pressure::parts_per_million(refused));
    load(60, 1);
    assert_eq!(breaker.snapshot().admitting(), Ratio::percent(5));
    assert_eq!(pressure(&breaker), Pressure::percent(50));
    breaker.set_adaptive_mode(Mode::Shadow);
    assert_eq!(pressure(&breaker), Pressure::NONE);
}

#[test]
fn an_operator_decides_and_who_refuses_nobody_presses_nobody() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    breaker.force_open();
    clock.advance(1_000 * SECOND);
    assert_eq!(pressure(&breaker), Pressure::FULL);
    breaker.force_closed();
    assert_eq!(pressure(&breaker), Pressure::NONE);
    breaker.force_open();
    for mode in [Mode::Shadow, Mode::Off] {
        breaker.set_mode(mode);
        assert_eq!(pressure(&breaker), Pressure::NONE, "{mode}");
    }
    breaker.set_mode(Mode::Enforce);
    assert_eq!(pressure(&breaker), Pressure::FULL);
}
