//! The throttler without tower.

mod layer;
mod oracle;

use std::time::Duration;

use axiomatic_capacity::load_shed::throttle::{Config, ConfigError, Share, Throttler, UpdateError};
use axiomatic_core::context::Priority;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Mode, Outcome, Pattern, Ratio, Reason};

use crate::support::{MILLI, SECOND};

const BAD: Outcome = Outcome::Transient;
const GOOD: Outcome = Outcome::Success;

/// With a clock that stands.
fn built(config: Config) -> (ManualClock, Throttler) {
    let clock = ManualClock::new();
    let config = config.clock(Clock::Manual(clock.clone())).seed(7);
    (clock, config.build().unwrap())
}

/// Of the book, that looks every few milliseconds at ten seconds.
fn book() -> Config {
    Config::accepting(Ratio::percent(200))
        .window(10 * SECOND, 10)
        .refresh_every(10 * MILLI)
}

fn envoy() -> Config {
    Config::success_rate(Ratio::percent(95))
        .window(10 * SECOND, 10)
        .refresh_every(10 * MILLI)
}

/// A call, unless it is refused.
fn call(throttler: &Throttler, now: Instant, outcome: Outcome) -> bool {
    match throttler.admit(now, Priority::CRITICAL) {
        Ok(permit) => {
            permit.record(now, outcome);
            true
        }
        Err(_) => false,
    }
}

/// So many calls, of which this share of those that pass is accepted, a
/// millisecond apart; and how many passed.
fn calls(clock: &ManualClock, throttler: &Throttler, count: u32, accepted: u32) -> u32 {
    let (mut passed, mut owed) = (0, 0);
    for _ in 0..count {
        clock.advance(MILLI);
        let outcome = if owed + accepted >= 100 { GOOD } else { BAD };
        if call(throttler, clock.now(), outcome) {
            passed += 1;
            owed = (owed + accepted) % 100;
        }
    }
    passed
}

/// Over a long script the refused share is the sum of the formula's shares,
/// within the discrepancy of the draws.
#[test]
fn the_refused_share_is_that_of_the_formula() {
    for config in [book(), envoy()] {
        let (clock, throttler) = built(config);
        let (mut expected, mut refused) = (0, 0_u64);
        for number in 0..100_000_u64 {
            clock.advance(MILLI);
            // More and more fails, and then less and less.
            let is_good = number % 100 >= (number / 1_000).abs_diff(50);
            let outcome = if is_good { BAD } else { GOOD };
            refused += u64::from(!call(&throttler, clock.now(), outcome));
            expected += u64::from(throttler.refused_share().as_u32());
        }
        let expected = expected >> 32;
        assert!(expected > 10_000, "{expected}");
        assert!(expected.abs_diff(refused) <= 20, "{refused} of {expected}");
        let snapshot = throttler.snapshot();
        assert_eq!((snapshot.refused(), snapshot.probes()), (refused, 0));
    }
}

#[test]
fn all_pass_while_all_are_accepted() {
    for config in [book(), envoy()] {
        let (clock, throttler) = built(config);
        assert_eq!(calls(&clock, &throttler, 20_000, 100), 20_000);
        assert_eq!(throttler.refused_share(), Share::NONE);
    }
}

/// With K = 2, if more than half of all calls are accepted none is refused.
#[test]
fn twice_as_many_are_sent_as_are_accepted() {
    let (clock, throttler) = built(book());
    calls(&clock, &throttler, 20_000, 60);
    assert_eq!(calls(&clock, &throttler, 20_000, 60), 20_000);
    // The other side accepts 100 calls a second, of 1,000.
    let (mut sent, mut accepted) = (0, 0);
    for milli in 0..90_000 {
        clock.advance(MILLI);
        let is_there = accepted * 10 <= milli;
        if call(&throttler, clock.now(), if is_there { GOOD } else { BAD }) {
            accepted += u32::from(is_there);
            sent += u32::from(milli >= 60_000);
        }
    }
    assert!((5_700..=6_300).contains(&sent), "{sent} in 30 s");
}

#[test]
fn never_more_is_refused_than_the_cap() {
    for (config, passes) in [(book(), 5), (envoy(), 20)] {
        let (clock, throttler) = built(config);
        calls(&clock, &throttler, 10_000, 0);
        let passed = calls(&clock, &throttler, 10_000, 0);
        let expected: u32 = passes * 100;
        assert!(passed.abs_diff(expected) <= 5, "{passed}");
    }
}

