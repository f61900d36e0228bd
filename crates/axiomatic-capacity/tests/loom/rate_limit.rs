//! Models of a rate: one word, whose terms change while it is asked.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::{Algorithm, Config, Inheritance, Quota, RateLimiter};
use axiomatic_core::models::{bounded_model, long_model, model};
use axiomatic_core::time::Instant;
use loom::sync::Arc;
use loom::thread;

fn some(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

/// One a nanosecond, and so many at once: a unit is a cell.
fn quota(burst: u32) -> Quota {
    Quota::new(NonZeroU32::MIN, Duration::from_nanos(1)).burst(some(burst))
}

/// One in a thousand seconds.
fn slow(burst: u32) -> Quota {
    Quota::new(NonZeroU32::MIN, Duration::from_secs(1_000)).burst(some(burst))
}

fn limiter(quota: Quota) -> Arc<RateLimiter> {
    Arc::new(Config::new(quota).build().unwrap())
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(1_000_000 + nanos)
}

fn admitted(limiter: &RateLimiter, now: Instant, calls: u32) -> u32 {
    (0..calls)
        .map(|_| u32::from(limiter.admit(now).is_ok()))
        .sum()
}

#[test]
fn admitted_never_exceeds_a_burst_and_the_rate() {
    model(|| {
        let limiter = limiter(quota(2));
        let other = Arc::clone(&limiter);
        // A clock that is ahead by one.
        let thread = thread::spawn(move || admitted(&other, at(1), 2));
        let mine = admitted(&limiter, at(0), 2);
        let all = mine + thread.join().unwrap();
        // And no token is lost: who came first got one.
        assert!((2..=3).contains(&all), "{all}");
    });
    bounded_model(|| {
        let limiter = limiter(slow(2));
        let threads = [(); 2].map(|()| {
            let limiter = Arc::clone(&limiter);
            thread::spawn(move || admitted(&limiter, at(0), 1))
        });
        let mine = admitted(&limiter, at(0), 1);
        let all: u32 = threads.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(all + mine, 2);
    });
}

/// A decision is by the old quota or by the new one, and the exchange of one
/// that was made by the old fails under the new.
#[test]
fn who_is_asked_while_a_quota_changes_decides_by_one_of_them() {
    model(|| {
        let limiter = limiter(slow(4));
        let other = Arc::clone(&limiter);
        let thread = thread::spawn(move || other.admit_weighing(at(0), some(3)).is_ok());
        limiter.update(at(0), slow(2), Inheritance::AsIs).unwrap();
        let was_admitted = thread.join().unwrap();
        let left = limiter.peek(at(0)).available();
        // Three of four, and one is left; or of two, which three are too many
        // for.
        assert_eq!(left, if was_admitted { 1 } else { 2 });
    });
}

/// Twice, so that the place of the first terms is written anew while somebody
/// may be reading it.
#[test]
fn terms_of_two_minds_decide_nothing() {
    bounded_model(|| {
        let limiter = limiter(slow(4));
        let other = Arc::clone(&limiter);
        let thread = thread::spawn(move || other.admit_weighing(at(0), some(3)).is_ok());
        limiter.update(at(0), quota(4), Inheritance::Reset).unwrap();
        limiter.update(at(0), quota(4), Inheritance::Reset).unwrap();
        // By each of them four may come at once: three of large units are too
        // many only for four of small ones.
        assert!(thread.join().unwrap());
    });
    bounded_model(|| {
        let limiter = limiter(slow(1));
        assert!(limiter.admit(at(0)).is_ok());
        let other = Arc::clone(&limiter);
        let thread = thread::spawn(move || other.admit(at(0)).err());
        limiter.update(at(0), quota(1), Inheritance::AsIs).unwrap();
        // Another than the first, in whose place it is written.
        let slower = Quota::new(NonZeroU32::MIN, Duration::from_secs(3_000));
        limiter.update(at(0), slower, Inheritance::AsIs).unwrap();
        // Of each of them nothing is left, and the wait is that of one of them.
        let wait = thread.join().unwrap().unwrap().retry_after().unwrap();
        // To a unit, which of the slow one is two nanoseconds.
        let waits = [
            Duration::from_nanos(1),
            Duration::from_secs(1_000),
            Duration::from_secs(3_000),
        ];
        let is_one = waits.map(|one| one.abs_diff(wait) <= Duration::from_nanos(2));
        assert!(is_one.contains(&true), "{wait:?}");
    });
}

#[test]
fn what_is_given_back_is_there_once() {
    model(|| {
        let limiter = limiter(slow(2));
        let first = limiter.admit(at(0)).unwrap();
        let other = Arc::clone(&limiter);
        let thread = thread::spawn(move || admitted(&other, at(0), 2));
        first.give_back(at(0));
        let all = thread.join().unwrap() + admitted(&limiter, at(0), 2);
        assert_eq!(all, 2, "the one that was there, and the one given back");
    });
    long_model(|| {
        let limiter = limiter(slow(3));
        let reserve = || limiter.reserve(at(0), some(1), at(0)).unwrap();
        let (first, second, third) = (reserve(), reserve(), reserve());
        let thread = thread::spawn(move || first.cancel(at(0)));
        second.cancel(at(0));
        thread.join().unwrap();
        assert_eq!(admitted(&limiter, at(0), 3), 2);
        drop(third);
    });
}

/// What is given back or put back while the terms change is so under one of
/// them: nothing is there twice.
#[test]
fn what_is_given_back_while_a_quota_changes_is_there_once() {
    bounded_model(|| {
        let limiter = limiter(slow(3));
        let reserve = || limiter.reserve(at(0), some(1), at(0)).unwrap();
        let (first, second) = (reserve(), reserve());
        first.cancel(at(0));
        let thread = thread::spawn(move || second.cancel(at(0)));
        limiter.update(at(0), slow(3), Inheritance::AsIs).unwrap();
        thread.join().unwrap();
        // Two were given back, of which the old quota knows that they were.
        let all = admitted(&limiter, at(0), 4);
        assert!((1..=3).contains(&all), "{all}");
    });
    bounded_model(|| {
        let limiter = limiter(slow(3));
        assert!(limiter.admit_weighing(at(0), some(3)).is_ok());
        let other = Arc::clone(&limiter);
        let thread = thread::spawn(move || other.refund(at(0), some(1)));
        limiter.update(at(0), slow(3), Inheritance::AsIs).unwrap();
        thread.join().unwrap();
        assert_eq!(admitted(&limiter, at(0), 2), 1);
    });
}

/// A limit that is cold is begun anew by one, and nobody has a burst.
#[test]
fn what_is_cold_gets_warm_once() {
    bounded_model(|| {
        let warm_up = Algorithm::WarmUp {
            length: Duration::from_secs(10),
            cold_factor: std::num::NonZeroU16::new(4).unwrap(),
            cools_after: Duration::from_secs(10),
        };
        let config = Config::new(slow(3)).algorithm(warm_up);
        let limiter = Arc::new(config.build().unwrap());
        let other = Arc::clone(&limiter);
        let thread = thread::spawn(move || admitted(&other, at(0), 1));
        let mine = admitted(&limiter, at(0), 1);
        assert_eq!(mine + thread.join().unwrap(), 1);
    });
}
