//! Limits that get warm: when they are cold, and what becomes of that.

use std::num::NonZeroU16;
use std::time::Duration;

use axiomatic_capacity::rate_limit::{
    Algorithm, Config, ConfigError, Inheritance, Quota, RateLimiter,
};
use axiomatic_core::allowance::Heard;

use super::edges::{of, warm_up, warming};
use super::mechanism::{admitted, at, some};
use crate::support::{MILLI, SECOND};

/// It was cold, and nobody has asked.
#[test]
fn a_new_quota_does_not_make_it_warm() {
    for inheritance in [
        Inheritance::AsIs,
        Inheritance::Proportional,
        Inheritance::Additive,
        Inheritance::Reset,
    ] {
        let limiter = warming();
        let quota = Quota::per_second(some(200)).burst(some(20));
        limiter.update(at(0), quota, inheritance).unwrap();
        assert_eq!(admitted(&limiter, at(0)), 1, "{inheritance:?} before any");
        let (warm, cold) = (at(60_000), at(100_000));
        limiter.update(warm, quota, inheritance).unwrap();
        assert_eq!(admitted(&limiter, warm), 1, "{inheritance:?}");
        limiter.update(cold, quota, inheritance).unwrap();
        assert_eq!(limiter.peek(cold).available(), 1, "{inheritance:?}");
        assert_eq!(admitted(&limiter, cold), 1, "{inheritance:?}");
        assert_eq!(admitted(&limiter, cold + 21 * MILLI), 1, "{inheritance:?}");
        assert_eq!(admitted(&limiter, cold + 25 * MILLI), 0, "{inheritance:?}");
    }
}

#[test]
fn what_is_cold_is_drained_and_paused_as_the_rest_and_stays_cold() {
    for cold in [at(0), at(60_000)] {
        let ask_once = |limiter: &RateLimiter| {
            if cold > at(0) {
                assert!(limiter.admit(at(0)).is_ok());
            }
        };
        let drained = warming();
        ask_once(&drained);
        drained.drain(cold);
        assert_eq!(admitted(&drained, cold), 0);
        // At a quarter of the rate.
        assert_eq!(admitted(&drained, cold + 35 * MILLI), 0);
        assert_eq!(admitted(&drained, cold + 45 * MILLI), 1);
        let paused = warming();
        ask_once(&paused);
        paused.heed(cold, &Heard::nothing().with_retry_after(7 * SECOND));
        assert_eq!(admitted(&paused, cold), 0);
        assert_eq!(admitted(&paused, cold + 6_990 * MILLI), 0);
        assert_eq!(admitted(&paused, cold + 7 * SECOND), 1);
    }
}

/// Of a cold limit one is available, and the next not at once.
#[test]
fn what_is_cold_says_what_is_left_and_when_there_is_more() {
    let limiter = warming();
    for cold in [at(0), at(60_000)] {
        let standing = limiter.peek(cold);
        assert_eq!(standing.available(), 1);
        assert_eq!(standing.next_after(), Duration::ZERO);
        assert!(standing.more_after() > 30 * MILLI, "{standing:?}");
        assert!(standing.full_after() > 190 * MILLI, "{standing:?}");
        assert!(limiter.admit(cold).is_ok());
    }
}

#[test]
fn what_cools_at_once_admits_all_the_same() {
    for cools_after in [Duration::ZERO, Duration::from_nanos(1)] {
        let quota = Quota::per_second(some(100)).burst(some(20));
        let limiter = of(quota, warm_up(SECOND, cools_after));
        assert_eq!(admitted(&limiter, at(0)), 1);
        assert_eq!(admitted(&limiter, at(10_000)), 1);
    }
}

#[test]
fn it_is_cold_once_it_was_idle_for_so_long_and_not_before() {
    let quota = Quota::per_second(some(100)).burst(some(20));
    let even = Algorithm::WarmUp {
        length: SECOND,
        cold_factor: NonZeroU16::MIN,
        cools_after: 30 * SECOND,
    };
    for (idle, left) in [(30_199, 20), (30_200, 1)] {
        let limiter = of(quota, even);
        // A whole burst is there 200 ms later.
        assert_eq!(admitted(&limiter, at(0)), 1);
        assert_eq!(limiter.peek(at(idle)).available(), left);
        assert_eq!(admitted(&limiter, at(idle)), left as u32);
    }
}

/// Virtual time is begun anew after two years.
#[test]
fn what_never_cools_is_warm_after_years() {
    let quota = Quota::per_second(some(100)).burst(some(20));
    let limiter = of(quota, warm_up(10 * SECOND, Duration::MAX));
    assert_eq!(admitted(&limiter, at(0)), 1);
    let now = at(0) + Duration::from_secs(3 * 365 * 86_400);
    assert_eq!(admitted(&limiter, now), 20);
    assert_eq!(admitted(&limiter, now + 10 * MILLI), 1);
    assert_eq!(admitted(&limiter, now + 20 * MILLI), 1);
}

#[test]
fn to_get_warm_takes_some_time_and_not_for_ever() {
    for length in [Duration::ZERO, Quota::LONGEST + Duration::from_nanos(1)] {
        let config = Config::new(Quota::per_second(some(10)));
        let refused = config.algorithm(warm_up(length, SECOND)).build();
        assert_eq!(refused.unwrap_err(), ConfigError::WarmUp(length));
    }
}
