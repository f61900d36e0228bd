//! Limits by key beside their floors and governor's.
//!
//! Judged is a decision on a key that is known, among one, ten thousand and a
//! million of them, visited at random; then on one that is refused, and on one
//! that is new. Time is given: ours is told it, governor has its own
//! `FakeRelativeClock`, which is a load. Nobody is refused but where that is
//! asked, and time stands still but for new keys, which come a microsecond
//! apart. With a million keys what is measured is mostly caches: the table
//! has 16 MiB and governor's map about twice that.
//!
//! Before the figures it prints what a million live keys do to the table, over
//! twenty turnovers of all of them, and what memory each of the two takes. Not
//! shown: what governor's map does when `retain_recent` walks it, and what a
//! clock costs.

mod harness;

use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axiomatic_capacity::rate_limit::keyed::{Config, Key, KeyHasher, Table, WhenCrowded};
use axiomatic_capacity::rate_limit::{ExactKeyedRateLimiter, KeyedRateLimiter, Quota};
use axiomatic_core::hash::Seed;
use axiomatic_core::keyed::WhenFull;
use axiomatic_core::time::Instant;
use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use harness::{OURS, Operation, PARTS, Suite, allocations, peer, ratio, time};

const EXACT: &str = "ours, exact map";
const TEXT: &str = "ours, keys of 15 bytes";
const HASH: &str = "floor:hash";
const COUNTS: [(&str, u32); 3] = [("1", 1), ("10k", 10_000), ("1M", 1_000_000)];

/// Nobody is refused: all that a run asks for comes at once.
const PLENTY: Quota = Quota::per_second(NonZeroU32::new(500_000).unwrap()).burst(NonZeroU32::MAX);

fn main() -> ExitCode {
    let mut suite = Suite::new("rate_limit_keyed");
    for (name, count) in COUNTS {
        known(suite.operation(&format!("known/{name}")), count);
    }
    refused(suite.operation("refused/10k"), 10_000);
    new(suite.operation("new/1M"));
    goals(&mut suite);
    let is_run = ["--list", "--help", "--under-callgrind-from"];
    if !std::env::args().any(|argument| is_run.contains(&argument.as_str())) {
        turnovers();
        memory();
    }
    suite.run()
}

fn goals(suite: &mut Suite) {
    let governor = peer("governor");
    suite.goal(
        "a known key of 10,000",
        time("known/10k", OURS).at_most(15.0),
    );
    suite.goal(
        "a known key of a million, to governor",
        ratio(time("known/1M", OURS), time("known/1M", &governor)).at_most(0.2),
    );
    for (name, _) in COUNTS {
        let operation = format!("known/{name}");
        suite.goal(
            &format!("{operation}, to governor, two threads"),
            ratio(
                time(&operation, OURS).threads(2),
                time(&operation, &governor).threads(2),
            )
            .at_most(1.0),
        );
        suite.goal(
            &format!("{operation}, to its parts"),
            ratio(time(&operation, OURS), time(&operation, PARTS)).at_most(1.6),
        );
        suite.goal(
            &format!("{operation}, allocations"),
            allocations(&operation, OURS).at_most(0.0),
        );
    }
    suite.goal(
        "a refusal among 10,000, to governor",
        ratio(time("refused/10k", OURS), time("refused/10k", &governor)).at_most(1.0),
    );
    suite.goal(
        "a new key, allocations",
        allocations("new/1M", OURS).at_most(0.0),
    );
}

// --- The operations -----------------------------------------------------

/// Keys at random: a step of xorshift, and its high half over the count.
struct Keys {
    state: u64,
    count: u64,
}

impl Keys {
    fn of(count: u32) -> Self {
        static THREADS: AtomicU64 = AtomicU64::new(0);
        Keys {
            state: 0x9e37_79b9_7f4a_7c15 ^ THREADS.fetch_add(1, Relaxed) << 20,
            count: u64::from(count),
        }
    }

    #[inline(always)]
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((self.state >> 32) * self.count) >> 32
    }
}

