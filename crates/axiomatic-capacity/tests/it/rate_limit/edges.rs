//! What is promised at the edges: of time, of windows, and of what is told.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use axiomatic_capacity::rate_limit::{
    Algorithm, Config, Gate, Inheritance, Quota, RateLimiter, WaitingRateLimitLayer, WhenLimited,
};
use axiomatic_core::allowance::Heard;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Rejected};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::mechanism::{admitted, at, some};
use crate::support::{MILLI, SECOND};

pub(super) fn of(quota: Quota, algorithm: Algorithm) -> RateLimiter {
    Config::new(quota).algorithm(algorithm).build().unwrap()
}

pub(super) fn limiter(rate: u32, burst: u32) -> RateLimiter {
    of(
        Quota::per_second(some(rate)).burst(some(burst)),
        Algorithm::Gcra,
    )
}

pub(super) fn warm_up(length: Duration, cools_after: Duration) -> Algorithm {
    Algorithm::WarmUp {
        length,
        cold_factor: NonZeroU16::new(4).unwrap(),
        cools_after,
    }
}

pub(super) fn warming() -> RateLimiter {
    let quota = Quota::per_second(some(100)).burst(some(20));
    of(quota, warm_up(10 * SECOND, 30 * SECOND))
}

pub(super) fn everything() -> [Algorithm; 5] {
    [
        Algorithm::Gcra,
        Algorithm::TokenBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
        warm_up(SECOND, SECOND),
    ]
}

/// The end of the step is the first moment at which anything comes.
#[test]
fn a_pause_that_ends_within_a_step_lasts_until_the_end_of_it() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::FixedWindow] {
        let limiter = of(Quota::per_second(some(10)), algorithm);
        let told = Heard::nothing().with_retry_after(400 * MILLI);
        limiter.heed(at(300), &told);
        assert_eq!(admitted(&limiter, at(300)), 0, "{algorithm:?}");
        assert_eq!(admitted(&limiter, at(699)), 0, "{algorithm:?}");
        assert_eq!(admitted(&limiter, at(1_000)), 1, "{algorithm:?}");
        limiter.heed(at(2_000), &told);
        assert_eq!(admitted(&limiter, at(2_000)), 0, "{algorithm:?}");
        assert!(limiter.admit(at(3_000)).is_ok(), "{algorithm:?}");
    }
}

/// A year is longer than any window's numbers last, and ten are longer than
/// virtual time does.
#[test]
fn what_is_changed_holds_however_long_nobody_has_asked() {
    let years = |years: u64| at(0) + Duration::from_secs(years * 365 * 86_400);
    let quota = Quota::per_second(some(10));
    for algorithm in everything() {
        for now in [1, 3, 7, 10, 200, 580].map(years) {
            let context = format!("{algorithm:?} at {now:?}");
            let drained = of(quota, algorithm);
            drained.drain(now);
            assert_eq!(drained.peek(now).available(), 0, "{context}");
            assert_eq!(admitted(&drained, now), 0, "{context}");
            let told = of(quota, algorithm);
            told.heed(
                now,
                &Heard::nothing().with_remaining(0).with_retry_after(SECOND),
            );
            assert_eq!(admitted(&told, now), 0, "{context}");
            let changed = of(quota, algorithm);
            let twenty = Quota::per_second(some(20));
            changed.update(now, twenty, Inheritance::AsIs).unwrap();
            let left = changed.peek(now).available();
            let is_warming = matches!(algorithm, Algorithm::WarmUp { .. });
            assert_eq!(left, if is_warming { 1 } else { 10 }, "{context}");
            assert_eq!(u64::from(admitted(&changed, now)), left, "{context}");
            assert!(changed.admit(now + 2 * SECOND).is_ok(), "{context}");
        }
    }
}

#[test]
fn every_algorithm_inherits_as_it_is_told() {
    for algorithm in [
        Algorithm::Gcra,
        Algorithm::TokenBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
    ] {
        for (inheritance, left) in [
            (Inheritance::AsIs, 10),
            (Inheritance::Proportional, 20),
            (Inheritance::Additive, 30),
            (Inheritance::Reset, 40),
        ] {
            let limiter = of(Quota::per_second(some(20)), algorithm);
            assert!(limiter.admit_weighing(at(0), some(10)).is_ok());
            let forty = Quota::per_second(some(40));
            limiter.update(at(0), forty, inheritance).unwrap();
            let available = limiter.peek(at(0)).available();
            assert_eq!(available, left, "{algorithm:?}, {inheritance:?}");
        }
    }
}

