//! Random scripts against what must hold: the sum over every stretch of time,
//! and a bucket of exact fractions. One file, because the scripts are the same.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::{
    Algorithm, Config, Inheritance, Permit, Quota, RateLimiter, Reservation,
};
use axiomatic_core::time::Instant;
use proptest::prelude::*;

fn some(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn quotas() -> impl Strategy<Value = Quota> {
    let shapes = prop_oneof![
        // So that nanoseconds and units nearly never meet.
        (1..50u32, 50..5_000u64),
        (1..2_000u32, Just(1_000_000u64)),
        (1..5u32, 1..20u64).prop_map(|(count, period)| (count, period + u64::from(count))),
        Just((700_000_000, 1_000_000_000)),
    ];
    (shapes, 1..12u32).prop_map(|((count, period), burst)| {
        Quota::new(some(count), Duration::from_nanos(period)).burst(some(burst))
    })
}

#[derive(Clone, Debug)]
enum Op {
    Admit(u32),
    /// So much, and within so many emission intervals.
    Reserve(u32, u64),
    /// The nth of those that are held.
    GiveBack(usize),
    Refund(u32),
    Drain,
    Update(Quota, Inheritance),
    /// So many thousandths of an emission interval.
    Later(u64),
    Earlier(u64),
}

fn calls() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..6u32).prop_map(Op::Admit),
        3 => (1..6u32, 0..20u64).prop_map(|(cost, within)| Op::Reserve(cost, within)),
        3 => (0..8usize).prop_map(Op::GiveBack),
        6 => (0..8_000u64).prop_map(Op::Later),
    ]
}

fn anything() -> impl Strategy<Value = Op> {
    let inheritance = prop_oneof![
        Just(Inheritance::AsIs),
        Just(Inheritance::Proportional),
        Just(Inheritance::Additive),
        Just(Inheritance::Reset),
    ];
    prop_oneof![
        8 => calls(),
        1 => (1..6u32).prop_map(Op::Refund),
        1 => Just(Op::Drain),
        1 => (quotas(), inheritance).prop_map(|(quota, how)| Op::Update(quota, how)),
        1 => (0..8_000u64).prop_map(Op::Earlier),
    ]
}

fn interval(quota: &Quota) -> u64 {
    let nanos = u64::try_from(quota.period().as_nanos()).unwrap();
    nanos.div_ceil(u64::from(quota.count().get()))
}

/// What is held of a grant, with the instant from which on it is good.
enum Held<'l> {
    Permit(Permit<'l>),
    Reservation(Reservation),
}

struct Grant<'l> {
    at: Instant,
    cost: u32,
    held: Option<Held<'l>>,
}

