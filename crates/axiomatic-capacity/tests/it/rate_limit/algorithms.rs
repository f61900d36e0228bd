use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use axiomatic_capacity::rate_limit::{Algorithm, Config, Inheritance, Quota, RateLimiter};
use axiomatic_core::time::Instant;

use super::mechanism::{admitted, at, some};

fn ten_a_second(algorithm: Algorithm) -> RateLimiter {
    let quota = Quota::per_second(some(10));
    Config::new(quota).algorithm(algorithm).build().unwrap()
}

#[test]
fn a_token_bucket_is_filled_at_the_end_of_each_period() {
    let quota = Quota::per_second(some(10)).burst(some(25));
    let limiter = Config::new(quota)
        .algorithm(Algorithm::TokenBucket)
        .build()
        .unwrap();
    assert_eq!(admitted(&limiter, at(300)), 25);
    let refused = limiter.admit(at(300)).unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(700)));
    assert_eq!(admitted(&limiter, at(999)), 0);
    assert_eq!(admitted(&limiter, at(1_000)), 10);
    assert_eq!(admitted(&limiter, at(9_000)), 25);
}

#[test]
fn a_fixed_window_counts_each_period_by_itself() {
    let limiter = ten_a_second(Algorithm::FixedWindow);
    assert_eq!(admitted(&limiter, at(900)), 10);
    // Twice as many around its end, which is what it is known for.
    assert_eq!(admitted(&limiter, at(1_000)), 10);
    assert_eq!(admitted(&limiter, at(1_999)), 0);
    let refused = limiter.admit(at(1_999)).unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(1)));
    // What was left in one is not there in the next.
    assert!(limiter.admit(at(2_000)).is_ok());
    assert_eq!(admitted(&limiter, at(3_000)), 10);
}

#[test]
fn who_waits_for_a_window_has_it_in_the_next() {
    let limiter = ten_a_second(Algorithm::FixedWindow);
    assert_eq!(admitted(&limiter, at(900)), 10);
    let reserved = limiter.reserve(at(900), some(4), at(5_000)).unwrap();
    assert_eq!(reserved.ready_at(), at(1_000));
    assert_eq!(admitted(&limiter, at(1_000)), 6);
    let reserved = limiter.reserve(at(1_000), some(4), at(5_000)).unwrap();
    assert_eq!(reserved.ready_at(), at(2_000));
    reserved.cancel(at(1_500));
    assert_eq!(admitted(&limiter, at(2_000)), 10);
}

#[test]
fn a_sliding_window_looks_back_on_a_whole_period() {
    let limiter = ten_a_second(Algorithm::SlidingWindow);
    assert_eq!(admitted(&limiter, at(900)), 10);
    assert_eq!(admitted(&limiter, at(1_000)), 0);
    let refused = limiter.admit(at(1_000)).unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(100)));
    assert_eq!(admitted(&limiter, at(1_100)), 1);
    assert_eq!(limiter.peek(at(1_550)).available(), 4);
    assert_eq!(admitted(&limiter, at(1_550)), 4);
    assert_eq!(admitted(&limiter, at(3_000)), 10);
}

#[test]
fn of_a_sliding_window_nothing_is_reserved_ahead() {
    let limiter = ten_a_second(Algorithm::SlidingWindow);
    let now = limiter.reserve(at(0), some(10), at(0)).unwrap();
    assert_eq!(now.ready_at(), at(0));
    assert!(limiter.reserve(at(0), some(1), at(60_000)).is_err());
    now.cancel(at(1));
    assert_eq!(admitted(&limiter, at(1)), 10);
}

#[test]
fn all_of_them_refund_drain_and_change() {
    for algorithm in [
        Algorithm::Gcra,
        Algorithm::TokenBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
    ] {
        let limiter = ten_a_second(algorithm);
        assert_eq!(admitted(&limiter, at(1)), 10, "{algorithm:?}");
        limiter.refund(at(1), some(4));
        assert_eq!(limiter.peek(at(1)).available(), 4, "{algorithm:?}");
        let quota = Quota::per_second(some(20));
        limiter.update(at(1), quota, Inheritance::Additive).unwrap();
        assert_eq!(limiter.peek(at(1)).available(), 14, "{algorithm:?}");
        limiter.drain(at(1));
        assert_eq!(admitted(&limiter, at(1)), 0, "{algorithm:?}");
        assert_eq!(admitted(&limiter, at(10_000)), 20, "{algorithm:?}");
        assert!(limiter.admit_weighing(at(20_000), some(21)).is_err());
        // Years later too, and over the beginning of new terms.
        for years in 1..20 {
            let now = at(20_000) + Duration::from_secs(years * 365 * 86_400);
            assert_eq!(
                admitted(&limiter, now),
                20,
                "{algorithm:?} after {years} years"
            );
        }
    }
}

fn warming() -> RateLimiter {
    let quota = Quota::per_second(some(100)).burst(some(20));
    let algorithm = Algorithm::WarmUp {
        length: Duration::from_secs(10),
        cold_factor: NonZeroU16::new(4).unwrap(),
        cools_after: Duration::from_secs(30),
    };
    Config::new(quota).algorithm(algorithm).build().unwrap()
}

/// How many of those are admitted who come every millisecond of some seconds.
fn busy(limiter: &RateLimiter, start: Instant, seconds: u64) -> usize {
    let calls = (0..seconds * 1_000).map(|millis| start + Duration::from_millis(millis));
    calls.filter(|now| limiter.admit(*now).is_ok()).count()
}

#[test]
fn what_was_idle_begins_slowly_and_gets_warm() {
    let limiter = warming();
    assert_eq!(limiter.peek(at(0)).available(), 1);
    assert_eq!(admitted(&limiter, at(0)), 1, "no burst while it is cold");
    // A quarter of the rate at first, all of it in the end, and evenly between.
    let by_second: Vec<_> = (0..12)
        .map(|second| busy(&limiter, at(second * 1_000), 1))
        .collect();
    assert!(by_second.is_sorted(), "{by_second:?}");
    assert!((25..=32).contains(&by_second[0]), "{by_second:?}");
    assert!((99..=101).contains(&by_second[11]), "{by_second:?}");
    // Warm, and not idle for long: a burst.
    assert_eq!(admitted(&limiter, at(20_000)), 20);
    // Idle for long, it is cold once more.
    assert_eq!(admitted(&limiter, at(60_000)), 1);
    assert!(busy(&limiter, at(60_000), 1) <= 32);
}

#[test]
fn a_new_quota_does_not_make_it_cold() {
    let limiter = warming();
    assert!(busy(&limiter, at(0), 12) > 600);
    let quota = Quota::per_second(some(200)).burst(some(20));
    limiter
        .update(at(12_000), quota, Inheritance::AsIs)
        .unwrap();
    assert!((199..=202).contains(&busy(&limiter, at(12_000), 1)));
    let one = NonZeroU32::MIN;
    let reserved = limiter.reserve(at(13_000), one, at(13_010)).unwrap();
    assert!(reserved.ready_at() <= at(13_005));
}

#[test]
fn a_limit_that_gets_warm_says_when_it_admits() {
    let limiter = warming();
    assert!(limiter.admit(at(0)).is_ok());
    let mut now = at(0);
    for _ in 0..500 {
        if let Err(refused) = limiter.admit(now) {
            let wait = refused.retry_after().unwrap();
            assert!(
                limiter
                    .admit(now + (wait - Duration::from_nanos(1)))
                    .is_err()
            );
            now = now + wait;
            assert!(limiter.admit(now).is_ok());
        }
    }
}
