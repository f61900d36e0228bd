//! The arithmetic of one key: pure functions of whole numbers.
//!
//! Arrival times are kept in whole microseconds, and a cell rarely takes a
//! whole number of them: to round each one would make 300,000 a second
//! 250,000. So a key's time is counted in *units*, a cell being exactly
//! `2^shift` of them, and what is kept is a name for a number of units: the
//! first whole microsecond in it. A unit is between two and four microseconds,
//! so each has one of its own, and the number comes back from the name.
//!
//! ```text
//! unit(t) = ⌊t / u + 1/32⌋        a microsecond's unit
//! time(k) = ⌊k · u⌋ + 1            a unit's microsecond: unit(time(k)) = k
//! ```
//!
//! Both are a multiplication by a number of 64 bits. `u` is rounded up by
//! less than 2^-60, its reciprocal down by less than 2^-64, and `t` is below
//! 2^55 and `k` below 2^54: a microsecond is off by 2^-6 at most and a unit by
//! 2^-9, which the thirty-second part and the half unit that is left absorb.
//! What is off is never summed up, since cells are added in units.

use super::ConfigError;
use crate::rate_limit::Quota;

/// A quota in numbers that decide.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// 2^64 through the microseconds of a unit.
    pub(super) reciprocal: u64,
    /// The microseconds of a unit, times 2^60.
    pub(super) unit: u64,
    /// A cell is two to this of units.
    pub(super) shift: u32,
    /// How many cells come at once.
    pub(super) burst: u32,
}

/// What becomes of a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It passes, and the key's next arrival is this one.
    Admit {
        arrival: u64,
        /// Units that are left.
        left: u64,
    },
    /// It does not, until this microsecond.
    Refuse {
        until: u64,
        /// Where the key's arrival should be, if it lies further ahead than
        /// this clock can have put it.
        pull_back: Option<u64>,
    },
}

/// The longest that a caller's clock may lag behind that of another. What lies
/// further ahead than a burst and this was not written by this clock under
/// this quota, and is pulled back.
pub(super) const LAG: u64 = 3_600 * 1_000_000;

/// The furthest ahead that an arrival lies.
pub(super) const FURTHEST: u64 = Quota::LONGEST.as_micros() as u64 + LAG;

const UNIT_BITS: u32 = 60;
const A_THIRTY_SECOND: u128 = 1 << 59;

impl Pace {
    /// The quota in numbers, if it can be kept.
    pub(super) fn of(quota: &Quota) -> Result<Self, ConfigError> {
        let period = u128::from(quota.check().map_err(ConfigError::Quota)?);
        // Nanoseconds of a period, and cells of a thousand periods: a cell
        // takes `period / cells` microseconds.
        let cells = u128::from(quota.count().get()) * 1_000;
        if cells * 2 > period {
            return Err(ConfigError::TooFast(*quota));
        }
        // The largest with cells · 2^shift · 2 ≤ period.
        let shift = (period / (cells * 2)).ilog2();
        let units = cells << shift;
        Ok(Pace {
            // At most 2^63, and at most 2^62: a unit is two to four
            // microseconds.
            reciprocal: ((units << 64) / period) as u64,
            unit: (period << UNIT_BITS).div_ceil(units) as u64,
            shift,
            burst: quota.at_once().get(),
        })
    }

    /// The unit of a microsecond.
    #[inline(always)]
    fn unit_of(self, micros: u64) -> u64 {
        let product = u128::from(micros) * u128::from(self.reciprocal);
        ((product + A_THIRTY_SECOND) >> 64) as u64
    }

    /// A microsecond of the unit.
    #[inline(always)]
    fn time_of(self, unit: u64) -> u64 {
        ((u128::from(unit) * u128::from(self.unit)) >> UNIT_BITS) as u64 + 1
    }

    /// All that comes at once, in units: `Quota::check` keeps it below 2^45.
    #[inline(always)]
    fn burst_units(self) -> u64 {
        u64::from(self.burst) << self.shift
    }

