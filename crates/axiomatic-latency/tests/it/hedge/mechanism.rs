//! The mechanism alone: no tower, no runtime, the time an argument.

use std::error::Error;
use std::time::Duration;

use axiomatic_core::budget::{Class, Deposits, RetryBudget};
use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Outcome, Ratio, budget};
use axiomatic_latency::hedge::{Config, ConfigError, Delay, Hedge, UpdateError};

use super::backend::MILLI;

const BEGIN: Instant = Instant::from_nanos(50_000_000_000);

fn learning(delay: Delay) -> Hedge {
    Config::new(delay).build().unwrap()
}

/// Calls that are answered after so long.
fn answered(hedge: &Hedge, calls: u32, took: Duration) {
    for _ in 0..calls {
        let mut call = hedge.begin(BEGIN);
        call.record(call.began() + took, Outcome::Success);
    }
}

#[test]
fn it_hedges_nothing_before_it_has_seen_enough() {
    let hedge = learning(Delay::quantile(Ratio::percent(95)));
    let warm_up = LatencyHistogram::new(Ratio::percent(95), Duration::from_secs(10)).warm_up();
    answered(&hedge, warm_up as u32 - 1, 40 * MILLI);
    assert_eq!(hedge.begin(BEGIN).fires_at(), None);
    assert_eq!(hedge.delay(), None);
    assert!(hedge.snapshot().to_string().contains(": learning; "));
    answered(&hedge, 1, 40 * MILLI);
    assert!(hedge.begin(BEGIN).fires_at() > Some(BEGIN));
}

#[test]
fn a_delay_is_the_quantile_and_never_beyond_its_bounds() {
    let delays = [
        Delay::quantile(Ratio::percent(90)),
        Delay::adding_at_most(Ratio::percent(10)),
    ];
    for delay in delays {
        for (delay, from, to) in [
            (delay, 90, 102),
            (delay.between(MILLI, 60 * MILLI), 60, 60),
            (delay.between(200 * MILLI, 300 * MILLI), 200, 200),
        ] {
            let hedge = learning(delay);
            for call in 1..=100 {
                answered(&hedge, 1, call * 37 % 101 * MILLI);
            }
            answered_later(&hedge);
            let found = hedge.delay().unwrap();
            assert!((from * MILLI..=to * MILLI).contains(&found), "{found:?}");
            assert_eq!(hedge.begin(BEGIN).fires_at(), Some(BEGIN + found));
        }
    }
}

// tower-0.5.3 counts in milliseconds.
#[test]
fn a_delay_may_be_far_under_a_millisecond() {
    let micro = MILLI / 1_000;
    let hedge = learning(Delay::quantile(Ratio::percent(50)).between(micro, MILLI));
    answered(&hedge, 100, 80 * micro);
    let found = hedge.delay().unwrap();
    assert!((80 * micro..=91 * micro).contains(&found), "{found:?}");
}

#[test]
fn calls_that_all_take_the_same_time_are_not_slow() {
    let mut nanos = 1_000_000;
    while nanos < 100_000_000_000 {
        let hedge = learning(Delay::quantile(Ratio::percent(95)));
        answered(&hedge, 100, Duration::from_nanos(nanos));
        let delay = hedge.delay().unwrap();
        assert!(delay >= Duration::from_nanos(nanos), "{delay:?} of {nanos}");
        nanos += nanos / 37;
    }
}

#[test]
fn a_failure_is_no_latency_and_a_refusal_nothing_at_all() {
    let throttled = Outcome::Throttled { retry_after: None };
    for (outcome, millis) in [
        // Of 300 calls, 100 took 40 ms, and the others would have taken 1 ms
        // or more.
        (Outcome::Transient, 40),
        (throttled, 40),
        (Outcome::Ignored, 40),
        // The request was wrong, and that was known after 1 ms.
        (Outcome::Permanent, 1),
        (Outcome::Success, 1),
    ] {
        let hedge = learning(Delay::quantile(Ratio::percent(60)));
        answered(&hedge, 100, 40 * MILLI);
        for _ in 0..200 {
            hedge.begin(BEGIN).record(BEGIN + MILLI, outcome);
        }
        answered_later(&hedge);
        let delay = hedge.delay().unwrap();
        let near = millis * MILLI..=millis * 9 * MILLI / 8;
        assert!(near.contains(&delay), "{outcome:?}: {delay:?}");
    }
}

