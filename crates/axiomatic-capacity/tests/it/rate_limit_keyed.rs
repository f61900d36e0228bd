//! One quota for each key, in constant memory and in a map.

mod crowd;
mod exact;
mod map;
mod threads;
mod time;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use axiomatic_capacity::rate_limit::keyed::{Config, ConfigError, Table};
use axiomatic_capacity::rate_limit::{KeyedRateLimiter, Quota};
use axiomatic_core::hash::Seed;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Pattern, Reason};

pub(crate) type Limiter = KeyedRateLimiter<u64>;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

pub(crate) fn bytes(bytes: u64) -> Table {
    Table::of_bytes(NonZeroU64::new(bytes).unwrap())
}

/// Ten a second, five at once.
pub(crate) fn ten() -> Quota {
    Quota::per_second(number(10)).burst(number(5))
}

pub(crate) fn config(quota: Quota, table: Table) -> Config {
    Config::new(quota, table).named("keys").seed(Seed::fixed(1))
}

pub(crate) fn limiter(quota: Quota, table: Table) -> Limiter {
    config(quota, table).build().unwrap()
}

pub(crate) fn start() -> Instant {
    Instant::from_nanos(3_600_000_000_000)
}

#[test]
fn each_key_has_its_quota_and_a_refusal_says_until_when() {
    let limiter = limiter(ten(), bytes(1 << 16));
    let now = start();
    for left in (0..5).rev() {
        assert_eq!(limiter.admit(&1, now).unwrap().left(), Some(left));
    }
    let refused = limiter.admit(&1, now).unwrap_err();
    assert_eq!(
        (refused.pattern(), refused.reason(), refused.name().as_str()),
        (Pattern::RateLimiter, Reason::Limited, "keys")
    );
    assert_eq!(limiter.peek(&2, now), 5);
    assert!(limiter.admit(&2, now).is_ok());
    // A tenth of a second, and the microseconds of a unit.
    let wait = refused.retry_after().unwrap();
    let tenth = Duration::from_millis(100);
    assert!(
        (tenth..tenth + Duration::from_micros(5)).contains(&wait),
        "{wait:?}"
    );
    let early = now + (wait - Duration::from_micros(6));
    assert!(limiter.admit(&1, early).is_err());
    assert!(limiter.admit(&1, now + wait).is_ok());
    assert!(limiter.admit(&1, now + wait).is_err());
    assert_eq!(limiter.snapshot(now).refused(), 3);
}

#[test]
fn a_cost_is_paid_as_a_whole_and_one_above_the_burst_never() {
    let limiter = limiter(ten(), bytes(1 << 16));
    let now = start();
    assert_eq!(
        limiter.admit_weighing(&1, now, number(4)).unwrap().left(),
        Some(1)
    );
    let two = limiter.admit_weighing(&1, now, number(2)).unwrap_err();
    assert!(two.retry_after().is_some());
    assert_eq!(limiter.peek(&1, now), 1);
    let six = limiter.admit_weighing(&1, now, number(6)).unwrap_err();
    assert_eq!(six.retry_after(), None);
}

#[test]
fn what_is_refunded_or_forgotten_is_there_again() {
    let limiter = limiter(ten(), bytes(1 << 16));
    let now = start();
    limiter.admit_weighing(&1, now, number(5)).unwrap();
    limiter.refund(&1, now, number(2));
    assert_eq!(limiter.peek(&1, now), 2);
    limiter.refund(&1, now, number(400));
    assert_eq!(limiter.peek(&1, now), 5);
    limiter.admit_weighing(&1, now, number(5)).unwrap();
    assert!(limiter.forget(&1));
    assert!(!limiter.forget(&1));
    assert_eq!(limiter.peek(&1, now), 5);
}

#[test]
fn what_can_be_borrowed_from_a_key_finds_it() {
    let limiter: KeyedRateLimiter<String> = config(ten(), bytes(1 << 16)).build().unwrap();
    let now = start();
    limiter.admit("acme", now).unwrap();
    assert_eq!(limiter.peek(&"acme".to_owned(), now), 4);
    let unsized_too: KeyedRateLimiter<str> = config(ten(), bytes(64)).build().unwrap();
    assert!(unsized_too.admit("acme", now).is_ok());
}

#[test]
fn in_shadow_a_call_that_would_be_refused_passes_and_spends_nothing() {
    let limiter: Limiter = config(ten(), bytes(64)).mode(Mode::Shadow).build().unwrap();
    let now = start();
    let passed = |calls: usize| {
        (0..calls)
            .filter(|_| limiter.admit(&1, now).is_ok())
            .count()
    };
    assert_eq!(passed(8), 8);
    let snapshot = limiter.snapshot(now);
    assert_eq!((snapshot.refused(), snapshot.would_refuse()), (0, 3));
    limiter.set_mode(Mode::Enforce);
    let wait = limiter.admit(&1, now).unwrap_err().retry_after().unwrap();
    assert!(wait < Duration::from_millis(101), "{wait:?}");
    limiter.set_mode(Mode::Off);
    assert_eq!(passed(8), 8);
    assert_eq!(limiter.admit(&1, now).unwrap().left(), None);
}

#[test]
fn a_new_quota_holds_at_once_and_what_was_spent_stays_spent() {
    let limiter = limiter(ten(), bytes(1 << 16));
    let now = start();
    limiter.admit_weighing(&1, now, number(5)).unwrap();
    limiter
        .update(Quota::per_second(number(100)).burst(number(100)))
        .unwrap();
    // Half a second is spent: half of a burst.
    assert!((49..=50).contains(&limiter.peek(&1, now)));
    assert_eq!(limiter.peek(&2, now), 100);
    let nothing = Quota::new(NonZeroU32::MIN, Duration::ZERO);
    assert!(matches!(
        limiter.update(nothing),
        Err(ConfigError::Quota(_))
    ));
    assert_eq!(limiter.peek(&2, now), 100);
    limiter.update(Quota::per_hour(NonZeroU32::MIN)).unwrap();
    assert_eq!(limiter.peek(&2, now), 1);
}

#[test]
fn what_cannot_work_is_refused_where_it_is_made() {
    let build = |quota, table| config(quota, table).build::<u64>().err();
    let fast = Quota::per_second(number(1_000_000));
    assert_eq!(build(fast, bytes(64)), Some(ConfigError::TooFast(fast)));
    let huge = bytes(u64::MAX);
    assert_eq!(build(ten(), huge), Some(ConfigError::Table(huge.bytes())));
    let error = ConfigError::TooFast(fast).to_string();
    assert!(error.contains("1 in 2 µs"), "{error}");
}

#[test]
fn the_memory_is_what_was_asked_for() {
    let million = number(1 << 20);
    assert_eq!(Table::for_keys(million).bytes(), 16 << 20);
    assert_eq!(Table::for_keys(million).roomy().bytes(), 32 << 20);
    assert_eq!(bytes(100).bytes(), 128);
    let limiter = limiter(ten(), Table::for_keys(number(1_000)));
    let snapshot = limiter.snapshot(start());
    assert_eq!((snapshot.bytes(), snapshot.slots()), (16_000, 2_000));
}

#[test]
fn a_snapshot_can_be_read_aloud() {
    let limiter = limiter(ten(), bytes(64));
    limiter.admit(&1, start()).unwrap();
    assert_eq!(
        limiter.snapshot(start()).to_string(),
        "rate limiter keys: 1 live keys in 16 slots, 128 bytes, 128 a key; 1 inserted, \
         0 evicted idle; without a slot: 0 refused, 0 admitted, 0 evicted; 0 refused"
    );
}
