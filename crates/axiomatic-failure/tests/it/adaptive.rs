//! The breaker without a door.

use std::time::Duration;

use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Mode, Outcome, Ratio};
use axiomatic_failure::circuit_breaker::{
    Adaptive, CircuitBreaker, Config, ConfigError, State, TripWhen, UpdateError, Window,
};

const SECOND: Duration = Duration::from_secs(1);

fn config(clock: &ManualClock) -> Config {
    Config::new(Window::last(10 * SECOND))
        .named("search")
        .trip_when(TripWhen::failure_rate(Ratio::percent(90), 20))
        .clock(Clock::Manual(clock.clone()))
}

/// A hundred calls a second, of which every `nth` fails if it is made; what
/// share was refused in the last second.
fn load(breaker: &CircuitBreaker, clock: &ManualClock, seconds: u32, nth: u32) -> u32 {
    let mut refused = 0;
    for _ in 0..seconds {
        refused = 0;
        let mut made = 0;
        for _ in 0..100 {
            clock.advance(SECOND / 100);
            match breaker.admit(clock.now()) {
                Err(_) => refused += 1,
                Ok(permit) => {
                    made += 1;
                    let fails = nth > 0 && made % nth == 0;
                    let outcome = [Outcome::Success, Outcome::Transient][usize::from(fails)];
                    permit.record(clock.now(), outcome);
                }
            }
        }
    }
    refused
}

#[test]
fn it_refuses_a_share_and_never_opens() {
    let clock = ManualClock::new();
    let adaptive = Adaptive::steering(Ratio::percent(1));
    let breaker = config(&clock).adaptive(adaptive).build().unwrap();
    assert_eq!(load(&breaker, &clock, 10, 0), 0);
    // A fifth of what passes fails: 19 % too many, so 19 / 81 are refused.
    let refused = load(&breaker, &clock, 60, 5);
    assert!((20..=27).contains(&refused), "{refused}");
    assert_eq!(breaker.state(), State::Thinning);
    // All of it fails: all that may be is refused, and it is still no door.
    assert_eq!(load(&breaker, &clock, 60, 1), 95);
    assert_eq!(breaker.state(), State::Thinning);
    assert_eq!(breaker.snapshot().admitting(), Ratio::percent(5));
    // It works again: within the window and some steps nothing is refused.
    assert_eq!(load(&breaker, &clock, 40, 0), 0);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn the_throttle_sends_twice_what_is_accepted() {
    let clock = ManualClock::new();
    let adaptive = Adaptive::accepting(Ratio::percent(200));
    let breaker = config(&clock).adaptive(adaptive).build().unwrap();
    // Three of four fail: K = 2 lets half through, of which a quarter works.
    // Then the accepts are an eighth, and so on: it settles at the most.
    assert_eq!(load(&breaker, &clock, 120, 1), 95);
    assert_eq!(load(&breaker, &clock, 60, 3), 0, "two thirds work");
}

#[test]
fn dual_thins_out_while_a_part_fails_and_opens_when_all_does() {
    let clock = ManualClock::new();
    let adaptive = Adaptive::steering(Ratio::percent(1));
    let breaker = config(&clock).dual(adaptive).build().unwrap();
    load(&breaker, &clock, 30, 5);
    assert_eq!(breaker.state(), State::Thinning);
    load(&breaker, &clock, 30, 1);
    let state = breaker.state();
    assert!(matches!(state, State::Open | State::HalfOpen), "{state}");
}

#[test]
fn its_adaptive_part_can_be_watched_before_it_is_trusted() {
    let clock = ManualClock::new();
    let adaptive = Adaptive::steering(Ratio::percent(1));
    let breaker = config(&clock).dual(adaptive).build().unwrap();
    breaker.set_adaptive_mode(Mode::Shadow);
    assert_eq!(load(&breaker, &clock, 30, 5), 0, "nothing is refused");
    assert_eq!(breaker.state(), State::Thinning);
    assert!(breaker.snapshot().would_refuse() > 100);
    breaker.set_adaptive_mode(Mode::Enforce);
    assert!(load(&breaker, &clock, 30, 5) > 10);
    breaker.set_adaptive_mode(Mode::Off);
    // Also before its next step: what it would refuse is nobody's business.
    let would_refuse = breaker.snapshot().would_refuse();
    let passed = (0..20).filter(|_| breaker.admit(clock.now()).is_ok());
    assert_eq!(passed.count(), 20);
    assert_eq!(breaker.snapshot().would_refuse(), would_refuse);
    assert_eq!(load(&breaker, &clock, 3, 5), 0);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_adaptive_breaker_that_cannot_work_is_refused() {
    let build = |config: Config| config.build().err();
    let adaptive = Adaptive::steering(Ratio::percent(1));
    for wrong in [
        Adaptive::accepting(Ratio::percent(99)),
        Adaptive::steering(Ratio::ONE),
        adaptive.gain(Ratio::ZERO),
        adaptive.gain(Ratio::percent(101)),
        adaptive.at_most(Ratio::ONE),
        adaptive.at_most(Ratio::ZERO),
        adaptive.every(Duration::ZERO),
    ] {
        let error = build(Config::default().adaptive(wrong));
        assert_eq!(error, Some(ConfigError::Adaptive), "{wrong:?}");
    }
    let calls = Config::new(Window::calls(100)).adaptive(adaptive);
    assert_eq!(build(calls), Some(ConfigError::Adaptive));
}

#[test]
fn whether_it_is_adaptive_is_decided_at_construction() {
    let adaptive = Adaptive::steering(Ratio::percent(1));
    let classic = Config::default().build().unwrap();
    let error = classic.update(&Config::default().adaptive(adaptive));
    assert_eq!(error, Err(UpdateError::AdaptiveIsFixed));
    let breaker = Config::default().adaptive(adaptive).build().unwrap();
    let other = Adaptive::accepting(Ratio::percent(150));
    assert_eq!(breaker.update(&Config::default().dual(other)), Ok(()));
}
