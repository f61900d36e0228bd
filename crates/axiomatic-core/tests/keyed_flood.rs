//! A million keys of an attacker's choice, in a binary of its own, since it
//! counts what the whole process allocates.
#![cfg(feature = "keyed")]

mod counting;

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axiomatic_core::keyed::{Idle, Keyed, WhenFull};
use axiomatic_core::time::Instant;

use counting::{ALLOCATIONS, BYTES, PEAK};

/// Bytes are the process's, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn now() -> Instant {
    Instant::from_nanos(3_600_000_000_000)
}

/// A value with memory of its own.
struct Value {
    busy: AtomicBool,
    _window: Box<[u64; 16]>,
}

impl Idle for Value {
    fn is_idle(&self, _: Instant) -> bool {
        !self.busy.load(Ordering::Relaxed)
    }
}

const CAP: u32 = 10_000;
const KNOWN: u32 = 1_000;

fn store() -> Keyed<u64, Value> {
    let cap = NonZeroU32::new(CAP).expect("a cap");
    Keyed::new(cap, WhenFull::Refuse, |_| Value {
        busy: AtomicBool::new(false),
        _window: Box::new([0; 16]),
    })
}

/// Looks a key up and leaves its value busy or idle.
fn look(store: &Keyed<u64, Value>, key: u64, busy: bool) {
    store.with(&key, now(), |found| {
        if let Some(value) = found.value() {
            value.busy.store(busy, Ordering::Relaxed);
        }
    });
}

/// How long it takes to look all known keys up.
fn known_keys_take(store: &Keyed<u64, Value>) -> Duration {
    let begin = std::time::Instant::now();
    for key in 0..u64::from(KNOWN) {
        let busy = store.with(black_box(&key), now(), |found| {
            found
                .value()
                .is_some_and(|v| v.busy.load(Ordering::Relaxed))
        });
        assert!(busy, "a known key was evicted");
    }
    begin.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_million_new_keys_cost_neither_memory_nor_time() {
    let _alone = ALONE.lock().expect("the other test passed");
    // The attacker's keys become idle at once, and then never.
    for busy in [false, true] {
        let base = BYTES.load(Ordering::Relaxed);
        let store = store();
        (0..u64::from(KNOWN)).for_each(|key| look(&store, key, true));
        // Full with other tenants, who are idle by now.
        (0..u64::from(CAP - KNOWN)).for_each(|key| look(&store, 1 << 40 | key, false));
        let full = BYTES.load(Ordering::Relaxed) - base;
        let quiet = median((0..200).map(|_| known_keys_take(&store)).collect());

        PEAK.store(BYTES.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut during = Vec::with_capacity(200);
        for key in 0..1_000_000u64 {
            look(&store, 1 << 50 | key, busy);
            if key % 5_000 == 0 {
                assert!(store.snapshot().live() <= CAP);
                during.push(known_keys_take(&store));
            }
        }
        let peak = PEAK.load(Ordering::Relaxed) - base;
        let during = median(during);
        println!(
            "{}; {full} bytes when full, {peak} at most; {quiet:?} and {during:?}",
            store.snapshot()
        );
        assert!(peak < 2 * full, "{peak} bytes, {full} before the flood");
        assert!(during < 4 * quiet, "{during:?}, {quiet:?} before the flood");
        let snapshot = store.snapshot();
        if busy {
            assert!(snapshot.refused() >= 1_000_000 - u64::from(CAP));
        } else {
            assert_eq!(snapshot.refused(), 0);
            assert!(snapshot.evictions() > 900_000);
        }
        drop(store);
        let left = BYTES.load(Ordering::Relaxed).saturating_sub(base);
        assert!(left < 64 << 10, "{left} bytes outlive the store");
    }
}

fn allocations(mut operation: impl FnMut()) -> u64 {
    (0..100).for_each(|_| operation());
    let before = ALLOCATIONS.get();
    (0..10_000).for_each(|_| operation());
    ALLOCATIONS.get() - before
}

#[test]
fn a_lookup_of_a_known_key_allocates_nothing() {
    let _alone = ALONE.lock().expect("the other test passed");
    let cap = NonZeroU32::new(10).expect("a cap");
    let store: Keyed<String, Value> = Keyed::new(cap, WhenFull::Refuse, |_| Value {
        busy: AtomicBool::new(true),
        _window: Box::new([0; 16]),
    });
    let known = || assert!(store.with("tenant", now(), |found| found.value().is_some()));
    assert_eq!(allocations(known), 0);
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 10_000);
    // Nor does one that is refused.
    for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
        assert!(store.with(key, now(), |found| found.value().is_some()));
    }
    let refused = || assert!(store.with("other", now(), |found| found.value().is_none()));
    assert_eq!(allocations(refused), 0);
}