/// In every stretch of time, from one grant to another, no more than a burst,
/// what comes at the rate, and a unit, which is less than a cell.
fn holds(grants: &[Grant<'_>], quota: &Quota) -> Result<(), TestCaseError> {
    let mut grants: Vec<_> = grants.iter().map(|grant| (grant.at, grant.cost)).collect();
    grants.sort_unstable();
    let (count, period) = (u128::from(quota.count().get()), quota.period().as_nanos());
    let units = 1u128 << (period / count).ilog2();
    for (from, first) in grants.iter().enumerate() {
        let mut sum = 0u128;
        for (at, cost) in &grants[from..] {
            sum += u128::from(*cost);
            let time = u128::from(at.as_nanos() - first.0.as_nanos());
            // All of it times the period and the units in a cell.
            let burst = u128::from(quota.at_once().get()) * period * units;
            let bound = burst + time * count * units + period;
            prop_assert!(
                sum * period * units <= bound,
                "{sum} within {time} ns of {quota}"
            );
        }
    }
    Ok(())
}

fn run_calls(limiter: &RateLimiter, ops: Vec<Op>, start: u64) -> Result<(), TestCaseError> {
    let quota = limiter.quota();
    let mut grants = Vec::new();
    let mut now = Instant::from_nanos(start);
    for op in ops {
        match op {
            Op::Admit(cost) => {
                if let Ok(permit) = limiter.admit_weighing(now, some(cost)) {
                    let held = Some(Held::Permit(permit));
                    grants.push(Grant {
                        at: now,
                        cost,
                        held,
                    });
                }
            }
            Op::Reserve(cost, within) => {
                let until = now + Duration::from_nanos(within * interval(&quota));
                if let Ok(reservation) = limiter.reserve(now, some(cost), until) {
                    let at = reservation.ready_at();
                    prop_assert!(now <= at && at <= until);
                    let held = Some(Held::Reservation(reservation));
                    grants.push(Grant { at, cost, held });
                }
            }
            Op::GiveBack(nth) if !grants.is_empty() => {
                let at = nth % grants.len();
                match grants.swap_remove(at).held {
                    Some(Held::Permit(permit)) => permit.give_back(now),
                    Some(Held::Reservation(reservation)) => reservation.cancel(now),
                    None => unreachable!("nothing was given back yet"),
                }
            }
            Op::Later(thousandths) => {
                let nanos = interval(&quota).saturating_mul(thousandths) / 1_000;
                now = now + Duration::from_nanos(nanos);
            }
            _ => {}
        }
        holds(&grants, &quota)?;
    }
    Ok(())
}

proptest! {
    /// Whatever is asked, reserved and given back.
    #[test]
    fn never_more_than_a_burst_and_the_rate(
        quota in quotas(), start in 0..(1u64 << 56), ops in prop::collection::vec(calls(), 1..60),
    ) {
        let limiter = Config::new(quota).build().unwrap();
        run_calls(&limiter, ops, start)?;
    }

    /// Clocks of callers that are out of step, in both directions.
    #[test]
    fn clocks_out_of_step_admit_no_more(
        quota in quotas(), ops in prop::collection::vec((1..4u32, 0..6_000u64), 1..60),
    ) {
        let limiter = Config::new(quota).build().unwrap();
        let mut grants = Vec::new();
        for (cost, thousandths) in ops {
            let nanos = interval(&quota) * thousandths / 1_000;
            let now = Instant::from_nanos(1_000_000 + nanos);
            if limiter.admit_weighing(now, some(cost)).is_ok() {
                grants.push(Grant { at: now, cost, held: None });
            }
        }
        holds(&grants, &quota)?;
    }

    /// A refusal says when: it is admitted then, and not a nanosecond before.
    #[test]
    fn the_wait_that_is_told_suffices_and_is_the_least(
        quota in quotas(), start in 0..(1u64 << 50),
        costs in prop::collection::vec((1..12u32, 0..3_000u64), 1..30),
    ) {
        let limiter = Config::new(quota).build().unwrap();
        let mut now = Instant::from_nanos(start);
        for (cost, thousandths) in costs {
            now = now + Duration::from_nanos(interval(&quota) * thousandths / 1_000);
            let Err(refused) = limiter.admit_weighing(now, some(cost)) else {
                continue;
            };
            let Some(wait) = refused.retry_after() else {
                prop_assert!(cost > quota.at_once().get());
                continue;
            };
            prop_assert!(wait > Duration::ZERO);
            let early = now + (wait - Duration::from_nanos(1));
            prop_assert!(limiter.admit_weighing(early, some(cost)).is_err());
            let due = limiter.admit_weighing(now + wait, some(cost));
            prop_assert!(due.is_ok());
            due.unwrap().give_back(now + wait);
        }
    }
}

/// A bucket of exact fractions: cells times the period in nanoseconds times the
/// parts that everything here divides into.
struct Bucket {
    quota: Quota,
    level: i128,
    at: u64,
    /// What the limiter may have rounded off.
    slack: i128,
}

/// So that a change of quotas divides nothing away.
const PARTS: i128 = 1 << 40;

impl Bucket {
    fn full(quota: Quota) -> Self {
        let mut bucket = Bucket {
            quota,
            level: 0,
            at: 0,
            slack: 0,
        };
        bucket.level = bucket.capacity();
        bucket.slack = 2 * bucket.unit();
        bucket
    }

    fn period(&self) -> i128 {
        i128::try_from(self.quota.period().as_nanos()).unwrap()
    }

    fn of(&self, cells: u32) -> i128 {
        i128::from(cells) * self.period() * PARTS
    }

    fn capacity(&self) -> i128 {
        self.of(self.quota.at_once().get())
    }

    /// A unit of the limiter's, of which a few are rounded.
    fn unit(&self) -> i128 {
        let count = i128::from(self.quota.count().get());
        let units = 1i128 << (self.period() / count).ilog2();
        self.period() * PARTS / units
    }

    /// The level at an instant, which an earlier one does not lower.
    fn at(&mut self, now: Instant) -> i128 {
        let elapsed = i128::from(now.as_nanos().saturating_sub(self.at));
        let count = i128::from(self.quota.count().get());
        self.level = (self.level + elapsed * count * PARTS).min(self.capacity());
        // A full bucket knows nothing of the past.
        let is_full = self.level == self.capacity();
        self.at = if is_full {
            now.as_nanos()
        } else {
            self.at.max(now.as_nanos())
        };
        self.level
    }

    /// Changes the quota, and what may have been rounded off before with it.
    fn update(&mut self, now: Instant, quota: Quota, inheritance: Inheritance) {
        let level = self.at(now);
        let (old_period, old_capacity) = (self.period(), self.capacity());
        self.quota = quota;
        let (period, capacity) = (self.period(), self.capacity());
        let cells = |level: i128| level * period / old_period;
        // In large parts, so that it fits.
        let share =
            |level: i128| ((level >> 20) * (capacity / PARTS) / (old_capacity / PARTS)) << 20;
        let (level, slack) = match inheritance {
            Inheritance::AsIs => (cells(level), cells(self.slack)),
            Inheritance::Proportional => (share(level), share(self.slack)),
            Inheritance::Additive => {
                let missing = old_capacity - level;
                (capacity - cells(missing), cells(self.slack))
            }
            Inheritance::Reset => (capacity, 0),
        };
        self.level = level.min(capacity);
        self.slack = slack + 4 * self.unit();
    }
}

proptest! {
    /// It decides as the bucket does, but for a few units of rounding, which do
    /// not add up: the bucket follows its decisions and nothing else.
    #[test]
    fn does_what_a_bucket_of_exact_fractions_does(
        quota in quotas(), ops in prop::collection::vec(anything(), 1..80),
    ) {
        let limiter = Config::new(quota).build().unwrap();
        let mut bucket = Bucket::full(quota);
        let mut now = Instant::from_nanos(1_000_000_000);
        let mut latest = now;
        let mut was_behind = false;
        for op in ops {
            let slack = bucket.slack;
            match op {
                Op::Admit(cost) => {
                    let level = bucket.at(now);
                    let is_admitted = limiter.admit_weighing(now, some(cost)).is_ok();
                    let wanted = bucket.of(cost);
                    if is_admitted {
                        prop_assert!(level + slack >= wanted, "{level} of {wanted}, {slack}");
                        bucket.level -= wanted;
                    } else if !was_behind {
                        // Where clocks are behind it may be stricter.
                        prop_assert!(level - slack < wanted, "{level} of {wanted}, {slack}");
                    }
                }
                Op::Reserve(cost, within) => {
                    let level = bucket.at(now);
                    let until = now + Duration::from_nanos(within * interval(&bucket.quota));
                    if let Ok(reservation) = limiter.reserve(now, some(cost), until) {
                        // There will be enough by then.
                        let wait = i128::from(reservation.ready_at().as_nanos());
                        let wait = (wait - i128::from(bucket.at)).max(0);
                        let count = i128::from(bucket.quota.count().get());
                        let then = level + wait * count * PARTS;
                        prop_assert!(then + slack >= bucket.of(cost));
                        bucket.level -= bucket.of(cost);
                    }
                }
                // Those who change what is left know the time.
                Op::Refund(cost) => {
                    now = latest;
                    limiter.refund(now, some(cost));
                    let level = bucket.at(now) + bucket.of(cost);
                    bucket.level = level.min(bucket.capacity());
                }
                Op::Drain => {
                    now = latest;
                    limiter.drain(now);
                    bucket.level = bucket.at(now).min(0);
                }
                Op::Update(quota, inheritance) => {
                    now = latest;
                    limiter.update(now, quota, inheritance).unwrap();
                    bucket.update(now, quota, inheritance);
                }
                Op::Later(thousandths) => {
                    let nanos = interval(&bucket.quota).saturating_mul(thousandths) / 1_000;
                    now = now + Duration::from_nanos(nanos);
                    latest = latest.max(now);
                }
                Op::Earlier(thousandths) => {
                    let nanos = interval(&bucket.quota).saturating_mul(thousandths) / 1_000;
                    now = Instant::from_nanos(now.as_nanos().saturating_sub(nanos));
                    was_behind |= nanos > 0;
                }
                Op::GiveBack(_) => {}
            }
        }
    }
}

proptest! {
    /// A bucket that is filled up at the end of each period, and its special
    /// case, a window: against a level and a count.
    #[test]
    fn steps_are_what_a_level_and_a_count_say(
        count in 1..30u32, period in 30..5_000u64, burst in 1..60u32,
        calls in prop::collection::vec((0..4_000u64, 1..20u32), 1..100),
        is_window in any::<bool>(), start in 0..(1u64 << 50),
    ) {
        let burst = if is_window { count } else { burst };
        let quota = Quota::new(some(count), Duration::from_nanos(period)).burst(some(burst));
        let algorithm = if is_window { Algorithm::FixedWindow } else { Algorithm::TokenBucket };
        let limiter = Config::new(quota).algorithm(algorithm).build().unwrap();
        let (mut level, mut seen, mut now) = (u64::from(burst), 0, start);
        for (later, cost) in calls {
            now += later;
            let ended = now / period - seen;
            seen += ended;
            level = (level + ended * u64::from(count)).min(u64::from(burst));
            let at = Instant::from_nanos(now);
            match limiter.admit_weighing(at, some(cost)) {
                Ok(_) => {
                    prop_assert!(u64::from(cost) <= level);
                    level -= u64::from(cost);
                }
                Err(refused) => {
                    prop_assert!(u64::from(cost) > level);
                    let missing = u64::from(cost) - level;
                    let periods = missing.div_ceil(u64::from(count));
                    let due = (seen + periods) * period;
                    let wait = (cost <= burst).then(|| Duration::from_nanos(due - now));
                    prop_assert_eq!(refused.retry_after(), wait);
                }
            }
            prop_assert_eq!(limiter.peek(at).available(), level);
        }
    }
}
