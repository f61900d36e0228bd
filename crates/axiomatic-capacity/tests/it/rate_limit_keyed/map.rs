//! The map with a cap.

use axiomatic_capacity::rate_limit::{ExactKeyedRateLimiter, Quota};
use axiomatic_core::keyed::WhenFull;
use axiomatic_core::{Mode, Reason};

use super::{SECOND, number, start, ten};

#[test]
fn in_the_map_a_key_that_has_nothing_spent_gives_its_place() {
    let limiter: ExactKeyedRateLimiter<String> =
        ExactKeyedRateLimiter::named(ten(), number(2), WhenFull::Refuse, "map").unwrap();
    let now = start();
    for key in ["a", "b"] {
        limiter.admit_weighing(key, now, number(5)).unwrap();
    }
    let refused = limiter.admit("c", now).unwrap_err();
    assert_eq!(
        (refused.reason(), refused.retry_after()),
        (Reason::Limited, None)
    );
    assert_eq!(refused.name().as_str(), "map");
    let later = now + SECOND;
    assert!(limiter.admit("c", later).is_ok());
    assert!(limiter.snapshot().evictions() > 0);
    assert_eq!(limiter.refused(), 1);
}

#[test]
fn the_map_refunds_forgets_and_changes_as_the_table_does() {
    let limiter: ExactKeyedRateLimiter<u64> =
        ExactKeyedRateLimiter::new(ten(), number(100), WhenFull::Admit).unwrap();
    let now = start();
    limiter.admit_weighing(&1, now, number(5)).unwrap();
    let wait = limiter.admit(&1, now).unwrap_err().retry_after().unwrap();
    assert!(limiter.admit(&1, now + wait).is_ok());
    limiter.refund(&1, now + wait, number(2));
    assert_eq!(limiter.peek(&1, now + wait), 2);
    limiter.set_mode(Mode::Shadow);
    assert!((0..9).all(|_| limiter.admit(&1, now + wait).is_ok()));
    assert_eq!(limiter.would_refuse(), 7);
    limiter.set_mode(Mode::Enforce);
    limiter
        .update(Quota::per_second(number(20)).burst(number(20)))
        .unwrap();
    assert_eq!(limiter.peek(&1, now + wait), 10);
    assert!(limiter.forget(&1));
    assert_eq!(limiter.peek(&1, now), 20);
}