/// A call after a second, which finds that the estimate is due.
fn answered_later(hedge: &Hedge) {
    let later = BEGIN + Duration::from_secs(1);
    hedge
        .begin(later)
        .record(later + 40 * MILLI, Outcome::Success);
}

#[test]
fn who_gave_up_learned_how_long_it_takes_at_least() {
    // After 200 ms, which is longer than all that answered; and after 1 ms,
    // which says nothing.
    for (lost_after, from, to) in [(200, 190, 225), (1, 40, 45)] {
        let hedge = learning(Delay::quantile(Ratio::percent(60)));
        answered(&hedge, 100, 40 * MILLI);
        for _ in 0..200 {
            hedge.begin(BEGIN).lost(BEGIN + lost_after * MILLI);
        }
        answered_later(&hedge);
        let delay = hedge.delay().unwrap();
        assert!((from * MILLI..to * MILLI).contains(&delay), "{delay:?}");
    }
}

#[test]
fn second_attempts_are_learned_from_as_well() {
    let hedge = learning(Delay::quantile(Ratio::percent(95)));
    answered(&hedge, 100, 10 * MILLI);
    for _ in 0..10 {
        let call = hedge.begin(BEGIN);
        let permit = call.admit(BEGIN, Class::Hedge).unwrap();
        let second = permit.send(BEGIN + 100 * MILLI);
        second.record(BEGIN + 400 * MILLI, Outcome::Success);
        let permit = call.admit(BEGIN, Class::Unsent).unwrap();
        permit.send(BEGIN).lost(BEGIN + 300 * MILLI);
    }
    answered_later(&hedge);
    let delay = hedge.delay().unwrap();
    assert!((300 * MILLI..350 * MILLI).contains(&delay), "{delay:?}");
    assert_eq!(
        (hedge.snapshot().hedged(), hedge.snapshot().won()),
        (20, 10)
    );
}

// tower-0.5.3 stops hedging whenever a period without calls has passed.
#[test]
fn a_pause_does_not_stop_it_from_hedging() {
    let hedge = learning(Delay::quantile(Ratio::percent(95)));
    answered(&hedge, 400, 10 * MILLI);
    let later = BEGIN + Duration::from_secs(12);
    hedge
        .begin(later)
        .record(later + 10 * MILLI, Outcome::Success);
    assert!(hedge.begin(later).fires_at().is_some());
}

#[test]
fn a_budget_of_its_own_is_as_large_as_it_says() {
    // Adding at most 2 % is two tokens of a hundred calls, and nothing more.
    let hedge = learning(Delay::adding_at_most(Ratio::percent(2)));
    let mut calls: Vec<_> = (0..100).map(|_| hedge.begin(BEGIN)).collect();
    let call = calls.pop().unwrap();
    let sent = |class| call.admit(BEGIN, class).map(|permit| permit.send(BEGIN));
    let extras = [(); 4].map(|()| sent(Class::Hedge).is_some());
    assert_eq!(extras, [true, true, false, false]);

    // Otherwise 5 % of them, and one a second for the ten that deposits last.
    let hedge = learning(Delay::fixed(MILLI));
    let mut calls: Vec<_> = (0..100).map(|_| hedge.begin(BEGIN)).collect();
    let call = calls.pop().unwrap();
    let sent = |class| call.admit(BEGIN, class).map(|permit| permit.send(BEGIN));
    let extras = (0..30).filter(|_| sent(Class::Hedge).is_some()).count();
    assert_eq!(extras, 15);
    assert_eq!(hedge.snapshot().refused(), 15);
}

#[test]
fn only_where_it_acts_does_it_ask_the_budget() {
    for mode in [Mode::Enforce, Mode::Shadow, Mode::Off] {
        let hedge = learning(Delay::fixed(MILLI));
        hedge.set_mode(mode);
        assert_eq!(hedge.mode(), mode);
        let call = hedge.begin(BEGIN);
        let is_permitted = call.admit(BEGIN, Class::Hedge).is_some();
        assert_eq!(is_permitted, mode == Mode::Enforce);
        let granted = hedge.budget().snapshot(BEGIN).granted();
        assert_eq!(granted, u64::from(mode == Mode::Enforce));
        let would = hedge.snapshot().would_hedge();
        assert_eq!(would, u64::from(mode == Mode::Shadow));
    }
}

#[test]
fn a_delay_at_the_end_of_time_is_harmless() {
    let hedge = learning(Delay::fixed(Duration::MAX).between(MILLI, Duration::MAX));
    let end = Instant::from_nanos(u64::MAX);
    for began in [BEGIN, end] {
        let call = hedge.begin(began);
        assert!(call.fires_at().is_none_or(|at| at == end));
    }
}