/// So many units that they have no room in a word.
#[test]
fn what_costs_far_more_than_a_burst_is_never_admitted_either() {
    for algorithm in everything() {
        let limiter = of(Quota::new(some(1), Quota::LONGEST), algorithm);
        for cost in [2, 255, 256, 511, 512, 513, 1 << 31, u32::MAX] {
            let refused = limiter.admit_weighing(at(0), some(cost)).unwrap_err();
            assert_eq!(refused.retry_after(), None, "{algorithm:?}, {cost}");
        }
        assert!(limiter.admit(at(0)).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn steps_begin_at_whole_periods_of_the_clock_whatever_was_before() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::FixedWindow] {
        let limiter = of(Quota::per_second(some(10)), algorithm);
        let slower = Quota::new(some(10), 2 * SECOND);
        limiter.update(at(300), slower, Inheritance::AsIs).unwrap();
        assert_eq!(admitted(&limiter, at(300)), 10, "{algorithm:?}");
        let refused = limiter.admit(at(300)).unwrap_err();
        assert_eq!(refused.retry_after(), Some(1_700 * MILLI), "{algorithm:?}");
    }
}

#[test]
fn a_sliding_window_says_when_nothing_is_looked_back_on_any_more() {
    let limiter = of(Quota::per_second(some(10)), Algorithm::SlidingWindow);
    assert_eq!(limiter.peek(at(300)).full_after(), Duration::ZERO);
    assert_eq!(admitted(&limiter, at(300)), 10);
    assert_eq!(limiter.peek(at(300)).full_after(), 1_700 * MILLI);
    assert_eq!(limiter.peek(at(1_300)).full_after(), 700 * MILLI);
    let full = limiter.peek(at(2_000));
    assert_eq!((full.available(), full.full_after()), (10, Duration::ZERO));
}

#[test]
fn nothing_is_reserved_further_ahead_than_a_year() {
    let limiter = of(Quota::new(some(1), Quota::LONGEST), Algorithm::Gcra);
    let end = Instant::from_nanos(u64::MAX);
    let one = NonZeroU32::MIN;
    assert!(limiter.reserve(at(0), one, at(0)).is_ok());
    let next = limiter.reserve(at(0), one, end).unwrap();
    assert!(next.ready_at() >= at(0) + Quota::LONGEST);
    assert!(limiter.reserve(at(0), one, end).is_err());
}

#[test]
fn the_last_of_a_burst_comes_back_when_it_is_whole() {
    let limiter = limiter(10, 3);
    assert!(limiter.admit(at(0)).is_ok());
    let standing = limiter.peek(at(30));
    assert_eq!(
        (standing.available(), standing.more_after()),
        (2, 70 * MILLI)
    );
}

#[test]
fn what_a_sliding_window_has_counted_fades_under_a_new_quota_too() {
    let limiter = of(Quota::per_second(some(10)), Algorithm::SlidingWindow);
    assert_eq!(admitted(&limiter, at(300)), 10);
    let twenty = Quota::per_second(some(20));
    limiter
        .update(at(1_500), twenty, Inheritance::Additive)
        .unwrap();
    assert_eq!(limiter.peek(at(1_500)).available(), 15);
    assert_eq!(limiter.peek(at(2_000)).available(), 20);
}

/// A hundred that are reserved are a hundred years of the new quota, which is
/// further ahead than anything is reserved.
#[test]
fn what_is_reserved_has_its_bound_under_a_far_slower_quota() {
    let limiter = limiter(1_000, 1);
    let ahead = limiter.reserve(at(0), NonZeroU32::MIN, at(0)).unwrap();
    let line: Vec<_> = (0..100)
        .map(|_| limiter.reserve(at(0), NonZeroU32::MIN, at(1_000)).unwrap())
        .collect();
    let slow = Quota::new(some(1), Quota::LONGEST);
    limiter.update(at(0), slow, Inheritance::AsIs).unwrap();
    assert!(limiter.admit(at(0)).is_err());
    let standing = limiter.peek(at(0));
    assert!(standing.full_after() <= 3 * Quota::LONGEST, "{standing:?}");
    drop((ahead, line));
}

/// A server says the same again and again.
#[test]
fn what_is_heard_and_changes_nothing_leaves_all_as_it_is() {
    let limiter = limiter(10, 10);
    let permit = limiter.admit_weighing(at(0), some(3)).unwrap();
    let same = Heard::nothing().with_quota(10).with_window(SECOND);
    limiter.heed(at(0), &same);
    limiter.heed(at(0), &same);
    permit.give_back(at(0));
    assert_eq!(limiter.peek(at(0)).available(), 10);
}

#[test]
fn nobody_waits_in_shadow() {
    let limiter = limiter(10, 1);
    limiter.set_mode(Mode::Shadow);
    for _ in 0..3 {
        let reserved = limiter.reserve(at(0), NonZeroU32::MIN, at(1_000)).unwrap();
        assert_eq!(reserved.ready_at(), at(0));
    }
    assert_eq!(limiter.snapshot().would_refuse(), 2);
}

#[test]
fn a_server_that_lets_fewer_come_at_once_is_heard() {
    let limiter = limiter(10, 10);
    let told = Heard::nothing().with_quota(5).with_window(100 * MILLI);
    limiter.heed(at(0), &told);
    assert_eq!(limiter.quota(), Quota::per_second(some(10)).burst(some(5)));
}

#[test]
fn what_was_heard_is_heard_again_after_the_quota_was_changed() {
    let limiter = limiter(10, 10);
    let told = Heard::nothing().with_quota(5).with_window(SECOND);
    limiter.heed(at(0), &told);
    let ten = Quota::per_second(some(10));
    limiter.update(at(0), ten, Inheritance::AsIs).unwrap();
    limiter.heed(at(0), &told);
    assert_eq!(limiter.quota(), Quota::per_second(some(5)));
}

/// At this rate a unit is a nanosecond.
#[test]
fn what_was_taken_is_taken_when_virtual_time_begins_anew() {
    let limiter = of(Quota::new(some(1), Quota::LONGEST), Algorithm::Gcra);
    let begins_anew = 1 << 56;
    let before = Instant::from_nanos(begins_anew - 1_000);
    assert!(limiter.admit(before).is_ok());
    let after = Instant::from_nanos(begins_anew + 1_000);
    let wait = limiter.admit(after).unwrap_err().retry_after();
    assert_eq!(wait, Some(Quota::LONGEST - Duration::from_nanos(2_000)));
}

#[test]
fn what_callers_are_told_to_keep_to_is_rounded_up() {
    let third = Quota::per_second(some(3)).paced();
    assert_eq!(third.interval(), Duration::from_nanos(333_333_334));
    let policy = limiter(3, 2).policy();
    assert_eq!(policy.window(), Duration::from_nanos(666_666_667));
}

#[test]
fn of_several_limits_the_one_with_less_left_is_told_and_else_the_first() {
    let named = |name, burst| {
        let quota = Quota::per_second(some(10)).burst(some(burst));
        Config::new(quota).named(name).build().unwrap()
    };
    let told = |gates: &(RateLimiter, RateLimiter)| {
        let left = Gate::left(gates, &(), at(0));
        left.policy().name().to_string()
    };
    assert_eq!(told(&(named("first", 5), named("second", 5))), "first");
    assert_eq!(told(&(named("first", 5), named("second", 4))), "second");
    assert_eq!(told(&(named("first", 4), named("second", 5))), "first");
}

#[tokio::test(start_paused = true)]
async fn in_whichever_order_limits_are_waited_for_the_last_to_be_due_counts() {
    let patient = |rate| {
        Config::new(Quota::per_second(some(rate)).paced())
            .when_limited(WhenLimited::Wait {
                max_wait: 10 * SECOND,
                max_waiting: some(100),
            })
            .build()
            .unwrap()
    };
    for (first, second) in [(5, 10), (10, 5)] {
        let both = (patient(first), patient(second));
        let layer = WaitingRateLimitLayer::new(both).with_error::<Rejected>();
        let inner = service_fn(|_: u64| async { Ok::<_, Rejected>(()) });
        let mut service = layer.layer(inner);
        let begun = tokio::time::Instant::now();
        for _ in 0..2 {
            service.ready().await.unwrap().call(7).await.unwrap();
        }
        assert_eq!(begun.elapsed(), 200 * MILLI, "{first} and {second}");
    }
}

#[test]
fn at_the_end_of_time_nothing_stops() {
    let end = Instant::from_nanos(u64::MAX);
    let fast = Quota::new(some(1), Duration::from_nanos(1));
    let slow = Quota::new(some(1), Quota::LONGEST);
    let algorithms = [
        Algorithm::Gcra,
        Algorithm::TokenBucket,
        Algorithm::SlidingWindow,
        warm_up(Duration::from_nanos(1), SECOND),
        warm_up(SECOND, SECOND),
        warm_up(Quota::LONGEST, SECOND),
    ];
    for algorithm in algorithms {
        for quota in [fast, slow] {
            for before in 0..3 {
                let now = Instant::from_nanos(u64::MAX - before);
                let limiter = of(quota, algorithm);
                assert_eq!(limiter.peek(now).available(), 1, "{algorithm:?}");
                assert!(limiter.admit(now).is_ok(), "{algorithm:?}");
                assert!(limiter.admit(now).is_err(), "{algorithm:?}");
                limiter.refund(end, some(u32::MAX));
                limiter.drain(end);
                limiter.heed(end, &Heard::nothing().with_retry_after(Duration::MAX));
                limiter.update(end, slow, Inheritance::AsIs).unwrap();
                assert!(limiter.admit(end).is_err(), "{algorithm:?}");
                // And back to the beginning.
                assert!(limiter.admit(Instant::from_nanos(0)).is_err());
            }
        }
    }
}

/// A window has no burst but its count, and is told of fewer in longer.
#[test]
fn a_window_keeps_to_what_a_server_says_too() {
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow] {
        let limiter = of(Quota::per_second(some(10)), algorithm);
        let told = Heard::nothing().with_quota(30).with_window(60 * SECOND);
        limiter.heed(at(0), &told);
        let quota = limiter.quota();
        assert_eq!(quota, Quota::new(some(10), 20 * SECOND), "{algorithm:?}");
    }
}
