//! The mechanism, by hand and by a manual clock. It is one file because it is
//! one list: what the breaker promises, a test each.

use std::time::Duration;

use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Mode, Outcome, Pattern, Ratio, Reason};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, Config, ConfigError, HalfOpen, OpenFor, State, TripWhen, UpdateError, Window,
};

const SECOND: Duration = Duration::from_secs(1);

/// Opens after two failures in a row, for a second; closes after one good
/// probe; its clock is moved by hand.
pub(crate) fn config(clock: &ManualClock) -> Config {
    Config::new(Window::last(10 * SECOND))
        .named("payment")
        .trip_when(TripWhen::consecutive_failures(2))
        .open_for(OpenFor::fixed(SECOND))
        .half_open(HalfOpen::successes(1).lease(5 * SECOND))
        .clock(Clock::Manual(clock.clone()))
}

pub(crate) fn call(breaker: &CircuitBreaker, outcome: Outcome) {
    let permit = breaker.admit(breaker.now()).expect("admitted");
    permit.record(breaker.now(), outcome);
}

fn opened(clock: &ManualClock, config: Config) -> CircuitBreaker {
    let breaker = config.build().unwrap();
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(clock.now(), breaker.now());
    breaker
}

#[test]
fn rejects_while_open_and_says_until_when() {
    let clock = ManualClock::new();
    let breaker = opened(&clock, config(&clock));
    clock.advance(SECOND / 4);
    let rejected = breaker.admit(breaker.now()).unwrap_err();
    assert_eq!(rejected.reason(), Reason::Open);
    assert_eq!(rejected.pattern(), Pattern::CircuitBreaker);
    assert_eq!(rejected.name().as_str(), "payment");
    let wait = rejected.retry_after().unwrap();
    assert!(wait >= 3 * SECOND / 4 && wait < 3 * SECOND / 4 + Duration::from_millis(2));
    clock.advance(wait);
    assert!(breaker.admit(breaker.now()).is_ok(), "the wait is enough");
}

#[test]
fn old_successes_do_not_hide_a_new_outage() {
    // 100,000 successes, then failures: a window of 100 opens after 50.
    let clock = ManualClock::new();
    let by_calls = Config::new(Window::calls(100))
        .trip_when(TripWhen::failure_rate(Ratio::percent(50), 100))
        .build()
        .unwrap();
    for _ in 0..100_000 {
        call(&by_calls, Outcome::Success);
    }
    let failures = (1..).find(|_| {
        call(&by_calls, Outcome::Transient);
        by_calls.state() == State::Open
    });
    assert_eq!(failures, Some(50));

    let by_time = config(&clock)
        .trip_when(TripWhen::failure_rate(Ratio::percent(50), 100))
        .build()
        .unwrap();
    for _ in 0..100_000 {
        call(&by_time, Outcome::Success);
    }
    clock.advance(10 * SECOND);
    let failures = (1..).find(|_| {
        call(&by_time, Outcome::Transient);
        by_time.state() == State::Open
    });
    assert_eq!(failures, Some(100), "the sample, and nothing of before");
}

