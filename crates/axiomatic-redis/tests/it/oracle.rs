//! The script beside an oracle that counts in fractions: the same decisions,
//! the same waits, at the times that the test says.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::support::Shared;

const SCRIPT: &str = include_str!("../../src/rate_limit/gcra.lua");

/// The script with a time that the test says, as its last argument.
fn script() -> redis::Script {
    let timed = SCRIPT.replace("redis.call('TIME')", "{ ARGV[#ARGV], '0' }");
    assert_ne!(timed, SCRIPT, "the script asks for the time in another way");
    let timed = timed.replace("time[1] * 1000000 + time[2]", "tonumber(time[1])");
    // No key expires in the test's time.
    let kept = timed.replace("string.format('%.0f', keep)", "'600000'");
    assert_ne!(timed, kept, "the script lets keys expire in another way");
    redis::Script::new(&kept)
}

#[derive(Copy, Clone, Debug)]
struct Quota {
    count: u64,
    period: u64,
    burst: u64,
}

impl Quota {
    fn of(self) -> u128 {
        1_000 * u128::from(self.count)
    }

    /// Micros and parts of so many cells.
    fn sum(self, cells: u64) -> [u128; 2] {
        let parts = u128::from(cells) * u128::from(self.period);
        [parts / self.of(), parts % self.of()]
    }
}

/// Arrival times in exact parts: of a microsecond, `1000 × count`.
#[derive(Default)]
struct Oracle(HashMap<usize, u128>);

impl Oracle {
    /// How far ahead the arrival time is afterwards, and whether it fits.
    fn take(&mut self, key: usize, quota: Quota, now: u64, cost: u64) -> (bool, u128) {
        let now = u128::from(now) * quota.of();
        let (cell, burst) = (u128::from(quota.period), u128::from(quota.burst));
        let arrival = self.0.entry(key).or_default();
        let before = (*arrival).max(now);
        let after = before.min(now + burst * cell) + u128::from(cost) * cell;
        if after > now + burst * cell {
            return (false, before - now);
        }
        *arrival = after;
        (true, after - now)
    }

    fn give(&mut self, key: usize, quota: Quota, now: u64, count: u64) -> u128 {
        let now = u128::from(now) * quota.of();
        let arrival = self.0.entry(key).or_default();
        let given = u128::from(count) * u128::from(quota.period);
        let after = (*arrival).max(now).saturating_sub(given);
        // A full bucket is none.
        *arrival = if after > now { after } else { 0 };
        after.saturating_sub(now)
    }
}

#[derive(Copy, Clone, Debug)]
enum Step {
    Take {
        key: usize,
        cost: u64,
    },
    Give {
        key: usize,
        count: u64,
    },
    /// Forward, in microseconds.
    Wait(u64),
    /// The server's clock is set back.
    Back(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..2, 1u64..5).prop_map(|(key, cost)| Step::Take { key, cost }),
        1 => (0usize..2, 1u64..4).prop_map(|(key, count)| Step::Give { key, count }),
        3 => (0u64..2_000_000).prop_map(Step::Wait),
        2 => (0u64..3).prop_map(Step::Wait),
        1 => (0u64..100_000).prop_map(Step::Back),
    ]
}

fn quota() -> impl Strategy<Value = Quota> {
    // From one in many days to seven hundred a microsecond, few of which divide
    // anything.
    let count = prop_oneof![1u64..100, 1u64..u64::from(u32::MAX)];
    let period = prop_oneof![
        Just(1_000_000_000u64),
        1_000u64..10_000_000_000,
        1u64 << 40..1 << 46
    ];
    (count, period, 1u64..2_000)
        .prop_map(|(count, period, burst)| Quota {
            count,
            period,
            burst,
        })
        .prop_filter("a quota that can be kept", |quota| {
            quota.count <= quota.period
                && u128::from(quota.burst) * u128::from(quota.period) / u128::from(quota.count)
                    <= 1 << 55
        })
}

fn ask(
    redis: &mut redis::Connection,
    script: &redis::Script,
    (what, key, quota, cells): (&str, &str, Quota, u64),
    now: u64,
) -> (bool, u128) {
    let [burst, burst_parts] = quota.sum(quota.burst);
    let [micros, parts] = quota.sum(cells);
    let mut call = script.key(key);
    call.arg(what);
    for number in [quota.of(), burst, burst_parts, 1, micros, parts] {
        call.arg(number.to_string());
    }
    call.arg(now);
    let reply: Vec<u64> = call.invoke(redis).expect("the script runs");
    let ahead = u128::from(reply[1]) * quota.of() + u128::from(reply[2]);
    (reply[0] == 1, ahead)
}