    /// Decides on a call of so many cells, no more than the burst. `arrival`
    /// is the key's, or any time up to `now` for one that has nothing spent.
    #[inline(always)]
    pub(super) fn decide(self, arrival: u64, now: u64, cost: u32) -> Decision {
        let at = self.unit_of(now);
        // A unit is not left before it began: max of the times would do as
        // well, and would wait for the comparison.
        let next = self.unit_of(arrival).max(at) + (u64::from(cost) << self.shift);
        let most = at + self.burst_units();
        if next <= most {
            return Decision::Admit {
                arrival: self.time_of(next),
                left: most - next,
            };
        }
        self.refuse(arrival, now, next, cost)
    }

    #[cold]
    fn refuse(self, arrival: u64, now: u64, next: u64, cost: u32) -> Decision {
        let empty = self.time_of(self.unit_of(now) + self.burst_units());
        if arrival > empty + LAG {
            let next = self.unit_of(empty) + (u64::from(cost) << self.shift);
            return Decision::Refuse {
                until: self.time_of(next - self.burst_units()),
                pull_back: Some(empty),
            };
        }
        Decision::Refuse {
            until: self.time_of(next - self.burst_units()),
            pull_back: None,
        }
    }

    /// The arrival of a key that is given cells back.
    pub(super) fn refund(self, arrival: u64, now: u64, cost: u32) -> u64 {
        let unit = self.unit_of(arrival);
        let back = unit.saturating_sub(u64::from(cost) << self.shift);
        if back <= self.unit_of(now) {
            now.min(arrival)
        } else {
            self.time_of(back)
        }
    }

    /// How many cells of so many units are whole.
    #[inline]
    pub(super) fn cells(self, units: u64) -> u32 {
        // No more than the burst, which is 32 bits.
        (units >> self.shift) as u32
    }

    /// How many cells a key has left.
    pub(super) fn left(self, arrival: u64, now: u64) -> u32 {
        let at = self.unit_of(now);
        let most = at + self.burst_units();
        self.cells(most.saturating_sub(self.unit_of(arrival).max(at)))
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Decision, LAG, Pace};
    use crate::rate_limit::Quota;

    fn quota(count: u32, period: u64, burst: u32) -> Quota {
        let [count, burst] = [count, burst].map(|n| NonZeroU32::new(n).unwrap());
        Quota::new(count, Duration::from_nanos(period)).burst(burst)
    }

    /// What `Quota::check` and `Pace::of` let pass.
    fn quotas() -> impl Strategy<Value = Quota> {
        let period = prop_oneof![1_000u64..1 << 55, Just(1_000_000_000), 2_000u64..100_000];
        let count = prop_oneof![1u32..2_000, 1u32..=u32::MAX];
        let burst = prop_oneof![1u32..100, 1u32..=u32::MAX];
        (count, period, burst)
            .prop_map(|(count, period, burst)| quota(count, period, burst))
            .prop_filter("kept", |quota| Pace::of(quota).is_ok())
    }

    /// Microseconds that a `u64` of nanoseconds has.
    const LAST: u64 = u64::MAX / 1_000;

    fn times() -> impl Strategy<Value = u64> {
        prop_oneof![0..=LAST, LAST - 1_000..=LAST, 0u64..10_000]
    }