#[test]
fn too_few_requests_are_no_reason_to_refuse() {
    let (clock, throttler) = built(book().least_rate(100));
    // 1,000 in ten seconds, but not 999.
    for number in 0..990 {
        clock.advance(10 * MILLI);
        assert!(call(&throttler, clock.now(), BAD), "of {number}");
    }
    let (clock, throttler) = built(book().least_rate(90));
    let passed = (0..2_000).filter(|_| {
        clock.advance(10 * MILLI);
        call(&throttler, clock.now(), BAD)
    });
    assert!(passed.count() < 1_200);
}

/// Also if all its draws are unlucky, as those of what matters little may be.
#[test]
fn a_call_passes_in_every_probe_interval() {
    let (clock, throttler) = built(book().most_refused(Ratio::parts_per_million(999_999)));
    calls(&clock, &throttler, 100_000, 0);
    let mut last = clock.now();
    for _ in 0..20_000 {
        clock.advance(MILLI);
        if call(&throttler, clock.now(), BAD) {
            last = clock.now();
        }
        assert!(clock.now() - last < SECOND);
    }
    // Not more than that, either.
    let probes = throttler.snapshot().probes();
    assert!((100..=130).contains(&probes), "{probes}");
}

/// Who calls less often than that is not throttled: it cannot hurt.
#[test]
fn who_calls_rarely_always_passes() {
    let (clock, throttler) = built(book());
    for _ in 0..3 {
        assert!(call(&throttler, clock.now(), BAD));
    }
    let refused = (0..100).filter(|_| {
        clock.advance(SECOND);
        !call(&throttler, clock.now(), BAD)
    });
    assert!(refused.count() <= 1, "as it begins");
}

/// How long it takes until all pass again, in windows: the book's rule lets K
/// times as many through in each as in the one before, Envoy's does not count
/// what it refused itself.
#[test]
fn recovery_is_seen_within_three_windows_by_the_book_and_within_one_by_envoy() {
    for (config, windows) in [(book(), 3), (envoy(), 1)] {
        let (clock, throttler) = built(config);
        calls(&clock, &throttler, 30_000, 0);
        assert!(throttler.refused_share() >= Share::of(Ratio::percent(79)));
        let mut spent = 0;
        while throttler.refused_share() > Share::NONE {
            calls(&clock, &throttler, 100, 100);
            spent += 100;
        }
        assert!(spent <= windows * 10_000, "{spent} ms");
    }
}

/// A refusal of ours is a request that was not accepted by the book, and none
/// by Envoy, since then it would never end.
#[test]
fn a_refusal_counts_as_its_rule_says() {
    for (config, counts) in [(book(), true), (envoy(), false)] {
        let (clock, throttler) = built(config);
        let passed = calls(&clock, &throttler, 5_000, 0);
        assert!(passed < 5_000);
        let expected = if counts { 5_000 } else { passed };
        assert_eq!(throttler.snapshot().requests(), u64::from(expected));
    }
}

#[test]
fn what_was_given_up_counts_as_nothing() {
    let (clock, throttler) = built(book());
    let now = clock.now();
    for _ in 0..100 {
        drop(throttler.admit(now, Priority::CRITICAL).unwrap());
        drop(throttler.admit_owned(now, Priority::CRITICAL).unwrap());
        let permit = throttler.admit(now, Priority::CRITICAL).unwrap();
        permit.record(now, Outcome::Ignored);
    }
    assert_eq!(throttler.snapshot().requests(), 0);
}

#[test]
fn an_answer_that_says_the_request_is_wrong_was_accepted() {
    let (clock, throttler) = built(book());
    for outcome in [
        GOOD,
        Outcome::Permanent,
        BAD,
        Outcome::Throttled { retry_after: None },
    ] {
        assert!(call(&throttler, clock.now(), outcome));
    }
    let snapshot = throttler.snapshot();
    assert_eq!((snapshot.requests(), snapshot.accepts()), (4, 2));
}

#[test]
fn in_shadow_all_pass_and_what_would_be_refused_is_counted() {
    let (clock, throttler) = built(book().mode(Mode::Shadow));
    assert_eq!(calls(&clock, &throttler, 5_000, 0), 5_000);
    let snapshot = throttler.snapshot();
    assert_eq!((snapshot.refused(), snapshot.requests()), (0, 5_000));
    assert!(snapshot.would_refuse() > 4_600, "{snapshot}");
    throttler.set_mode(Mode::Off);
    assert_eq!(calls(&clock, &throttler, 1_000, 0), 1_000);
    assert_eq!(throttler.snapshot().would_refuse(), snapshot.would_refuse());
    throttler.set_mode(Mode::Enforce);
    assert!(calls(&clock, &throttler, 1_000, 0) < 100);
}

