//! One quota for each key, in constant memory and in a map.

use std::collections::{HashMap, HashSet};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use axiomatic_capacity::rate_limit::keyed::{Config, ConfigError, KeyHasher, Table, WhenCrowded};
use axiomatic_capacity::rate_limit::{ExactKeyedRateLimiter, KeyedRateLimiter, Quota};
use axiomatic_core::hash::Seed;
use axiomatic_core::keyed::WhenFull;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Pattern, Reason};
use proptest::prelude::*;

type Limiter = KeyedRateLimiter<u64>;

const SECOND: Duration = Duration::from_secs(1);

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn bytes(bytes: u64) -> Table {
    Table::of_bytes(NonZeroU64::new(bytes).unwrap())
}

/// Ten a second, five at once.
fn ten() -> Quota {
    Quota::per_second(number(10)).burst(number(5))
}

fn config(quota: Quota, table: Table) -> Config {
    Config::new(quota, table).named("keys").seed(Seed::fixed(1))
}

fn limiter(quota: Quota, table: Table) -> Limiter {
    config(quota, table).build().unwrap()
}

/// So many keys of which no two share a tag under this seed: what sharing does
/// is another test's.
fn strangers(seed: Seed, count: usize) -> Vec<u64> {
    let hasher = KeyHasher::new(seed);
    let mut tags = HashSet::new();
    let alone = (0..).filter(|key| tags.insert(hasher.number(*key) as u16));
    alone.take(count).collect()
}

fn start() -> Instant {
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

// --- Time ---------------------------------------------------------------

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

// --- Against what is exact ------------------------------------------------

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

// --- When it is crowded ---------------------------------------------------

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

// --- Threads --------------------------------------------------------------

#[test]
fn many_threads_with_few_keys_and_fewer_slots_admit_what_one_would() {
    // One a day: what is admitted is what is there.
    let limiter: Limiter = config(Quota::per_day(number(50)), bytes(64))
        .build()
        .unwrap();
    let keys = 8;
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let limiter = &limiter;
                scope.spawn(move || {
                    let calls = (0..8_000).map(|call| limiter.admit(&(call % keys), start()));
                    calls.filter(Result::is_ok).count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(admitted, 8 * 50);
}

/// Both bring the same new key in each turn, at times of which each may be
/// earlier; a key is live for a while and goes, so that slots change hands.
#[test]
fn threads_that_bring_one_new_key_never_get_two_bursts_of_it() {
    let quota = Quota::per_second(number(1_000)).burst(number(3));
    let limiter: Limiter = config(quota, bytes(128)).build().unwrap();
    let barrier = std::sync::Barrier::new(2);
    let of_thread = |thread: u64| -> Vec<usize> {
        let turn = |turn: u64| {
            barrier.wait();
            let late = Duration::from_micros(turn * (thread + 1) % 7);
            let now = start() + Duration::from_micros(400 * turn) + late;
            (0..3).filter(|_| limiter.admit(&turn, now).is_ok()).count()
        };
        (0..10_000).map(turn).collect()
    };
    let counts = std::thread::scope(|scope| {
        [0, 1]
            .map(|thread| scope.spawn(move || of_thread(thread)))
            .map(|thread| thread.join().unwrap())
    });
    for (key, (one, other)) in counts[0].iter().zip(&counts[1]).enumerate() {
        assert!(one + other <= 3, "key {key}: {one} and {other}");
    }
}

// --- The map ---------------------------------------------------------------

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