#[test]
fn a_success_never_trips_even_if_it_completes_the_sample() {
    let breaker = Config::new(Window::calls(10))
        .trip_when(TripWhen::failure_rate(Ratio::percent(40), 10))
        .build()
        .unwrap();
    (0..4).for_each(|_| call(&breaker, Outcome::Transient));
    (0..6).for_each(|_| call(&breaker, Outcome::Success));
    assert_eq!(breaker.state(), State::Closed);
    call(&breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_dropped_permit_returns_its_slot() {
    let clock = ManualClock::new();
    let breaker = opened(&clock, config(&clock));
    clock.advance(2 * SECOND);
    for _ in 0..10 {
        let probe = breaker.admit(breaker.now()).unwrap();
        assert!(breaker.admit(breaker.now()).is_err(), "one place");
        drop(probe);
    }
    assert_eq!(breaker.state(), State::HalfOpen, "and nothing is decided");
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_probe_that_hangs_fails_at_its_lease() {
    let clock = ManualClock::new();
    let breaker = opened(&clock, config(&clock));
    clock.advance(2 * SECOND);
    let hung = breaker.admit(breaker.now()).unwrap();
    clock.advance(6 * SECOND);
    assert!(breaker.admit(breaker.now()).is_err());
    assert_eq!(breaker.state(), State::Open, "decided by the next caller");
    clock.advance(2 * SECOND);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed, "it never wedges");
    hung.record(breaker.now(), Outcome::Transient);
    assert_eq!(breaker.snapshot().late(), 1);
}

#[test]
fn a_stale_result_decides_nothing() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    let early: Vec<_> = (0..4)
        .map(|_| breaker.admit(breaker.now()).unwrap())
        .collect();
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    clock.advance(2 * SECOND);
    let probe = breaker.admit(breaker.now()).unwrap();
    for permit in early {
        permit.record(breaker.now(), Outcome::Success);
    }
    assert_eq!(
        breaker.state(),
        State::HalfOpen,
        "stale successes close nothing"
    );
    probe.record(breaker.now(), Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().counts().total(), 0, "an empty window");
}

#[test]
fn no_more_probes_than_places_are_let_through() {
    let clock = ManualClock::new();
    let half_open = HalfOpen::successes(5).concurrent(3);
    let breaker = opened(&clock, config(&clock).half_open(half_open));
    clock.advance(2 * SECOND);
    let admitted: Vec<_> = (0..200)
        .filter_map(|_| breaker.admit(breaker.now()).ok())
        .collect();
    assert_eq!(admitted.len(), 3);
    assert_eq!(breaker.snapshot().probes(), 3);
}

#[test]
fn a_cancelled_call_counts_as_slow_once_it_was() {
    let clock = ManualClock::new();
    let breaker = config(&clock)
        .slow_after(SECOND)
        .trip_when(TripWhen::slow_rate(Ratio::percent(50), 2))
        .build()
        .unwrap();
    for (wait, slow) in [(SECOND / 2, 0), (SECOND, 1), (2 * SECOND, 2)] {
        let permit = breaker.admit(breaker.now()).unwrap();
        clock.advance(wait);
        permit.cancelled(breaker.now());
        let counted = breaker.snapshot().counts().slow();
        assert!(counted == slow || breaker.state() == State::Open);
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_throttling_server_sets_the_open_duration() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    let throttled = |seconds| Outcome::Throttled {
        retry_after: Some(seconds * SECOND),
    };
    call(&breaker, throttled(20));
    call(&breaker, throttled(20));
    let wait = breaker.admit(breaker.now()).unwrap_err().retry_after();
    assert!(wait.unwrap() >= 20 * SECOND);
    assert!(wait.unwrap() < 20 * SECOND + Duration::from_millis(2));
}

#[test]
fn reopening_takes_longer_until_it_was_stable() {
    let clock = ManualClock::new();
    let open_for = OpenFor::backoff(SECOND, 8 * SECOND).jittered(Ratio::ZERO);
    let breaker = opened(&clock, config(&clock).open_for(open_for));
    let wait = || {
        breaker
            .admit(breaker.now())
            .unwrap_err()
            .retry_after()
            .unwrap()
    };
    for seconds in [1, 2, 4, 8, 8] {
        assert_eq!(wait().as_secs(), seconds);
        clock.advance(wait());
        call(&breaker, Outcome::Transient);
    }
    clock.advance(wait());
    call(&breaker, Outcome::Success);
    clock.advance(9 * SECOND);
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    assert_eq!(wait().as_secs(), 1);
}

#[test]
fn shadow_counts_what_it_would_refuse_and_refuses_nothing() {
    let clock = ManualClock::new();
    let breaker = opened(&clock, config(&clock).mode(Mode::Shadow));
    for _ in 0..7 {
        call(&breaker, Outcome::Transient);
    }
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.would_refuse(), 7);
    assert_eq!(snapshot.counts().total(), 0, "nor are they recorded");
    breaker.set_mode(Mode::Enforce);
    assert!(breaker.admit(breaker.now()).is_err());
}

#[test]
fn off_lets_everything_pass_and_earlier_permits_settle() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    let early = breaker.admit(breaker.now()).unwrap();
    breaker.set_mode(Mode::Off);
    (0..5).for_each(|_| call(&breaker, Outcome::Transient));
    assert_eq!(breaker.state(), State::Closed);
    early.record(breaker.now(), Outcome::Transient);
    assert_eq!(breaker.snapshot().counts().failed(), 1);
}

