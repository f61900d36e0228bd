//! What is given up, put back and given back, where several of these meet.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::keyed::{self, Table};
use axiomatic_capacity::rate_limit::{
    Algorithm, Config, Inheritance, KeyedRateLimiter, Quota, RateLimitLayer, WhenLimited,
};
use axiomatic_core::allowance::Heard;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Mode, Rejected};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::edges::{limiter, of};
use super::mechanism::{admitted, at, some};
use crate::support::{MILLI, SECOND};

/// Neighbours that leave are one place, which may be longer than a burst.
#[test]
fn of_a_long_place_that_was_given_up_nobody_has_more_than_a_burst() {
    let limiter = limiter(10, 1);
    let one = NonZeroU32::MIN;
    let mut all: Vec<_> = (0..6)
        .map(|_| limiter.reserve(at(0), one, at(10_000)).unwrap())
        .collect();
    for _ in 0..3 {
        all.remove(1).cancel(at(0));
    }
    let never = limiter.reserve(at(0), some(3), at(10_000)).unwrap_err();
    assert_eq!(never.retry_after(), None);
    assert!(limiter.admit_weighing(at(300), some(3)).is_err());
}

#[test]
fn what_is_put_back_and_what_is_given_up_are_together_no_more_than_a_burst() {
    for put_back in [5, 20, 25, 30, 1_000] {
        let limiter = limiter(10, 30);
        let ten = || limiter.admit_weighing(at(0), some(10)).unwrap();
        let (_first, second, _third) = (ten(), ten(), ten());
        second.give_back(at(0));
        limiter.refund(at(0), some(put_back));
        let left = (10 + put_back).min(30);
        assert_eq!(admitted(&limiter, at(0)), left, "{put_back} put back");
    }
}

/// A refund makes room in which others come to stand where one still stands
/// that gives its place up later.
#[test]
fn places_that_are_given_up_twice_over_are_lost_and_never_multiplied() {
    let limiter = limiter(10, 30);
    let ten = || limiter.admit_weighing(at(0), some(10)).unwrap();
    let (_first, _second, third) = (ten(), ten(), ten());
    limiter.refund(at(0), some(10));
    let fourth = ten();
    let five = || limiter.reserve(at(0), some(5), at(100_000)).unwrap();
    let (fifth, _sixth) = (five(), five());
    third.give_back(at(0));
    fourth.give_back(at(0));
    fifth.cancel(at(0));
    assert!(admitted(&limiter, at(0)) <= 20);
    for millis in (0..20_000).step_by(100) {
        assert!(admitted(&limiter, at(millis)) <= 1, "at {millis} ms");
    }
}

#[test]
fn what_is_given_back_in_a_pause_does_not_end_it() {
    let limiter = limiter(10, 3);
    let (first, second) = (limiter.admit(at(0)).unwrap(), limiter.admit(at(0)).unwrap());
    limiter.heed(at(0), &Heard::nothing().with_retry_after(7 * SECOND));
    first.give_back(at(0));
    second.give_back(at(10));
    assert_eq!(admitted(&limiter, at(10)), 0);
    assert_eq!(admitted(&limiter, at(6_999)), 0);
    assert_eq!(admitted(&limiter, at(7_000)), 1);
}

/// Those of the last window count in part, and those of this one in full.
#[test]
fn what_a_sliding_window_is_given_back_counted_where_it_was_taken() {
    let limiter = of(Quota::per_second(some(10)), Algorithm::SlidingWindow);
    let old = limiter.admit_weighing(at(0), some(5)).unwrap();
    assert_eq!(admitted(&limiter, at(1_000)), 5);
    old.give_back(at(1_000));
    assert_eq!(limiter.peek(at(1_000)).available(), 5);
    assert_eq!(admitted(&limiter, at(1_999)), 5, "ten in this window");
    let older = limiter.admit_weighing(at(4_000), some(5)).unwrap();
    assert_eq!(admitted(&limiter, at(6_000)), 10);
    older.give_back(at(6_000));
    assert_eq!(admitted(&limiter, at(6_000)), 0, "it was forgotten");
    let oldest = limiter.admit_weighing(at(10_000), some(5)).unwrap();
    assert!(limiter.admit_weighing(at(11_000), some(5)).is_ok());
    oldest.give_back(at(12_000));
    assert_eq!(limiter.peek(at(12_000)).available(), 5, "those were others");
}

