//! Clocks that go back, and times that wrap.

use std::time::Duration;

use axiomatic_core::time::Instant;

use super::{SECOND, bytes, limiter, number, start, ten};

const YEAR: Duration = Duration::from_secs(31_557_600);

#[test]
fn a_clock_that_goes_back_gives_nothing_away_and_locks_nobody_out() {
    let limiter = limiter(ten(), bytes(64));
    let now = start() + 10 * SECOND;
    limiter.admit_weighing(&1, now, number(5)).unwrap();
    assert!(limiter.admit(&1, start()).is_err());
    assert_eq!(limiter.peek(&1, start()), 0);
    assert_eq!(limiter.peek(&1, now), 0);
    // By more than an hour it is believed: a burst is to be waited for.
    let later = now + 5 * 3_600 * SECOND;
    limiter.admit_weighing(&1, later, number(5)).unwrap();
    let wait = limiter.admit(&1, now).unwrap_err().retry_after().unwrap();
    assert!(wait < Duration::from_millis(101), "{wait:?}");
    assert!(limiter.admit(&1, now + wait).is_ok());
}

#[test]
fn a_key_that_was_idle_for_years_has_its_burst() {
    for years in [1u32, 3, 5, 7] {
        let limiter = limiter(ten(), bytes(64));
        limiter.admit_weighing(&1, start(), number(5)).unwrap();
        let now = start() + years * YEAR;
        assert_eq!(limiter.peek(&1, now), 5, "after {years} years");
        assert_eq!(limiter.admit(&1, now).unwrap().left(), Some(4));
    }
}

/// The last year before the wrap is the one in which a slot that nobody
/// touched looks like one from ahead.
#[test]
fn a_key_that_comes_again_at_the_wrap_waits_for_its_burst_at_most() {
    let wrap = Duration::from_micros(1 << 48);
    let limiter = limiter(ten(), bytes(64));
    limiter.admit_weighing(&1, start(), number(5)).unwrap();
    let now = start() + (wrap - YEAR / 2);
    let wait = limiter.admit(&1, now).unwrap_err().retry_after().unwrap();
    assert!(wait < Duration::from_millis(101), "{wait:?}");
    assert_eq!(limiter.peek(&1, now + SECOND), 5);
    // And after it there is nothing to see.
    limiter.admit_weighing(&1, now + SECOND, number(5)).unwrap();
    assert_eq!(limiter.peek(&1, now + 2 * SECOND + wrap), 5);
}

#[test]
fn the_wrap_itself_is_a_time_as_any_other() {
    let wrap = Instant::from_nanos((1 << 48) * 1_000);
    for laps in [1u32, 2, 60] {
        let at = Instant::from_nanos(wrap.as_nanos() * u64::from(laps));
        let limiter = limiter(ten(), bytes(64));
        // Up to seventeen seconds too long is what a lap may cost.
        let mut now = Instant::from_nanos(at.as_nanos() - 30_000_000_000);
        let mut admitted = 0;
        for _ in 0..6_000 {
            admitted += u32::from(limiter.admit(&1, now).is_ok());
            now = now + Duration::from_millis(10);
        }
        assert!((400..=605).contains(&admitted), "{admitted} at lap {laps}");
        assert_eq!(limiter.peek(&1, now + 18 * SECOND), 5);
    }
}