#[test]
fn an_operator_can_hold_it_and_let_go() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    breaker.force_open();
    let rejected = breaker.admit(breaker.now()).unwrap_err();
    assert_eq!(rejected.retry_after(), None);
    breaker.force_closed();
    (0..9).for_each(|_| call(&breaker, Outcome::Transient));
    assert_eq!(breaker.state(), State::ForcedClosed);
    assert_eq!(breaker.snapshot().counts().failed(), 9);
    breaker.reset();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().counts().failed(), 0);
}

#[test]
fn any_monotonic_clock_will_do() {
    // Nanoseconds since 1970, from zero, and at the end of time.
    for start in [1_800_000_000_000_000_000, 0, u64::MAX - 100_000_000_000] {
        let clock = ManualClock::new();
        clock.set(Instant::from_nanos(start));
        let breaker = opened(&clock, config(&clock));
        assert!(breaker.admit(breaker.now()).is_err(), "{start}");
        clock.advance(2 * SECOND);
        call(&breaker, Outcome::Success);
        assert_eq!(breaker.state(), State::Closed, "{start}");
    }
    // And one that the breaker was not told of, as long as it is asked only
    // with instants of that clock.
    let breaker = Config::default()
        .trip_when(TripWhen::consecutive_failures(1))
        .open_for(OpenFor::fixed(SECOND))
        .half_open(HalfOpen::successes(1))
        .build()
        .unwrap();
    let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
    breaker
        .admit(at(5))
        .unwrap()
        .record(at(5), Outcome::Transient);
    assert!(breaker.admit(at(5)).is_err());
    breaker
        .admit(at(7))
        .unwrap()
        .record(at(7), Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_update_leaves_the_mode_alone() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    breaker.set_mode(Mode::Shadow);
    breaker.update(&config(&clock)).unwrap();
    assert_eq!(breaker.mode(), Mode::Shadow);
}

#[test]
fn an_update_keeps_state_and_window() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    call(&breaker, Outcome::Transient);
    let stricter = config(&clock).trip_when(TripWhen::failure_rate(Ratio::percent(100), 2));
    breaker.update(&stricter).unwrap();
    assert_eq!(breaker.snapshot().counts().failed(), 1);
    call(&breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::Open);
}

/// The version of the rules, which a promise to wait is made under, has 8
/// bits: after 256 updates it is the same again.
#[test]
fn a_promise_to_wait_survives_no_number_of_updates() {
    let rules = |sample| {
        Config::new(Window::calls(100))
            .trip_when(TripWhen::failure_rate(Ratio::percent(100), sample))
    };
    for updates in [1, 255, 256, 257] {
        let breaker = rules(100).build().unwrap();
        call(&breaker, Outcome::Transient);
        for _ in 0..updates {
            breaker.update(&rules(2)).unwrap();
        }
        call(&breaker, Outcome::Transient);
        assert_eq!(breaker.state(), State::Open, "{updates} updates");
    }
}