fn known(operation: &mut Operation, count: u32) {
    operation.case(OURS, move || {
        let limiter = ours(PLENTY, count);
        let now = start();
        for key in 0..u64::from(count) {
            let _ = limiter.admit(&key, now);
        }
        move || {
            let (limiter, mut keys) = (limiter.clone(), Keys::of(count));
            move || limiter.admit(&keys.next(), black_box(now)).is_ok()
        }
    });
    operation
        .case(TEXT, move || {
            let limiter: KeyedRateLimiter<[u8]> = built(PLENTY, count);
            let now = start();
            let texts = texts(count);
            for text in &*texts {
                let _ = limiter.admit(&text[..], now);
            }
            move || {
                let (limiter, mut keys) = (limiter.clone(), Keys::of(count));
                let texts = texts.clone();
                move || {
                    let text = &texts[keys.next() as usize];
                    limiter.admit(&text[..], black_box(now)).is_ok()
                }
            }
        })
        .note("and the cache miss of having the key");
    operation.case(EXACT, move || {
        let cap = NonZeroU32::new(count + count / 8 + 64).expect("not zero");
        let limiter: ExactKeyedRateLimiter<u64> =
            ExactKeyedRateLimiter::new(PLENTY, cap, WhenFull::Refuse).expect("it is valid");
        let now = start();
        for key in 0..u64::from(count) {
            let _ = limiter.admit(&key, now);
        }
        move || {
            let (limiter, mut keys) = (limiter.clone(), Keys::of(count));
            move || limiter.admit(&keys.next(), black_box(now)).is_ok()
        }
    });
    operation
        .case(PARTS, move || {
            let lines = lines(count);
            let hasher = KeyHasher::new(Seed::fixed(1));
            move || {
                let (lines, mut keys) = (lines.clone(), Keys::of(count));
                move || {
                    let hash = hasher.number(keys.next());
                    let line = (u128::from(hash) * lines.len() as u128) >> 64;
                    let word = &lines[line as usize].0[hash as usize % 8];
                    let seen = word.load(Relaxed);
                    word.compare_exchange(seen, seen + 1, Relaxed, Relaxed)
                        .is_ok()
                }
            }
        })
        .note("a number's hash, a CAS on its line of a table as large");
    operation
        .case(HASH, move || {
            let hasher = KeyHasher::new(Seed::fixed(1));
            move || {
                let mut keys = Keys::of(count);
                move || hasher.number(keys.next())
            }
        })
        .note("and a key at random, which all cases choose");
    operation.fetch_add();
    operation.case(peer("governor"), move || {
        let limiter = governors(PLENTY);
        for key in 0..u64::from(count) {
            let _ = limiter.check_key(&key);
        }
        move || {
            let (limiter, mut keys) = (limiter.clone(), Keys::of(count));
            move || limiter.check_key(&keys.next()).is_ok()
        }
    });
}

/// One a day, which is spent.
fn refused(operation: &mut Operation, count: u32) {
    let daily = Quota::per_day(NonZeroU32::MIN);
    operation.case(OURS, move || {
        let limiter = ours(daily, count);
        for key in 0..u64::from(count) {
            let _ = limiter.admit(&key, start());
        }
        move || {
            let (limiter, mut keys) = (limiter.clone(), Keys::of(count));
            move || limiter.admit(&keys.next(), black_box(start())).is_err()
        }
    });
    operation.fetch_add();
    operation.case(peer("governor"), move || {
        let limiter = governors(daily);
        for key in 0..u64::from(count) {
            let _ = limiter.check_key(&key);
        }
        move || {
            let (limiter, mut keys) = (limiter.clone(), Keys::of(count));
            move || limiter.check_key(&keys.next()).is_err()
        }
    });
}

