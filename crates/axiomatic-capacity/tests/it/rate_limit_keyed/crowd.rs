//! More keys than slots, or as many, for ever.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::keyed::{self, Table, WhenCrowded};
use axiomatic_capacity::rate_limit::{KeyedRateLimiter, Quota};
use axiomatic_core::hash::Seed;

use super::{Limiter, bytes, config, number, start, ten};

fn crowded(policy: WhenCrowded) -> Limiter {
    let limiter: Limiter = config(ten(), bytes(64))
        .when_crowded(policy)
        .build()
        .unwrap();
    for key in 0..16 {
        // The one with the least spent is key 5.
        let cost = number(if key == 5 { 2 } else { 4 });
        limiter.admit_weighing(&key, start(), cost).unwrap();
    }
    limiter
}

#[test]
fn a_new_key_without_a_slot_is_refused_until_one_is_free() {
    let limiter = crowded(WhenCrowded::Refuse);
    let refused = limiter.admit(&99, start()).unwrap_err();
    let wait = refused.retry_after().unwrap();
    let fifth = Duration::from_millis(200);
    assert!(
        (fifth..fifth + Duration::from_micros(5)).contains(&wait),
        "{wait:?}"
    );
    assert!(limiter.admit(&99, start() + wait).is_ok());
    let snapshot = limiter.snapshot(start());
    assert_eq!((snapshot.crowded_refused(), snapshot.evicted()), (1, 1));
}

#[test]
fn a_new_key_without_a_slot_passes_uncounted_if_that_was_chosen() {
    let limiter = crowded(WhenCrowded::Admit);
    for _ in 0..20 {
        assert_eq!(limiter.admit(&99, start()).unwrap().left(), None);
    }
    assert_eq!(limiter.peek(&5, start()), 3);
    let snapshot = limiter.snapshot(start());
    assert_eq!((snapshot.crowded_admitted(), snapshot.inserted()), (20, 16));
}

#[test]
fn a_new_key_without_a_slot_takes_that_of_who_is_idle_first_if_that_was_chosen() {
    let limiter = crowded(WhenCrowded::EvictSoonestIdle);
    assert_eq!(
        limiter
            .admit_weighing(&99, start(), number(5))
            .unwrap()
            .left(),
        Some(0)
    );
    assert!(limiter.admit(&99, start()).is_err());
    let left: Vec<u32> = (4..8).map(|key| limiter.peek(&key, start())).collect();
    assert_eq!(left, [1, 5, 1, 1]);
    let snapshot = limiter.snapshot(start());
    assert_eq!((snapshot.crowded_evicted(), snapshot.evicted()), (1, 0));
}

/// In a full table, each of the sixteen keys of a set has a stranger's tag by
/// one in 65,535: that makes 2.44 in 10,000.
#[test]
fn a_stranger_shares_a_tag_by_sixteen_in_sixty_five_thousand() {
    let limiter: KeyedRateLimiter<u64> = config(Quota::per_day(NonZeroU32::MIN), bytes(1 << 16))
        .when_crowded(WhenCrowded::Refuse)
        .build()
        .unwrap();
    let mut key = 0;
    while limiter.snapshot(start()).live() < 8_192 {
        for _ in 0..1_000 {
            key += 1;
            let _ = limiter.admit(&key, start());
        }
    }
    let strangers = 1_000_000;
    let shared = (key + 1..=key + strangers).filter(|key| limiter.peek(key, start()) == 0);
    let shared = shared.count();
    println!("{shared} of {strangers} strangers shared an arrival");
    // 244 are expected, and sixteen is a standard deviation.
    assert!((164..=324).contains(&shared), "{shared}");
}

/// Whoever comes in turn is live for a while, and goes: what is remembered is
/// always of the last ones. Twenty times as many come as are live.
fn turnover(table: Table, live: u64) -> f64 {
    // A call is spent in a second.
    let limiter: Limiter = config(Quota::per_second(NonZeroU32::MIN), table)
        .build()
        .unwrap();
    let bytes = limiter.snapshot(start()).bytes();
    let between = 1_000_000_000 / live;
    let calls = 21 * live;
    for call in 0..calls {
        let now = start() + Duration::from_nanos(call * between);
        let _ = limiter.admit(&call, now);
    }
    let snapshot = limiter.snapshot(start() + Duration::from_nanos(calls * between));
    println!("{snapshot}");
    assert_eq!(snapshot.bytes(), bytes);
    snapshot.crowded_refused() as f64 / calls as f64
}

#[test]
fn a_table_of_sixteen_bytes_a_key_has_a_slot_for_ninety_nine_in_a_hundred_for_ever() {
    let live = 50_000;
    let without = turnover(Table::for_keys(number(live)), u64::from(live));
    println!("without a slot at 16 bytes a key: {:.3} %", without * 100.0);
    assert!(without < 0.01, "{without}");
    let without = turnover(Table::for_keys(number(live)).roomy(), u64::from(live));
    println!("without a slot at 32 bytes a key: {:.4} %", without * 100.0);
    assert!(without < 0.000_2, "{without}");
}

/// Who knows where keys lie can have a stranger's refused by bringing those
/// that lie beside it.
#[test]
fn which_keys_lie_together_is_another_in_each_limiter_if_no_seed_is_said() {
    let refused = |config: keyed::Config| -> Vec<u64> {
        let limiter: Limiter = config.build().unwrap();
        let keys = 0..200u64;
        keys.filter(|key| limiter.admit(key, start()).is_err())
            .collect()
    };
    let tiny = || keyed::Config::new(ten(), bytes(512));
    let seeded = || tiny().seed(Seed::fixed(7));
    assert_eq!(refused(seeded()), refused(seeded()));
    // Of 200 keys 64 have a slot: that they are the same by chance is nothing
    // that happens.
    assert_ne!(refused(tiny()), refused(tiny()));
}