    proptest! {
        #[test]
        fn a_unit_comes_back_from_its_microsecond(quota in quotas(), now in times()) {
            let pace = Pace::of(&quota).unwrap();
            for unit in [pace.unit_of(now), pace.unit_of(now) + pace.burst_units()] {
                prop_assert_eq!(pace.unit_of(pace.time_of(unit)), unit);
                // And is not there before.
                let before = pace.time_of(unit).saturating_sub(3);
                prop_assert!(pace.unit_of(before) < unit || before == 0);
            }
        }

        #[test]
        fn a_burst_is_admitted_and_not_one_more(
            mut quota in quotas(),
            now in times(),
            burst in 1u32..200,
        ) {
            quota = quota.burst(NonZeroU32::new(burst).unwrap());
            prop_assume!(Pace::of(&quota).is_ok());
            let pace = Pace::of(&quota).unwrap();
            let mut arrival = now;
            for left in (0..burst).rev() {
                prop_assert_eq!(pace.left(arrival, now), left + 1);
                let Decision::Admit { arrival: next, left: units } = pace.decide(arrival, now, 1)
                else { panic!("one of the burst") };
                prop_assert_eq!(pace.cells(units), left);
                arrival = next;
            }
            prop_assert_eq!(pace.left(arrival, now), 0);
            let Decision::Refuse { until, pull_back } = pace.decide(arrival, now, 1)
            else { panic!("one more than the burst") };
            prop_assert_eq!(pull_back, None);
            // It is what it says.
            let then = matches!(pace.decide(arrival, until, 1), Decision::Admit { .. });
            prop_assert!(then);
            let before = pace.decide(arrival, until.saturating_sub(5), 1);
            let before = matches!(before, Decision::Admit { .. });
            prop_assert!(!before);
        }

        /// In any time no more than the burst, the rate, and one unit; and
        /// what is refused is more than that, less two units.
        #[test]
        fn admits_what_the_rate_says_in_exact_numbers(
            quota in quotas(),
            start in times(),
            steps in prop::collection::vec((0u64..1 << 40, 1u32..5, 0u32..41), 1..200),
        ) {
            let pace = Pace::of(&quota).unwrap();
            let (mut now, mut arrival) = (start, start);
            // In the time of cells, times the period: what the exact bucket
            // lacks. One microsecond brings 1000 · count of it.
            let (count, period) = (u128::from(quota.count().get()), quota.period().as_nanos());
            let full = u128::from(quota.at_once().get()) * period;
            // A unit is less than four microseconds.
            let unit = 4 * 1_000 * count;
            let mut lacks = 0u128;
            for (step, cost, narrow) in steps {
                let step = step >> narrow;
                if now + step > LAST { break; }
                now += step;
                lacks = lacks.saturating_sub(u128::from(step) * 1_000 * count);
                if cost > quota.at_once().get() { continue; }
                let would = lacks + u128::from(cost) * period;
                match pace.decide(arrival, now, cost) {
                    Decision::Admit { arrival: next, .. } => {
                        prop_assert!(would <= full + unit, "one too many");
                        lacks = would;
                        arrival = next;
                    }
                    Decision::Refuse { .. } => prop_assert!(would + 2 * unit > full, "one too few"),
                }
            }
        }

        #[test]
        fn what_is_refunded_is_there_and_no_more_than_a_burst(
            quota in quotas(),
            now in times(),
            later in 0u64..1 << 40,
        ) {
            let pace = Pace::of(&quota).unwrap();
            let Decision::Admit { arrival, .. } = pace.decide(now, now, 1) else { panic!() };
            let back = pace.refund(arrival, now, 1);
            prop_assert!(back <= now);
            prop_assert_eq!(pace.left(back, now), quota.at_once().get());
            let back = pace.refund(arrival, now + later, u32::MAX);
            prop_assert_eq!(pace.left(back, now + later), quota.at_once().get());
        }
    }

    /// A cell of 3.33 µs, for which whole microseconds would be a fourth off.
    #[test]
    fn nothing_drifts_in_ten_million_cells() {
        let pace = Pace::of(&quota(300_000, 1_000_000_000, 1)).unwrap();
        let mut arrival = 0;
        for _ in 0..10_000_000u32 {
            let Decision::Admit { arrival: next, .. } = pace.decide(arrival, arrival, 1) else {
                panic!("it is time")
            };
            arrival = next;
        }
        // 33.33 s, to the microsecond.
        assert!((33_333_333..=33_333_335).contains(&arrival), "{arrival}");
    }

    #[test]
    fn what_no_clock_of_ours_can_have_written_is_pulled_back() {
        // Ten a second, five at once.
        let pace = Pace::of(&quota(10, 1_000_000_000, 5)).unwrap();
        let now = 1 << 40;
        let Decision::Refuse { until, pull_back } = pace.decide(now + 2 * LAG, now, 1) else {
            panic!("nothing is left")
        };
        assert!(until - now <= 100_004, "{}", until - now);
        assert!(pull_back.unwrap() - now <= 500_004);
        // But not what one wrote that is a while ahead.
        assert!(matches!(
            pace.decide(now + LAG, now, 1),
            Decision::Refuse {
                pull_back: None,
                ..
            }
        ));
    }

    #[test]
    fn a_rate_finer_than_microseconds_is_refused() {
        assert!(Pace::of(&quota(500_000, 1_000_000_000, 1)).is_ok());
        assert!(Pace::of(&quota(500_001, 1_000_000_000, 1)).is_err());
    }
}