#[test]
fn what_cannot_work_is_not_built() {
    let fixed = Delay::fixed(MILLI);
    let quantile = |percent| Delay::quantile(Ratio::percent(percent));
    let adding = |share| Delay::adding_at_most(share);
    let bounds = |shortest, longest| ConfigError::Bounds { shortest, longest };
    let one_and_a_bit = Ratio::parts_per_million(10_500);
    for (delay, expected) in [
        (Delay::fixed(Duration::ZERO), ConfigError::NoDelay),
        (quantile(0), ConfigError::Share(Ratio::ZERO)),
        (quantile(100), ConfigError::Share(Ratio::ONE)),
        (adding(Ratio::ZERO), ConfigError::Share(Ratio::ZERO)),
        (adding(Ratio::ONE), ConfigError::Share(Ratio::ONE)),
        (
            adding(one_and_a_bit),
            ConfigError::Budget(budget::ConfigError::Ratio(one_and_a_bit)),
        ),
        (
            fixed.between(Duration::ZERO, MILLI),
            bounds(Duration::ZERO, MILLI),
        ),
        (
            quantile(90).between(2 * MILLI, MILLI),
            bounds(2 * MILLI, MILLI),
        ),
    ] {
        let error = Config::new(delay).build().unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().is_empty());
        let has_source = matches!(error, ConfigError::Budget(_));
        assert_eq!(error.source().is_some(), has_source);
    }
    for half_life in [Duration::ZERO, Duration::MAX] {
        let error = Config::new(fixed).half_life(half_life).build().unwrap_err();
        assert_eq!(error, ConfigError::HalfLife(half_life));
    }
    // With a budget that is given, its own is not asked for.
    let given = RetryBudget::new("given", Deposits::default()).unwrap();
    assert!(
        Config::new(adding(one_and_a_bit))
            .budget(given)
            .build()
            .is_ok()
    );
    assert!(Config::default().build().is_ok());
}

#[test]
fn an_update_changes_delay_and_bounds_and_refuses_what_is_learned_otherwise() {
    let hedge = learning(Delay::fixed(20 * MILLI));
    hedge
        .update(&Config::new(Delay::fixed(30 * MILLI)))
        .unwrap();
    assert_eq!(hedge.delay(), Some(30 * MILLI));
    let half = Config::new(Delay::fixed(40 * MILLI)).half_life(MILLI);
    hedge.update(&half).unwrap();
    assert_eq!(hedge.delay(), Some(40 * MILLI));

    let learned = Delay::quantile(Ratio::percent(90));
    let refused = hedge.update(&Config::new(learned)).unwrap_err();
    assert_eq!(refused, UpdateError::DelayIsLearnedOtherwise);
    assert_eq!(hedge.delay(), Some(40 * MILLI));

    let hedge = learning(learned);
    answered(&hedge, 100, 40 * MILLI);
    let longer = Config::new(learned.between(100 * MILLI, 200 * MILLI));
    hedge.update(&longer).unwrap();
    assert_eq!(hedge.delay(), Some(100 * MILLI));
    for (config, expected) in [
        (
            Config::new(Delay::fixed(MILLI)),
            UpdateError::DelayIsLearnedOtherwise,
        ),
        (Config::default(), UpdateError::DelayIsLearnedOtherwise),
        (
            Config::new(learned).half_life(MILLI),
            UpdateError::HalfLifeIsFixed,
        ),
        (
            Config::new(learned.between(MILLI, Duration::ZERO)),
            UpdateError::Invalid(ConfigError::Bounds {
                shortest: MILLI,
                longest: Duration::ZERO,
            }),
        ),
    ] {
        let error = hedge.update(&config).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().is_empty());
        let has_source = matches!(error, UpdateError::Invalid(_));
        assert_eq!(error.source().is_some(), has_source);
        assert_eq!(hedge.delay(), Some(100 * MILLI), "nothing has changed");
    }
}

#[test]
fn handles_print_who_they_are() {
    let hedge = Config::default().named("catalogue").build().unwrap();
    assert_eq!(
        format!("{hedge:?}"),
        "Hedge { name: \"catalogue\", mode: Enforce, .. }"
    );
    assert_eq!(hedge.name().as_str(), "catalogue");
    assert!(hedge.clone().now() > Instant::from_nanos(0));
    assert!(!hedge.avoids_endpoints());
}
