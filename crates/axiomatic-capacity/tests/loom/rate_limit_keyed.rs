//! Models of the table of keys. Its sets have two lines of two slots here, and
//! there is one of them.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use axiomatic_capacity::rate_limit::keyed::{Config, KeyHasher, Table, WhenCrowded};
use axiomatic_capacity::rate_limit::{KeyedRateLimiter, Quota};
use axiomatic_core::hash::Seed;
use axiomatic_core::models::{bounded_model, long_model, model};
use axiomatic_core::time::Instant;
use loom::thread;

type Limiter = KeyedRateLimiter<u64>;

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// One an hour, so that nothing comes back while a model runs.
fn hourly(burst: u32) -> Quota {
    Quota::per_hour(NonZeroU32::MIN).burst(number(burst))
}

fn limiter(quota: Quota) -> Limiter {
    let one_set = Table::of_bytes(NonZeroU64::MIN);
    let config = Config::new(quota, one_set).seed(Seed::fixed(7));
    config.when_crowded(WhenCrowded::Refuse).build().unwrap()
}

/// Some hours after the start.
fn hour(hours: u64) -> Instant {
    Instant::from_nanos(hours * 3_600_000_000_000)
}

/// How many of so many calls are admitted.
fn admitted(limiter: &Limiter, key: u64, now: Instant, calls: usize) -> usize {
    let calls = (0..calls).map(|_| limiter.admit(&key, now));
    calls.filter(Result::is_ok).count()
}

fn in_thread(
    limiter: &Limiter,
    work: impl FnOnce(&Limiter) -> usize + 'static,
) -> thread::JoinHandle<usize> {
    let limiter = limiter.clone();
    thread::spawn(move || work(&limiter))
}

#[test]
fn a_key_is_never_admitted_more_than_its_burst() {
    bounded_model(|| {
        let limiter = limiter(hourly(3));
        assert_eq!(admitted(&limiter, 1, hour(9), 1), 1);
        let other = in_thread(&limiter, |limiter| admitted(limiter, 1, hour(9), 2));
        let own = admitted(&limiter, 1, hour(9), 2);
        assert_eq!(own + other.join().unwrap(), 2);
    });
}

/// Keys of the four slots, of which key 1 would have the first: one that would
/// have it too, one of the other slot at home, and two of those beside.
fn keys() -> [u64; 4] {
    let hasher = KeyHasher::new(Seed::fixed(7));
    let slot = |key| hasher.number(key) & 3;
    [0, 2, 1, 3].map(|other| (11..).find(|key| slot(*key) == slot(1) ^ other).unwrap())
}

/// One a day, and two slots to choose from: the first is free at 34 hours, the
/// second at 30. Callers at 32 and 36 choose different ones.
fn two_to_choose_from() -> Limiter {
    let limiter = limiter(Quota::per_day(NonZeroU32::MIN));
    for (key, at) in keys().into_iter().zip([10, 6, 60, 60]) {
        assert_eq!(admitted(&limiter, key, hour(at), 1), 1);
    }
    limiter
}

#[test]
fn two_that_insert_a_key_share_one_burst() {
    bounded_model(|| {
        let limiter = limiter(hourly(1));
        let other = in_thread(&limiter, |limiter| admitted(limiter, 1, hour(9), 1));
        let own = admitted(&limiter, 1, hour(9), 1);
        assert_eq!(own + other.join().unwrap(), 1);
    });
}

#[test]
fn two_that_insert_a_key_in_two_slots_share_one_burst() {
    bounded_model(|| {
        let limiter = two_to_choose_from();
        let other = in_thread(&limiter, |limiter| admitted(limiter, 1, hour(36), 1));
        let own = admitted(&limiter, 1, hour(32), 1);
        assert_eq!(own + other.join().unwrap(), 1);
    });
}

#[test]
fn three_that_insert_a_key_share_one_burst() {
    long_model(|| {
        let limiter = two_to_choose_from();
        let others = [32, 36]
            .map(|at| in_thread(&limiter, move |limiter| admitted(limiter, 1, hour(at), 1)));
        let own = admitted(&limiter, 1, hour(36), 1);
        let others = others.map(|other| other.join().unwrap());
        assert_eq!(own + others.iter().sum::<usize>(), 1);
    });
}

#[test]
fn a_key_that_is_evicted_while_it_spends_loses_nothing_it_spent() {
    bounded_model(|| {
        let limiter = limiter(hourly(2));
        assert_eq!(admitted(&limiter, 1, hour(5), 1), 1);
        for key in &keys()[1..] {
            assert_eq!(admitted(&limiter, *key, hour(40), 1), 1);
        }
        let other = in_thread(&limiter, |limiter| admitted(limiter, 2, hour(9), 1));
        let own = admitted(&limiter, 1, hour(9), 1);
        let other = other.join().unwrap();
        // Only one of them has the slot, and what it spent is there.
        assert_eq!(own + other, 1);
        let left = [1, 2].map(|key| limiter.peek(&key, hour(9)));
        assert_eq!(left.map(|left| 2 - left as usize), [own, other]);
    });
}

#[test]
fn a_refund_and_a_call_both_count() {
    model(|| {
        let limiter = limiter(hourly(2));
        assert_eq!(admitted(&limiter, 1, hour(9), 1), 1);
        let other = in_thread(&limiter, |limiter| {
            limiter.refund(&1, hour(9), NonZeroU32::MIN);
            0
        });
        assert_eq!(admitted(&limiter, 1, hour(9), 1), 1);
        other.join().unwrap();
        assert_eq!(limiter.peek(&1, hour(9)), 1);
    });
}

/// What five cells take, where five come at once.
const QUOTAS: [(u32, Duration); 3] = [
    (1, Duration::from_secs(2)),
    (5, Duration::from_millis(5)),
    (5, Duration::from_secs(50)),
];

fn quota_of(index: usize) -> Quota {
    let (burst, period) = QUOTAS[index];
    Quota::new(number(burst), period).burst(number(burst))
}

#[test]
fn a_call_is_decided_by_one_quota_and_not_by_parts_of_two() {
    bounded_model(|| {
        let limiter = limiter(quota_of(0));
        let other = in_thread(&limiter, |limiter| {
            limiter.update(quota_of(1)).unwrap();
            limiter.update(quota_of(2)).unwrap();
            0
        });
        let now = hour(9);
        let call = limiter.admit_weighing(&1, now, number(5));
        other.join().unwrap();
        // As it is seen by the last quota, of a cell in ten seconds.
        let spent = |after: Duration| 5 - limiter.peek(&1, now + after);
        match call {
            // Under the first.
            Err(refused) => assert_eq!((refused.retry_after(), spent(Duration::ZERO)), (None, 0)),
            // Under the third, or the second.
            Ok(_) => {
                let spent = spent(Duration::from_millis(1));
                assert!(spent == 5 || spent == 1, "{spent}");
                // The second's five milliseconds are over in six.
                let later = 5 - limiter.peek(&1, now + Duration::from_millis(6));
                assert_eq!(later, if spent == 5 { 5 } else { 0 });
            }
        }
    });
}

#[test]
fn a_new_quota_holds_for_calls_that_begin_after_it() {
    model(|| {
        let limiter = limiter(quota_of(0));
        let other = in_thread(&limiter, |limiter| {
            limiter.update(quota_of(1)).unwrap();
            admitted(limiter, 1, hour(9), 5)
        });
        let own = admitted(&limiter, 2, hour(9), 1);
        assert_eq!((own, other.join().unwrap()), (1, 5));
    });
}