#[test]
fn the_script_does_exactly_what_fractions_say() {
    let Some(shared) = Shared::find() else { return };
    let redis = RefCell::new(shared.client.get_connection().unwrap());
    let script = script();
    let number = Cell::new(0);
    let cases = ProptestConfig::with_cases(400);
    proptest!(cases, |(quota in quota(), steps in prop::collection::vec(step(), 1..60))| {
        number.set(number.get() + 1);
        let redis = &mut *redis.borrow_mut();
        let mut oracle = Oracle::default();
        // The year 2200.
        let mut now = 7_258_118_400_000_000u64;
        for step in steps {
            let name = |key| format!("{{{}}}:{}:{key}", shared.prefix, number.get());
            match step {
                Step::Take { key, cost } => {
                    let asked = ("take", &*name(key), quota, cost);
                    let said = ask(redis, &script, asked, now);
                    prop_assert_eq!(said, oracle.take(key, quota, now, cost));
                }
                Step::Give { key, count } => {
                    let asked = ("give", &*name(key), quota, count);
                    let (_, said) = ask(redis, &script, asked, now);
                    prop_assert_eq!(said, oracle.give(key, quota, now, count));
                }
                Step::Wait(micros) => now += micros,
                Step::Back(micros) => now -= micros,
            }
        }
    });
}

/// What the script says to a take of these sums from each of the keys, which
/// have the same quota, and what it then keeps of the first.
fn take(
    redis: &mut redis::Connection,
    script: &redis::Script,
    (names, quota, sums): (&[&str], Quota, &[u64]),
    now: u64,
) -> ([u64; 3], Option<String>) {
    let mut call = script.prepare_invoke();
    call.arg("take");
    let [burst, burst_parts] = quota.sum(quota.burst);
    for name in names {
        call.key(*name);
        for number in [quota.of(), burst, burst_parts, sums.len() as u128] {
            call.arg(number.to_string());
        }
        for number in sums.iter().flat_map(|sum| quota.sum(*sum)) {
            call.arg(number.to_string());
        }
    }
    call.arg(now);
    let reply: Vec<u64> = call.invoke(redis).expect("the script runs");
    let kept = redis::cmd("GET").arg(names[0]).query(redis);
    (
        [reply[0], reply[1], reply[2]],
        kept.expect("text or nothing"),
    )
}

/// The script has a shorter way for one key.
#[test]
fn a_key_alone_is_decided_as_it_is_among_several() {
    let Some(shared) = Shared::find() else { return };
    let redis = RefCell::new(shared.client.get_connection().unwrap());
    let script = script();
    let number = Cell::new(0);
    let sums = prop::collection::vec(1u64..9, 1..4);
    let step = prop_oneof![
        4 => (0usize..2, sums).prop_map(Ok),
        1 => prop_oneof![0i64..3, 0i64..2_000_000, -100_000i64..0].prop_map(Err),
    ];
    let steps = prop::collection::vec(step, 1..40);
    let cases = ProptestConfig::with_cases(200);
    proptest!(cases, |(quotas in [quota(), quota()], steps in steps)| {
        let redis = &mut *redis.borrow_mut();
        let name = || {
            number.set(number.get() + 1);
            format!("{{{}}}:{}", shared.prefix, number.get())
        };
        let (alone, among) = (name(), name());
        let mut now = 7_258_118_400_000_000u64;
        for step in steps {
            match step {
                Ok((quota, mut sums)) => {
                    sums.sort_by(|one, other| other.cmp(one));
                    // The other is full, so it decides nothing.
                    let full = name();
                    let quota = quotas[quota];
                    let one = take(redis, &script, (&[&alone], quota, &sums), now);
                    let both = (&[&*among, &*full][..], quota, &*sums);
                    prop_assert_eq!(one, take(redis, &script, both, now));
                }
                Err(micros) => now = now.wrapping_add_signed(micros),
            }
        }
    });
}

/// Two versions of a program run side by side, and each has another quota.
#[test]
fn a_quota_that_changes_is_never_looser_for_the_parts_of_a_microsecond() {
    let Some(shared) = Shared::find() else { return };
    let mut redis = shared.client.get_connection().unwrap();
    let script = script();
    let name = format!("{{{}}}:changing", shared.prefix);
    let thirds = Quota {
        count: 3_000_000,
        period: 1_000_000_000,
        burst: 3_000,
    };
    let sevenths = Quota {
        count: 7_000_000,
        period: 1_000_000_000,
        burst: 7_000,
    };
    let now = 1_800_000_000_000_000;
    let (mut passed, mut goes_on) = ([0u64; 2], true);
    while goes_on {
        goes_on = false;
        // Two thirds, and then five sevenths: were parts of the one taken for
        // parts of the other, they would seem to be one microsecond.
        for n in [0, 0, 1, 1, 1, 1, 1] {
            let quota = [thirds, sevenths][n];
            let (fits, _) = ask(&mut redis, &script, ("take", &name, quota, 1), now);
            passed[n] += u64::from(fits);
            goes_on |= fits;
        }
    }
    // A millisecond is in the bucket, and what passed is worth no more.
    let worth = Duration::from_nanos(passed[0] * 1_000 / 3 + passed[1] * 1_000 / 7);
    assert!(
        worth <= Duration::from_millis(1),
        "{passed:?} are {worth:?}"
    );
    assert!(passed.iter().sum::<u64>() > 2_000, "{passed:?}");
}