#[test]
fn what_was_put_back_already_is_not_given_up_besides() {
    let limiter = limiter(10, 30);
    let ten = || limiter.admit_weighing(at(0), some(10)).unwrap();
    let (_first, _second, third) = (ten(), ten(), ten());
    limiter.refund(at(0), some(20));
    third.give_back(at(0));
    let left = admitted(&limiter, at(500));
    assert!(left <= 30, "{left} of a burst of 30");
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may_even_where_somebody_has_left() {
    let limiter = Config::new(Quota::per_second(some(10)).paced())
        .when_limited(WhenLimited::Wait {
            max_wait: 10 * SECOND,
            max_waiting: some(2),
        })
        .build()
        .unwrap();
    let now = Clock::Precise.now();
    let one = NonZeroU32::MIN;
    let mut line: Vec<_> = (0..6)
        .map(|_| limiter.reserve(now, one, now + SECOND).unwrap())
        .collect();
    line.remove(4).cancel(now);
    assert!(limiter.wait(one, None).await.is_err(), "four are ahead");
    line.remove(2).cancel(now);
    assert!(limiter.wait(one, None).await.is_ok(), "one is");
}

#[tokio::test]
async fn what_somebody_gave_up_is_found_by_several_limits_too() {
    let clock = ManualClock::new();
    let now = clock.now();
    let config = || {
        let quota = Quota::per_second(some(10)).burst(some(4));
        Config::new(quota).clock(Clock::Manual(clock.clone()))
    };
    let (first, second) = (config().build().unwrap(), config().build().unwrap());
    let place = second.admit_weighing(now, some(3)).unwrap();
    assert!(second.admit(now).is_ok());
    place.give_back(now);
    let layer = RateLimitLayer::new((first, second.clone())).with_error::<Rejected>();
    let mut service = layer.layer(service_fn(|_: u64| async { Ok::<_, Rejected>(()) }));
    for _ in 0..3 {
        assert!(service.ready().await.unwrap().call(7).await.is_ok());
    }
    assert!(service.ready().await.unwrap().call(7).await.is_err());
}

#[test]
fn what_was_given_up_under_another_quota_is_nobodys() {
    let limiter = limiter(10, 4);
    let place = limiter.admit_weighing(at(0), some(3)).unwrap();
    assert!(limiter.admit(at(0)).is_ok());
    place.give_back(at(0));
    let quota = limiter.quota();
    limiter.update(at(0), quota, Inheritance::Reset).unwrap();
    assert_eq!(admitted(&limiter, at(0)), 4);
}

/// The second looks open, since somebody has left, and is not.
#[tokio::test]
async fn who_refuses_after_all_has_the_others_given_back_what_they_took() {
    let clock = ManualClock::new();
    let now = clock.now();
    let paced = || {
        let config = Config::new(Quota::per_second(some(10)).paced());
        config.clock(Clock::Manual(clock.clone())).build().unwrap()
    };
    let (first, second) = (paced(), paced());
    let reserve = || second.reserve(now, NonZeroU32::MIN, now + SECOND).unwrap();
    let (_one, two, _three) = (reserve(), reserve(), reserve());
    two.cancel(now);
    let layer = RateLimitLayer::new((first.clone(), second.clone())).with_error::<Rejected>();
    let mut service = layer.layer(service_fn(|_: u64| async { Ok::<_, Rejected>(()) }));
    assert!(service.ready().await.unwrap().call(7).await.is_err());
    assert_eq!(first.peek(now).available(), 1);
}

/// In front of a key that is let in for nothing stands a limit that looks open
/// and is not.
#[tokio::test]
async fn a_key_that_took_nothing_is_given_nothing_back() {
    for mode in [Mode::Shadow, Mode::Off] {
        let clock = ManualClock::new();
        let now = clock.now();
        let ten = Quota::per_second(some(10));
        let config =
            keyed::Config::new(ten, Table::for_keys(some(100))).clock(Clock::Manual(clock.clone()));
        let tenants: KeyedRateLimiter<u64> = config.build().unwrap();
        while tenants.admit(&7, now).is_ok() {}
        tenants.set_mode(mode);
        let all = Config::new(ten.paced())
            .clock(Clock::Manual(clock.clone()))
            .build()
            .unwrap();
        // Somebody behind it has left, so that only who takes finds out.
        let reserve = || all.reserve(now, NonZeroU32::MIN, now + SECOND).unwrap();
        let (_first, second, _third) = (reserve(), reserve(), reserve());
        second.cancel(now);
        let gates = (tenants.computing(|user: &u64| *user), all.clone());
        let layer = RateLimitLayer::new(gates).with_error::<Rejected>();
        let inner = service_fn(|_: u64| async { Ok::<_, Rejected>(()) });
        let mut service = layer.layer(inner);
        assert!(service.ready().await.unwrap().call(7).await.is_err());
        tenants.set_mode(Mode::Enforce);
        assert_eq!(tenants.peek(&7, now), 0, "{mode:?}");
    }
}

#[test]
fn what_is_put_back_as_windows_are_numbered_anew_forgets_nothing() {
    let limiter = of(Quota::per_second(some(10)), Algorithm::SlidingWindow);
    let begun = Instant::from_nanos(0);
    let numbers = Duration::from_secs(1 << 18);
    let last = begun + (numbers - SECOND);
    assert_eq!(admitted(&limiter, last), 10);
    let now = begun + numbers;
    limiter.refund(now, NonZeroU32::MIN);
    assert_eq!(admitted(&limiter, now), 0);
    assert_eq!(admitted(&limiter, now + 100 * MILLI), 1);
}
