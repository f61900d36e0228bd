//! One file, because it is one list of what the mechanism promises.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::{
    Algorithm, Config, ConfigError, Inheritance, Quota, RateLimiter, WhenLimited,
};
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Mode, Pattern, Reason};

pub(super) fn some(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

pub(super) fn at(millis: u64) -> Instant {
    Instant::from_nanos(0) + Duration::from_secs(1_000) + Duration::from_millis(millis)
}

const MS: fn(u64) -> Duration = Duration::from_millis;

fn limiter(rate: u32, burst: u32) -> RateLimiter {
    let quota = Quota::per_second(some(rate)).burst(some(burst));
    Config::new(quota).named("search").build().unwrap()
}

/// How many are admitted one after the other.
pub(super) fn admitted(limiter: &RateLimiter, now: Instant) -> u32 {
    (0..10_000)
        .take_while(|_| limiter.admit(now).is_ok())
        .count() as u32
}

#[test]
fn admits_a_burst_and_then_at_the_rate_and_says_when() {
    let limiter = limiter(10, 3);
    assert_eq!(admitted(&limiter, at(0)), 3);
    let refused = limiter.admit(at(0)).unwrap_err();
    assert_eq!(refused.pattern(), Pattern::RateLimiter);
    assert_eq!(refused.reason(), Reason::Limited);
    assert_eq!(refused.name().as_str(), "search");
    assert_eq!(refused.retry_after(), Some(MS(100)));
    assert_eq!(admitted(&limiter, at(99)), 0);
    assert_eq!(admitted(&limiter, at(100)), 1);
    assert_eq!(admitted(&limiter, at(250)), 1);
    assert_eq!(admitted(&limiter, at(300)), 1);
    assert_eq!(admitted(&limiter, at(5_000)), 3);
}

#[test]
fn by_default_as_many_come_at_once_as_the_quota_says() {
    let default = Config::new(Quota::per_minute(some(30))).build().unwrap();
    assert_eq!(admitted(&default, at(0)), 30);
    let paced = Config::new(Quota::per_minute(some(30)).paced())
        .build()
        .unwrap();
    assert_eq!(admitted(&paced, at(0)), 1);
    assert_eq!(admitted(&paced, at(2_000)), 1);
}

#[test]
fn what_costs_more_than_a_burst_is_never_admitted_and_not_told_to_wait() {
    let limiter = limiter(10, 3);
    let refused = limiter.admit_weighing(at(0), some(4)).unwrap_err();
    assert_eq!(refused.reason(), Reason::Limited);
    assert_eq!(refused.retry_after(), None);
    let never = limiter.reserve(at(0), some(4), at(100_000)).unwrap_err();
    assert_eq!(never.retry_after(), None);
    let most = limiter.admit_weighing(at(0), some(u32::MAX)).unwrap_err();
    assert_eq!(most.retry_after(), None);
    assert_eq!(admitted(&limiter, at(0)), 3, "it took nothing");
}

#[test]
fn a_refusal_takes_nothing() {
    let limiter = limiter(10, 3);
    assert_eq!(admitted(&limiter, at(0)), 3);
    for _ in 0..1_000 {
        assert!(limiter.admit(at(50)).is_err());
    }
    assert!(limiter.admit(at(100)).is_ok());
}

/// governor keeps whole nanoseconds between two: 1,000 million a second, and
/// 30,303,030 in the place of 30 million.
#[test]
fn rates_are_exact_over_many_operations() {
    for rate in [700_000_000, 30_000_000, 3] {
        let quota = Quota::per_second(some(rate)).paced();
        let limiter = Config::new(quota).build().unwrap();
        let start = at(0);
        assert!(limiter.admit(start).is_ok());
        // As often as it lets us, to the nanosecond.
        let mut now = start;
        let calls = 300_000u64;
        for _ in 0..calls {
            let wait = loop {
                match limiter.admit(now) {
                    Ok(_) => break Duration::ZERO,
                    Err(refused) => now = now + refused.retry_after().unwrap(),
                }
            };
            assert!(wait.is_zero());
        }
        let exact = (u128::from(calls) * 1_000_000_000).div_ceil(u128::from(rate));
        let took = u128::from((now - start).as_nanos() as u64);
        assert!(
            took.abs_diff(exact) <= 1,
            "{calls} at {rate}: {took} of {exact} ns"
        );
    }
}

#[test]
fn reservations_stand_in_line_and_are_good_at_their_time() {
    let limiter = limiter(10, 2);
    let until = at(10_000);
    let due: Vec<_> = (0..5)
        .map(|_| limiter.reserve(at(0), NonZeroU32::MIN, until).unwrap())
        .collect();
    let due: Vec<_> = due.iter().map(|one| one.ready_at() - at(0)).collect();
    assert_eq!(due, [MS(0), MS(0), MS(100), MS(200), MS(300)]);
    // Who only asks comes after them.
    let refused = limiter.admit(at(0)).unwrap_err();
    assert_eq!(refused.retry_after(), Some(MS(400)));
}

#[test]
fn who_cannot_have_it_in_time_is_told_at_once_and_takes_nothing() {
    let limiter = limiter(10, 1);
    let one = NonZeroU32::MIN;
    let _first = limiter.reserve(at(0), one, at(0)).unwrap();
    let refused = limiter.reserve(at(0), one, at(99)).unwrap_err();
    assert_eq!(refused.reason(), Reason::Limited);
    assert_eq!(refused.retry_after(), Some(MS(100)));
    let second = limiter.reserve(at(0), one, at(100)).unwrap();
    assert_eq!(second.ready_at(), at(100));
}

#[test]
fn a_cancelled_reservation_returns_what_others_do_not_need() {
    let limiter = limiter(10, 1);
    let one = NonZeroU32::MIN;
    let mut reserved: Vec<_> = (0..3)
        .map(|_| limiter.reserve(at(0), one, at(10_000)).unwrap())
        .collect();
    // The last in line leaves nothing behind.
    reserved.pop().unwrap().cancel(at(0));
    let next = limiter.reserve(at(0), one, at(10_000)).unwrap();
    assert_eq!(next.ready_at(), at(200));
    // Of one in the middle, the next in line keeps its time, and who comes
    // next has the place that was given up.
    reserved.pop().unwrap().cancel(at(0));
    assert_eq!(next.ready_at(), at(200));
    let instead = limiter.reserve(at(0), one, at(10_000)).unwrap();
    assert_eq!(instead.ready_at(), at(100));
    let last = limiter.reserve(at(0), one, at(10_000)).unwrap();
    assert_eq!(last.ready_at(), at(300));
}

/// In a bucket that counts, each but the last of a thousand would give back
/// nothing, and nobody be admitted for as long as they would have waited.
#[test]
fn when_all_who_wait_leave_nothing_of_them_stays() {
    let limiter = limiter(10, 1);
    let one = NonZeroU32::MIN;
    let reserve = || limiter.reserve(at(0), one, at(1_000_000)).unwrap();
    for order in [0, 1, 2] {
        let mut all: Vec<_> = (0..100).map(|_| reserve()).collect();
        match order {
            0 => {}
            1 => all.reverse(),
            _ => {
                let (odd, even): (Vec<_>, Vec<_>) =
                    all.into_iter().enumerate().partition(|(at, _)| at % 2 == 1);
                all = odd.into_iter().chain(even).map(|(_, one)| one).collect();
            }
        }
        for one in all {
            one.cancel(at(0));
        }
        let next = reserve();
        assert_eq!(next.ready_at(), at(0), "in order {order}");
        next.cancel(at(0));
    }
}

#[test]
fn what_was_given_up_goes_to_who_asks_next_or_with_the_rest() {
    let limiter = limiter(10, 4);
    let first = limiter.admit_weighing(at(0), some(3)).unwrap();
    assert!(limiter.admit(at(0)).is_ok());
    first.give_back(at(0));
    assert!(limiter.admit_weighing(at(0), some(2)).is_ok());
    assert!(limiter.admit(at(0)).is_ok());
    assert!(limiter.admit(at(0)).is_err());
    // Drained, there is nothing that was given up either.
    let second = limiter.admit_weighing(at(300), some(2)).unwrap();
    assert!(limiter.admit(at(300)).is_ok());
    second.give_back(at(300));
    limiter.drain(at(300));
    assert!(limiter.admit(at(300)).is_err());
}

#[test]
fn a_permit_that_is_not_used_is_given_back() {
    let limiter = limiter(10, 3);
    let permit = limiter.admit_weighing(at(0), some(3)).unwrap();
    assert_eq!(permit.cost(), 3);
    assert!(limiter.admit(at(0)).is_err());
    permit.give_back(at(0));
    assert_eq!(admitted(&limiter, at(0)), 3);
}

/// A refund into a bucket that was full again meanwhile is worth nothing.
#[test]
fn what_would_have_come_back_anyway_is_not_given_back_twice() {
    let limiter = limiter(10, 5);
    let old = limiter.admit_weighing(at(0), some(5)).unwrap();
    assert!(limiter.admit(at(400)).is_ok());
    old.give_back(at(450));
    // Without the first there had been five, one was taken, and half of one
    // came back: there could be four. The time of the first has passed but for
    // half of one.
    assert_eq!(admitted(&limiter, at(450)), 3);
}

#[test]
fn refund_puts_back_up_to_a_burst_and_drain_takes_all() {
    let limiter = limiter(10, 3);
    assert_eq!(admitted(&limiter, at(0)), 3);
    limiter.refund(at(0), some(2));
    assert_eq!(limiter.peek(at(0)).available(), 2);
    limiter.refund(at(0), some(2));
    assert_eq!(admitted(&limiter, at(0)), 3);
    assert_eq!(limiter.peek(at(1_000)).available(), 3);
    limiter.drain(at(1_000));
    assert_eq!(admitted(&limiter, at(1_000)), 0);
    assert_eq!(admitted(&limiter, at(1_100)), 1);
}

#[test]
fn peek_says_what_is_left_and_takes_nothing() {
    let limiter = limiter(10, 3);
    let full = limiter.peek(at(0));
    assert_eq!((full.available(), full.next_after()), (3, Duration::ZERO));
    assert_eq!(full.full_after(), Duration::ZERO);
    assert_eq!(admitted(&limiter, at(0)), 3);
    let empty = limiter.peek(at(40));
    assert_eq!((empty.available(), empty.next_after()), (0, MS(60)));
    assert_eq!(empty.full_after(), MS(260));
    assert_eq!(limiter.peek(at(40)), empty);
}

#[test]
fn a_new_quota_inherits_as_it_is_told() {
    let quota = |rate, burst| Quota::per_second(some(rate)).burst(some(burst));
    for (inheritance, left) in [
        (Inheritance::AsIs, 10),
        (Inheritance::Proportional, 20),
        (Inheritance::Additive, 30),
        (Inheritance::Reset, 40),
    ] {
        let limiter = limiter(10, 20);
        assert!(limiter.admit_weighing(at(0), some(10)).is_ok());
        limiter.update(at(0), quota(7, 40), inheritance).unwrap();
        assert_eq!(limiter.quota(), quota(7, 40));
        assert_eq!(limiter.peek(at(0)).available(), left, "{inheritance:?}");
    }
    // Smaller: what is left is at most a burst.
    for (inheritance, left) in [
        (Inheritance::AsIs, 4),
        (Inheritance::Proportional, 2),
        (Inheritance::Additive, 0),
        (Inheritance::Reset, 4),
    ] {
        let limiter = limiter(10, 20);
        assert!(limiter.admit_weighing(at(0), some(10)).is_ok());
        limiter.update(at(0), quota(10, 4), inheritance).unwrap();
        assert_eq!(limiter.peek(at(0)).available(), left, "{inheritance:?}");
    }
}

#[test]
fn reservations_keep_their_times_and_count_against_the_new_quota() {
    let limiter = limiter(10, 1);
    let until = at(100_000);
    let one = NonZeroU32::MIN;
    let all: Vec<_> = (0..6)
        .map(|_| limiter.reserve(at(0), one, until).unwrap())
        .collect();
    let quota = Quota::per_second(some(100)).burst(some(1));
    limiter.update(at(0), quota, Inheritance::AsIs).unwrap();
    // Five are still to come: ten milliseconds each, at the new rate.
    assert_eq!(
        limiter.reserve(at(0), one, until).unwrap().ready_at(),
        at(60)
    );
    assert_eq!(all[5].ready_at(), at(500));
}

#[test]
fn a_quota_that_cannot_be_kept_changes_nothing() {
    let limiter = limiter(10, 3);
    let before = limiter.quota();
    let too_fast = Quota::new(some(2), Duration::from_nanos(1));
    let refused = limiter.update(at(0), too_fast, Inheritance::Reset);
    assert_eq!(refused, Err(ConfigError::Rate(too_fast)));
    assert_eq!(limiter.quota(), before);
    assert_eq!(admitted(&limiter, at(0)), 3);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let second = Duration::from_secs(1);
    let refused = |config: Config| config.build().map(drop).unwrap_err();
    let of = |count, period| Config::new(Quota::new(some(count), period));
    let none = refused(of(1, Duration::ZERO));
    assert_eq!(none, ConfigError::Period(Duration::ZERO));
    assert!(matches!(
        refused(of(1, Duration::MAX)),
        ConfigError::Period(_)
    ));
    assert!(matches!(
        refused(of(1_000_000_001, second)),
        ConfigError::Rate(_)
    ));
    let long = Quota::per_day(some(1)).burst(some(1_000));
    assert_eq!(refused(Config::new(long)), ConfigError::Burst(long));
    let uneven = Quota::per_second(some(10)).burst(some(3));
    for window in [Algorithm::FixedWindow, Algorithm::SlidingWindow] {
        let refused = refused(Config::new(uneven).algorithm(window));
        assert_eq!(refused, ConfigError::WindowBurst(uneven));
    }
    let sliding = of(Algorithm::MOST_IN_WINDOW + 1, second).algorithm(Algorithm::SlidingWindow);
    assert!(matches!(refused(sliding), ConfigError::WindowCount(_)));
    let wait = WhenLimited::Wait {
        max_wait: second,
        max_waiting: some(1),
    };
    let waits = of(10, second)
        .algorithm(Algorithm::SlidingWindow)
        .when_limited(wait);
    assert_eq!(refused(waits), ConfigError::WindowWait);
    let in_no_time = WhenLimited::Wait {
        max_wait: Duration::ZERO,
        max_waiting: some(1),
    };
    assert_eq!(
        refused(of(10, second).when_limited(in_no_time)),
        ConfigError::Wait
    );
    // Each says what is wrong.
    assert_eq!(
        none.to_string(),
        format!(
            "a period of 0ns is not between 1 ns and {:?}",
            Quota::LONGEST
        )
    );
}

#[test]
fn the_largest_quotas_work_to_the_end_of_time() {
    let quotas = [
        Quota::new(some(1_000_000_000), Duration::from_secs(1)).burst(some(u32::MAX)),
        Quota::new(some(1), Duration::from_nanos(1)),
        Quota::new(some(u32::MAX), Duration::from_nanos(u64::from(u32::MAX))),
        Quota::new(some(1), Quota::LONGEST),
    ];
    let year = Duration::from_secs(365 * 86_400);
    for quota in quotas {
        let limiter = Config::new(quota).build().unwrap();
        let mut now = Instant::from_nanos(0);
        // 584 years, in steps of a year.
        for _ in 0..584 {
            let burst = quota.at_once();
            let is_full = limiter.peek(now).full_after().is_zero();
            let all = limiter.admit_weighing(now, burst);
            assert_eq!(all.is_ok(), is_full, "{quota} at {now:?}");
            if is_full {
                assert!(limiter.admit(now).is_err(), "{quota} at {now:?}");
            }
            now = now + year;
        }
        assert!(limiter.peek(Instant::from_nanos(u64::MAX)).available() > 0);
    }
}

#[test]
fn time_that_runs_backwards_is_harmless() {
    let limiter = limiter(10, 3);
    assert_eq!(admitted(&limiter, at(10_000)), 3);
    assert_eq!(admitted(&limiter, at(0)), 0);
    assert_eq!(admitted(&limiter, Instant::from_nanos(0)), 0);
    assert_eq!(admitted(&limiter, at(10_100)), 1);
}

#[test]
fn in_shadow_what_would_be_refused_consumes_nothing_and_is_counted() {
    let limiter = limiter(10, 3);
    limiter.set_mode(Mode::Shadow);
    for _ in 0..10 {
        assert!(limiter.admit(at(0)).is_ok());
    }
    assert_eq!(limiter.snapshot().would_refuse(), 7);
    assert_eq!(limiter.snapshot().refused(), 0);
    limiter.set_mode(Mode::Enforce);
    assert_eq!(
        admitted(&limiter, at(100)),
        1,
        "three were taken, and no more"
    );
    limiter.set_mode(Mode::Off);
    assert_eq!(admitted(&limiter, at(100)), 10_000);
    assert_eq!(limiter.mode(), Mode::Off);
}

#[test]
fn what_was_let_in_for_nothing_gives_nothing_back() {
    let limiter = limiter(10, 3);
    assert_eq!(admitted(&limiter, at(0)), 3);
    limiter.set_mode(Mode::Shadow);
    limiter.admit(at(0)).unwrap().give_back(at(0));
    limiter.set_mode(Mode::Off);
    limiter.admit(at(0)).unwrap().give_back(at(0));
    limiter.set_mode(Mode::Enforce);
    assert_eq!(admitted(&limiter, at(0)), 0);
}

#[test]
fn what_is_shed_says_so() {
    let quota = Quota::per_second(some(1));
    let limiter = Config::new(quota)
        .when_limited(WhenLimited::Shed)
        .build()
        .unwrap();
    assert!(limiter.admit(at(0)).is_ok());
    let refused = limiter.admit(at(0)).unwrap_err();
    assert_eq!(refused.reason(), Reason::Shed);
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
}

#[test]
fn a_snapshot_reads_like_a_sentence() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(some(10)).burst(some(3));
    let config = Config::new(quota)
        .named("search")
        .clock(Clock::Manual(clock.clone()));
    let limiter = config.build().unwrap();
    let now = clock.now();
    assert_eq!(admitted(&limiter, now), 3);
    let snapshot = limiter.snapshot();
    assert_eq!(
        snapshot.to_string(),
        "rate limiter search: 10 per 1s, 3 at once, 0 left, the next in 100.0ms, 1 refused"
    );
    assert_eq!(snapshot.name().as_str(), "search");
    assert_eq!(snapshot.standing().quota(), quota);
    assert!(format!("{limiter:?}").contains("search"));
}

#[test]
fn handles_share_one_limit() {
    let limiter = limiter(10, 3);
    let other = limiter.clone();
    assert!(limiter.is_same(&other));
    assert!(other.admit(at(0)).is_ok());
    assert_eq!(admitted(&limiter, at(0)), 2);
}

#[test]
fn many_threads_never_admit_more_than_there_is() {
    let limiter = limiter(1_000, 100);
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let calls = (0..5_000u64).filter(|call| {
                        let now = at(0) + Duration::from_micros(call * 20);
                        limiter.admit(now).is_ok()
                    });
                    calls.count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    // A burst, and what came in 100 ms.
    assert_eq!(admitted, 199);
}