#[test]
fn an_update_of_what_is_fixed_is_refused_and_changes_nothing() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    let another_window = Config::new(Window::calls(10)).mode(Mode::Off);
    assert_eq!(
        breaker.update(&another_window),
        Err(UpdateError::WindowIsFixed)
    );
    let more_probes = config(&clock)
        .mode(Mode::Off)
        .half_open(HalfOpen::successes(1).concurrent(2));
    assert_eq!(
        breaker.update(&more_probes),
        Err(UpdateError::LeasesAreFixed { leases: 1 })
    );
    let invalid = config(&clock).open_for(OpenFor::fixed(Duration::ZERO));
    assert_eq!(
        breaker.update(&invalid),
        Err(UpdateError::Invalid(ConfigError::OpenFor))
    );
    assert_eq!(breaker.mode(), Mode::Enforce);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let half = Ratio::percent(50);
    let base = Config::default;
    let window = Config::new;
    let streak = TripWhen::consecutive_failures(1);
    let cases = [
        (window(Window::calls(0)), ConfigError::Window),
        (window(Window::last(Duration::ZERO)), ConfigError::Window),
        (
            window(Window::last(SECOND).in_buckets(0)),
            ConfigError::Window,
        ),
        (
            window(Window::calls(10)).trip_when(TripWhen::failure_rate(half, 11)),
            ConfigError::Sample(11),
        ),
        (
            base().trip_when(TripWhen::failure_rate(half, 0)),
            ConfigError::Sample(0),
        ),
        (
            base().trip_when(TripWhen::failure_rate(Ratio::ZERO, 5)),
            ConfigError::Rate(Ratio::ZERO),
        ),
        (
            base().trip_when(TripWhen::failure_rate(Ratio::percent(101), 5)),
            ConfigError::Rate(Ratio::percent(101)),
        ),
        (
            base().trip_when(TripWhen::consecutive_failures(0)),
            ConfigError::NoFailures,
        ),
        (
            base().trip_when(streak.or(streak).or(streak).or(streak).or(streak)),
            ConfigError::TooManyConditions,
        ),
        (
            base().trip_when(TripWhen::slow_rate(half, 5)),
            ConfigError::SlowWithoutThreshold,
        ),
        (
            base().open_for(OpenFor::backoff(2 * SECOND, SECOND)),
            ConfigError::OpenFor,
        ),
        (
            base().open_for(OpenFor::fixed(OpenFor::LONGEST + SECOND)),
            ConfigError::OpenFor,
        ),
        (
            base().half_open(HalfOpen::successes(0)),
            ConfigError::HalfOpen,
        ),
        (
            base().half_open(HalfOpen::success_rate(Ratio::percent(101), 10)),
            ConfigError::HalfOpen,
        ),
        (
            base().half_open(HalfOpen::successes(1).lease(Duration::ZERO)),
            ConfigError::HalfOpen,
        ),
    ];
    for (config, error) in cases {
        assert_eq!(config.clone().build().err(), Some(error), "{config:?}");
        assert!(!error.to_string().is_empty());
    }
    // `CircuitBreaker::default` relies on it.
    assert!(base().build().is_ok());
}

#[test]
fn a_success_rate_of_probes_decides_as_soon_as_it_is_certain() {
    let clock = ManualClock::new();
    let rate = HalfOpen::success_rate(Ratio::percent(60), 5);
    let breaker = opened(&clock, config(&clock).half_open(rate));
    clock.advance(2 * SECOND);
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::HalfOpen, "3 of 5 can still be good");
    (0..3).for_each(|_| call(&breaker, Outcome::Success));
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn time_that_runs_backwards_never_wedges_it() {
    let clock = ManualClock::new();
    let breaker = opened(&clock, config(&clock));
    clock.set(Instant::from_nanos(0));
    assert!(breaker.admit(breaker.now()).is_err());
    breaker.reset();
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    assert_eq!(breaker.state(), State::Open);
    clock.set(ManualClock::new().now() + 10 * SECOND);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_snapshot_prints_as_a_line() {
    let clock = ManualClock::new();
    let breaker = opened(&clock, config(&clock));
    clock.advance(SECOND / 2);
    let line = breaker.snapshot().to_string();
    assert_eq!(
        line,
        "circuit breaker payment: open since 499.5ms, 500.8ms to go; 0 calls, 0 failed, 0 slow"
    );
}

/// Four threads, real time, every kind of ending: afterwards no probe is
/// missing, and the breaker still recovers.
#[test]
fn it_recovers_from_any_mixture_of_threads() {
    let breaker = Config::new(Window::calls(16))
        .trip_when(TripWhen::failure_rate(Ratio::percent(50), 8))
        .open_for(OpenFor::fixed(Duration::from_micros(50)))
        .half_open(HalfOpen::successes(2).lease(Duration::from_millis(1)))
        .clock(Clock::Precise)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for seed in 0..4u64 {
            let breaker = &breaker;
            scope.spawn(move || {
                for step in 0..20_000u64 {
                    let dice = axiomatic_core::hash::mix(seed << 32 | step);
                    let now = breaker.now();
                    let Ok(permit) = breaker.admit(now) else {
                        continue;
                    };
                    match dice % 8 {
                        0..=3 => permit.record(breaker.now(), Outcome::Success),
                        4..=5 => permit.record(breaker.now(), Outcome::Transient),
                        6 => permit.cancelled(breaker.now()),
                        _ => drop(permit),
                    }
                }
            });
        }
    });
    assert_eq!(breaker.snapshot().probes(), 0, "every place came back");
    while breaker.state() != State::Closed {
        if let Ok(permit) = breaker.admit(breaker.now()) {
            permit.record(breaker.now(), Outcome::Success);
        }
    }
}