/// Each call brings a new key, and each is idle again in a second: a million
/// are live.
fn new(operation: &mut Operation) {
    operation.case(OURS, || {
        let limiter = ours(Quota::per_second(NonZeroU32::MIN), 1_000_000);
        let calls = Arc::new(AtomicU64::new(0));
        move || {
            let limiter = limiter.clone();
            // Threads have keys of their own, and meet in the table.
            let mut key = calls.fetch_add(1 << 40, Relaxed);
            move || {
                key += 1;
                let call = key & ((1 << 40) - 1);
                limiter
                    .admit(&key, start() + Duration::from_micros(call))
                    .is_ok()
            }
        }
    });
    operation.fetch_add();
}

// --- What they are made of ----------------------------------------------

fn start() -> Instant {
    Instant::from_nanos(3_600_000_000_000)
}

fn built<K: Key + ?Sized>(quota: Quota, count: u32) -> KeyedRateLimiter<K> {
    let keys = NonZeroU32::new(count).expect("not zero");
    Config::new(quota, Table::for_keys(keys))
        .when_crowded(WhenCrowded::EvictSoonestIdle)
        .build()
        .expect("the configuration is valid")
}

fn ours(quota: Quota, count: u32) -> KeyedRateLimiter<u64> {
    built(quota, count)
}

type Governor =
    governor::RateLimiter<u64, DashMapStateStore<u64>, FakeRelativeClock, NoOpMiddleware<Nanos>>;

fn governors(quota: Quota) -> Arc<Governor> {
    let period = quota.period() / quota.count().get();
    let quota = governor::Quota::with_period(period)
        .expect("not nothing")
        .allow_burst(quota.at_once());
    let clock = FakeRelativeClock::default();
    Arc::new(Governor::dashmap_with_clock(quota, clock))
}

/// A cache line of words.
#[repr(align(64))]
struct Words([AtomicU64; 8]);

fn lines(count: u32) -> Arc<[Words]> {
    let count = Table::for_keys(NonZeroU32::new(count).expect("not zero")).bytes() / 64;
    let line = |_| Words(std::array::from_fn(|_| AtomicU64::new(0)));
    (0..count).map(line).collect()
}

/// Keys as texts.
fn texts(count: u32) -> Arc<[[u8; 15]]> {
    let text = |key: u32| {
        let mut text = *b"tenant-00000000";
        for (digit, byte) in text[7..].iter_mut().rev().enumerate() {
            *byte = b'0' + (key / 10u32.pow(digit as u32) % 10) as u8;
        }
        text
    };
    (0..count).map(text).collect()
}

// --- A million live keys ------------------------------------------------

/// A million keys are live at a time, each new when it comes, and twenty
/// million more come.
fn turnovers() {
    const LIVE: u32 = 1_000_000;
    let million = NonZeroU32::new(LIVE).expect("not zero");
    for (text, table) in [
        ("16 bytes a key", Table::for_keys(million)),
        ("32 bytes a key", Table::for_keys(million).roomy()),
    ] {
        let quota = Quota::per_second(NonZeroU32::MIN);
        let limiter: KeyedRateLimiter<u64> = Config::new(quota, table)
            .build()
            .expect("the configuration is valid");
        let calls = 21 * u64::from(LIVE);
        let at = |call| start() + Duration::from_micros(call);
        for call in 0..calls {
            let _ = limiter.admit(&call, at(call));
        }
        let snapshot = limiter.snapshot(at(calls));
        let without = snapshot.crowded_refused() as f64 / calls as f64;
        println!(
            "{text}: {:.4} % of {calls} new keys without a slot",
            without * 100.0
        );
        println!("  {snapshot}");
    }
}

/// The memory of a million keys, as the kernel counts it.
fn memory() {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        statm
            .split(' ')
            .nth(1)?
            .parse::<u64>()
            .ok()
            .map(|pages| pages * 4_096)
    };
    let before = resident();
    let limiter = governors(PLENTY);
    for key in 0..1_000_000 {
        let _ = limiter.check_key(&key);
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        let bytes = after.saturating_sub(before) as f64 / 1e6;
        println!(
            "{}: {bytes:.0} bytes a key, and more with each that comes",
            peer("governor")
        );
    }
}