#[test]
fn while_it_is_off_nothing_is_counted_and_earlier_permits_tell() {
    let (clock, throttler) = built(book());
    let now = clock.now();
    let earlier = throttler.admit(now, Priority::CRITICAL).unwrap();
    throttler.set_mode(Mode::Off);
    let meanwhile = throttler.admit(now, Priority::CRITICAL).unwrap();
    throttler.set_mode(Mode::Enforce);
    meanwhile.record(now, BAD);
    assert_eq!(throttler.snapshot().requests(), 0);
    earlier.record(now, BAD);
    assert_eq!(throttler.snapshot().requests(), 1);
}

#[test]
fn a_refusal_says_who_and_why() {
    let (clock, throttler) = built(book().named("search"));
    calls(&clock, &throttler, 1_000, 0);
    let refused = loop {
        if let Err(refused) = throttler.admit(clock.now(), Priority::SHEDDABLE) {
            break refused;
        }
    };
    assert_eq!(refused.reason(), Reason::Shed);
    assert_eq!(refused.pattern(), Pattern::Throttler);
    assert_eq!(refused.to_string(), "throttler search sheds load");
}

#[test]
fn a_running_throttler_is_changed_but_for_its_window() {
    let (clock, throttler) = built(book());
    calls(&clock, &throttler, 10_000, 0);
    throttler
        .update(&book().most_refused(Ratio::percent(10)))
        .unwrap();
    let passed = calls(&clock, &throttler, 1_000, 0);
    assert!((895..920).contains(&passed), "{passed}");
    // Another rule, too: of 95 % it refuses at most half.
    throttler
        .update(&envoy().most_refused(Ratio::percent(50)))
        .unwrap();
    let passed = calls(&clock, &throttler, 1_000, 0);
    assert!((495..520).contains(&passed), "{passed}");
    let fixed = Err(UpdateError::WindowIsFixed);
    assert_eq!(throttler.update(&book().window(5 * SECOND, 10)), fixed);
    assert_eq!(throttler.update(&book().refresh_every(SECOND)), fixed);
    let bad = book().most_refused(Ratio::ONE);
    let invalid = UpdateError::Invalid(ConfigError::MostRefused(Ratio::ONE));
    assert_eq!(throttler.update(&bad), Err(invalid));
}

#[test]
fn a_shorter_probe_interval_holds_at_once() {
    let most = Ratio::parts_per_million(999_999);
    let (clock, throttler) = built(book().most_refused(most).probe_every(3_600 * SECOND));
    calls(&clock, &throttler, 20_000, 0);
    assert!(calls(&clock, &throttler, 2_000, 0) <= 1);
    throttler
        .update(&book().most_refused(most).probe_every(100 * MILLI))
        .unwrap();
    let passed = calls(&clock, &throttler, 1_000, 0);
    assert!((9..=12).contains(&passed), "{passed}");
}

#[test]
fn what_cannot_work_is_not_built() {
    let percent = Ratio::percent;
    let error = |config: Config| config.build().map(drop).unwrap_err();
    assert_eq!(
        error(Config::accepting(percent(99))),
        ConfigError::Multiple(percent(99))
    );
    assert_eq!(
        error(Config::success_rate(percent(101))),
        ConfigError::Threshold(percent(101))
    );
    assert_eq!(
        error(envoy().aggression(percent(50))),
        ConfigError::Aggression(percent(50))
    );
    for most in [Ratio::ZERO, Ratio::ONE, percent(150)] {
        assert_eq!(
            error(book().most_refused(most)),
            ConfigError::MostRefused(most)
        );
    }
    assert_eq!(error(book().window(SECOND, 0)), ConfigError::Window);
    assert_eq!(error(book().window(SECOND, 2_000)), ConfigError::Window);
    assert_eq!(error(book().window(3_600 * SECOND, 2)), ConfigError::Window);
    assert_eq!(
        error(book().probe_every(Duration::ZERO)),
        ConfigError::Probe
    );
    for every in [Duration::ZERO, 60 * SECOND] {
        assert_eq!(
            error(book().refresh_every(every)),
            ConfigError::Refresh(every)
        );
    }
    assert!(Config::default().build().is_ok());
    assert!(Config::success_rate(percent(95)).build().is_ok());
}

#[test]
fn handles_share_one_throttler() {
    let (clock, throttler) = built(book());
    calls(&clock, &throttler.clone(), 1_000, 0);
    assert!(throttler.refused_share() > Share::NONE);
}
