//! A million keys of an attacker's choice, in a binary of its own, since it
//! counts what the whole process allocates.
#![cfg(all(feature = "keyed", not(axiomatic_loom)))]

#[path = "../../axiomatic-core/tests/counting/mod.rs"]
mod counting;

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axiomatic_core::keyed::WhenFull;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Outcome, Ratio};
use axiomatic_failure::circuit_breaker::{Config, KeyedCircuitBreaker, TripWhen};

use counting::{ALLOCATIONS, BYTES, PEAK};

/// Bytes are the process's, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn now() -> Instant {
    Instant::from_nanos(7_200_000_000_000)
}

const CAP: u32 = 2_000;
const KNOWN: u32 = 200;

type Keys = KeyedCircuitBreaker<u64>;

fn breakers(config: Config, cap: u32) -> Keys {
    let config = config
        .trip_when(TripWhen::consecutive_failures(3))
        .clock(Clock::Source(now));
    let cap = NonZeroU32::new(cap).expect("a cap");
    KeyedCircuitBreaker::new(config, cap, WhenFull::Refuse).expect("it can work")
}

/// A call for a key, or its refusal.
fn call(keys: &Keys, key: u64, outcome: Outcome) -> bool {
    keys.admit_owned(&key, now())
        .map(|permit| permit.record(now(), outcome))
        .is_ok()
}

fn known_keys_take(keys: &Keys) -> Duration {
    let begin = std::time::Instant::now();
    for key in 0..u64::from(KNOWN) {
        assert!(call(keys, black_box(key), Outcome::Success));
    }
    begin.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What the attacker's calls come to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Attack {
    /// They are given up at once, and leave an idle breaker.
    Idle,
    /// They fail until their breakers open.
    Open,
}

#[test]
fn a_million_made_up_keys_cost_neither_memory_nor_time() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for attack in [Attack::Idle, Attack::Open] {
        let base = BYTES.load(Ordering::Relaxed);
        let keys = breakers(Config::default(), CAP);
        for key in 0..u64::from(KNOWN) {
            assert!(call(&keys, key, Outcome::Success));
        }
        for other in 0..u64::from(CAP - KNOWN) {
            drop(keys.admit_owned(&(1 << 40 | other), now()));
        }
        let full = BYTES.load(Ordering::Relaxed) - base;
        let quiet = median((0..200).map(|_| known_keys_take(&keys)).collect());

        PEAK.store(BYTES.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut during = Vec::with_capacity(200);
        for key in 0..1_000_000u64 {
            let key = 1 << 50 | key;
            match attack {
                Attack::Idle => drop(keys.admit_owned(&key, now())),
                Attack::Open => while call(&keys, key, Outcome::Transient) {},
            }
            if key % 5_000 == 0 {
                assert!(keys.snapshot().live() <= CAP);
                during.push(known_keys_take(&keys));
            }
        }
        let peak = PEAK.load(Ordering::Relaxed) - base;
        let during = median(during);
        let snapshot = keys.snapshot();
        println!(
            "{attack:?}: {snapshot}; {full} bytes when full, {peak} at most; \
             {quiet:?} and {during:?}"
        );
        assert!(peak < full * 3 / 2, "{peak} bytes, {full} before the flood");
        assert!(during < 4 * quiet, "{during:?}, {quiet:?} before the flood");
        match attack {
            Attack::Idle => assert!(snapshot.evictions() > 900_000),
            Attack::Open => assert!(snapshot.refused() > 900_000),
        }
        drop(keys);
        let left = BYTES.load(Ordering::Relaxed).saturating_sub(base);
        assert!(left < 64 << 10, "{left} bytes outlive the breakers");
    }
}

#[test]
fn a_key_takes_little() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let second = Duration::from_secs(1);
    let seen = Config::default().slow_after(second).slow_in_flight();
    for (what, config, at_most) in [
        ("by default", Config::default(), 1_300),
        ("with slow calls seen in flight", seen, 5_500),
    ] {
        let base = BYTES.load(Ordering::Relaxed);
        let keys = breakers(config, CAP);
        let empty = BYTES.load(Ordering::Relaxed);
        for key in 0..u64::from(CAP) {
            assert!(call(&keys, key, Outcome::Success));
        }
        let bytes = (BYTES.load(Ordering::Relaxed) - empty) / CAP as usize;
        println!("{what}: {bytes} bytes a key; none: {}", empty - base);
        // With metrics, each has the handles of its counters.
        let metrics = if cfg!(feature = "metrics") { 256 } else { 0 };
        assert!(bytes <= at_most + metrics, "{bytes} {what}");
    }
}

fn allocations(mut operation: impl FnMut()) -> u64 {
    (0..100).for_each(|_| operation());
    let before = ALLOCATIONS.get();
    (0..10_000).for_each(|_| operation());
    ALLOCATIONS.get() - before
}

#[test]
fn a_call_for_a_known_key_allocates_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cap = NonZeroU32::new(2).expect("a cap");
    let config = Config::default()
        .trip_when(TripWhen::slow_rate(Ratio::percent(50), 20))
        .slow_after(Duration::from_secs(1))
        .slow_in_flight()
        .clock(Clock::Source(now));
    let hosts: KeyedCircuitBreaker<String> =
        KeyedCircuitBreaker::new(config, cap, WhenFull::Refuse).expect("it can work");
    let admitted = |host: &str| {
        let permit = hosts.admit_owned(host, now());
        permit.map(|permit| permit.record(now(), Outcome::Success))
    };
    assert_eq!(allocations(|| assert!(admitted("known").is_ok())), 0);
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 10_000);
    // Nor does one that is refused, by its breaker or for want of a place.
    let forced = hosts.breaker("forced", now()).expect("a place");
    forced.force_open();
    for host in ["forced", "one too many"] {
        assert_eq!(allocations(|| assert!(admitted(host).is_err())), 0);
    }
}
