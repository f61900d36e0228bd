//! Against what is exact, in numbers of 128 bits.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axiomatic_capacity::rate_limit::keyed::{KeyHasher, WhenCrowded};
use axiomatic_capacity::rate_limit::{ExactKeyedRateLimiter, Quota};
use axiomatic_core::hash::Seed;
use axiomatic_core::keyed::WhenFull;
use axiomatic_core::time::Instant;
use proptest::prelude::*;

use super::{Limiter, bytes, config, limiter, number, start};

/// So many keys of which no two share a tag under this seed: what sharing does
/// is another test's.
fn strangers(seed: Seed, count: usize) -> Vec<u64> {
    let hasher = KeyHasher::new(seed);
    let mut tags = HashSet::new();
    let alone = (0..).filter(|key| tags.insert(hasher.number(*key) as u16));
    alone.take(count).collect()
}

/// A bucket in whole numbers of 128 bits that reads time as the table does.
#[derive(Clone, Default)]
struct Bucket {
    /// What is spent, in nanoseconds times the count.
    spent: u128,
    at: u128,
}

impl Bucket {
    /// Whether a call fits, with so much to spare, and nothing is spent.
    fn fits(&mut self, quota: &Quota, now: Instant, cost: u32, spare: u128) -> bool {
        let now = u128::from(now.as_nanos() / 1_000 * 1_000);
        let count = u128::from(quota.count().get());
        self.spent = self.spent.saturating_sub((now - self.at) * count);
        self.at = now;
        let full = u128::from(quota.at_once().get()) * quota.period().as_nanos();
        self.spent + u128::from(cost) * quota.period().as_nanos() <= full + spare
    }

    fn spend(&mut self, quota: &Quota, cost: u32) {
        self.spent += u128::from(cost) * quota.period().as_nanos();
    }
}

/// A unit, which is less than four microseconds.
fn unit(quota: &Quota) -> u128 {
    4_000 * u128::from(quota.count().get())
}

#[derive(Clone, Debug)]
struct Ask {
    key: u64,
    cost: u32,
    after: u64,
}

fn asks(keys: u64, count: usize) -> impl Strategy<Value = Vec<Ask>> {
    let after = prop_oneof![Just(0), 0u64..1_000_000, 0u64..1_000_000_000];
    let ask = (0..keys, 1u32..4, after);
    let ask = ask.prop_map(|(key, cost, after)| Ask { key, cost, after });
    prop::collection::vec(ask, 1..count)
}

fn quotas() -> impl Strategy<Value = Quota> {
    let count = prop_oneof![1u32..100, 1u32..300_000];
    (count, 1u32..20)
        .prop_map(|(count, burst)| Quota::per_second(number(count)).burst(number(burst)))
}

proptest! {
    /// An unbounded map of tables that have one key each: nobody ever evicts,
    /// and all else is the same.
    #[test]
    fn evicting_what_is_idle_changes_no_decision(
        asks in asks(300, 400),
        quota in quotas(),
        seed in any::<u64>(),
    ) {
        let seed = Seed::fixed(seed);
        // If the slots are too few for once it is counted, and the rest of the
        // case says nothing.
        let of_all: Limiter = config(quota, bytes(1 << 11)).seed(seed).build().unwrap();
        let keys = strangers(seed, 300);
        let mut alone: HashMap<u64, Limiter> = HashMap::new();
        let mut now = start();
        for Ask { key, cost, after } in asks {
            let key = keys[key as usize];
            now = now + Duration::from_nanos(after);
            let alone = alone.entry(key).or_insert_with(|| limiter(quota, bytes(64)));
            let was_crowded = of_all.snapshot(now).crowded_refused();
            let all = of_all.admit_weighing(&key, now, number(cost));
            let one = alone.admit_weighing(&key, now, number(cost));
            if of_all.snapshot(now).crowded_refused() > was_crowded {
                return Ok(());
            }
            prop_assert_eq!(all, one);
        }
    }

    #[test]
    fn no_key_ever_has_more_than_burst_and_rate(
        asks in asks(30, 400),
        quota in quotas(),
        policy in prop_oneof![Just(WhenCrowded::Refuse), Just(WhenCrowded::EvictSoonestIdle)],
    ) {
        // Sixteen slots for thirty keys.
        let keys = strangers(Seed::fixed(1), 30);
        let limiter: Limiter = config(quota, bytes(128)).when_crowded(policy).build().unwrap();
        let mut buckets: HashMap<u64, Bucket> = HashMap::new();
        let (mut now, mut too_many, mut too_few) = (start(), 0, 0);
        for Ask { key, cost, after } in asks {
            if cost > quota.at_once().get() { continue; }
            now = now + Duration::from_nanos(after);
            let key = keys[key as usize];
            let bucket = buckets.entry(key).or_default();
            if limiter.admit_weighing(&key, now, number(cost)).is_ok() {
                if !bucket.fits(&quota, now, cost, unit(&quota)) {
                    // Only one whose slot was taken begins anew.
                    too_many += 1;
                    *bucket = Bucket::default();
                    bucket.fits(&quota, now, cost, 0);
                }
                bucket.spend(&quota, cost);
            } else if bucket.fits(&quota, now, cost, 0) {
                let with_less = bucket.spent + 2 * unit(&quota);
                let full = u128::from(quota.at_once().get()) * quota.period().as_nanos();
                let cost = u128::from(cost) * quota.period().as_nanos();
                too_few += u64::from(with_less + cost <= full);
            }
        }
        let snapshot = limiter.snapshot(now);
        prop_assert!(too_many <= snapshot.crowded_evicted());
        prop_assert!(too_few <= snapshot.crowded_refused());
    }

    /// The map, against the bucket.
    #[test]
    fn the_map_admits_what_the_rate_says(asks in asks(10, 300), quota in quotas()) {
        let limiter: ExactKeyedRateLimiter<u64> =
            ExactKeyedRateLimiter::new(quota, number(10), WhenFull::Refuse).unwrap();
        let mut buckets: HashMap<u64, Bucket> = HashMap::new();
        let mut now = start();
        for Ask { key, cost, after } in asks {
            if cost > quota.at_once().get() { continue; }
            now = now + Duration::from_nanos(after);
            let bucket = buckets.entry(key).or_default();
            if limiter.admit_weighing(&key, now, number(cost)).is_ok() {
                prop_assert!(bucket.fits(&quota, now, cost, unit(&quota)));
                bucket.spend(&quota, cost);
            } else {
                let fits = bucket.fits(&quota, now, cost, 0);
                let mut with_less = bucket.clone();
                with_less.spent += 2 * unit(&quota);
                prop_assert!(!fits || !with_less.fits(&quota, now, cost, 0));
            }
        }
    }
}
