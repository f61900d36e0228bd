//! A quota as integers see it: virtual time.
//!
//! Virtual time runs at the quota's rate. Its unit is a cell over a power of
//! two, as small as can be without there being more than one a nanosecond, so a
//! cell is a whole number of units at any rate, and as many nanoseconds as fit
//! into 64 bits fit as units. The clock is turned into units by one
//! multiplication, with an error under one unit that does not add up: every
//! instant is converted by itself, and nothing is ever summed but whole cells.

use axiomatic_core::time::Instant;

use super::Quota;

/// What one quota means from a moment on. These five numbers are what the
/// limiter's cell publishes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The instant, in nanoseconds, at which virtual time is zero.
    pub(crate) since: u64,
    /// Steady: units in a nanosecond, times 2⁶⁴. In steps: cells in a step.
    pub(crate) pace: u64,
    /// Steady: nanoseconds in a unit, times 2⁶³. In steps: nanoseconds in one.
    pub(crate) inverse: u64,
    /// Units that may come at once.
    pub(crate) burst: u64,
    /// A cell has two to the power of so many units.
    pub(crate) shift: u64,
}

/// How virtual time follows the clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// With it.
    Steady,
    /// By a whole period's count at the end of each period.
    Stepped,
    /// With it, but slower at first: for so many nanoseconds it speeds up,
    /// from one part in so many to its full rate.
    Warming(Ramp),
}

/// How a limit gets warm.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ramp {
    /// For how long, in nanoseconds.
    pub(crate) length: u64,
    /// The rate begins at one part in so many.
    pub(crate) cold_factor: u64,
    /// Idle for so many nanoseconds, it is cold again.
    pub(crate) cools_after: u64,
}

/// Virtual time is begun anew before it gets later than this, so that a word
/// has room for a burst and for reservations on top of it, and for a
/// generation.
pub(crate) const LATEST: u64 = 1 << 56;

/// The pace is short of what it should be by less than 2⁻⁶⁴ of a unit, so the
/// product by less than as many of them as there are nanoseconds: before
/// [`LATEST`], by less than this, which is the 64th part of a unit.
const LACKING: u128 = 1 << 58;

/// Nothing is reserved further ahead than this: 1.1 years at least.
pub(crate) const FURTHEST: u64 = 1 << 55;

impl Terms {
    /// What a quota means from an instant on. The quota was checked.
    pub(crate) fn of(quota: &Quota, flow: Flow, from: Instant) -> Self {
        let count = u64::from(quota.count().get());
        let period = u64::try_from(quota.period().as_nanos()).unwrap_or(u64::MAX);
        let burst = u64::from(quota.at_once().get());
        if let Flow::Stepped = flow {
            // Steps begin at whole periods of the clock: those of two limiters
            // coincide, and so do those before and after a new beginning.
            let since = from.as_nanos() - from.as_nanos() % period;
            return Terms {
                since,
                pace: count,
                inverse: period,
                burst,
                shift: 0,
            };
        }
        // The most doublings that keep it at a unit a nanosecond.
        let shift = u64::from((period / count).ilog2());
        let units = u128::from(count << shift);
        let pace = u64::try_from((units << 64) / u128::from(period)).unwrap_or(u64::MAX);
        let inverse = u64::try_from((u128::from(period) << 63) / units).unwrap_or(u64::MAX);
        let mut terms = Terms {
            since: from.as_nanos(),
            pace,
            inverse,
            burst: burst << shift,
            shift,
        };
        if let Flow::Warming(ramp) = flow {
            // As if it had always been at its full rate, and begun later.
            let since = terms.since.saturating_add(ramp.length);
            terms.since = since.saturating_sub(ramp.head()).min(u64::MAX - 1);
        }
        terms
    }

    /// Those of a limit that gets warm, before it was ever asked.
    pub(crate) fn asleep(quota: &Quota) -> Self {
        Terms {
            since: u64::MAX,
            ..Terms::of(quota, Flow::Steady, Instant::from_nanos(0))
        }
    }

    /// Whether virtual time has not begun.
    pub(crate) fn is_asleep(&self) -> bool {
        self.since == u64::MAX
    }

    /// Units in so many cells.
    #[inline(always)]
    pub(crate) fn units_of(&self, cells: u32) -> u64 {
        // What costs more than a burst is refused, and a burst is under 2⁵⁶
        // units: cut off, it is more than any burst.
        let most = u64::MAX >> 1 >> self.shift;
        u64::from(cells).min(most) << self.shift
    }

    /// Virtual time at an instant. An instant before the beginning is the
    /// beginning.
    #[inline(always)]
    pub(crate) fn at(&self, flow: &Flow, now: Instant) -> u64 {
        let elapsed = now.as_nanos().saturating_sub(self.since);
        match flow {
            Flow::Steady => self.steady(elapsed),
            Flow::Stepped => (elapsed / self.inverse).saturating_mul(self.pace),
            Flow::Warming(ramp) => self.steady(ramp.eased(self.since, now.as_nanos())),
        }
    }

    /// Virtual time once what comes at an instant has come: in steps, at the
    /// end of the one that it lies in.
    pub(crate) fn by(&self, flow: &Flow, until: Instant) -> u64 {
        if let Flow::Stepped = flow {
            let elapsed = until.as_nanos().saturating_sub(self.since);
            return elapsed.div_ceil(self.inverse).saturating_mul(self.pace);
        }
        self.at(flow, until)
    }

    /// Rounded down, but for what the rounded pace lacks: so whole cells come
    /// when they are due, and not a nanosecond later.
    #[inline(always)]
    fn steady(&self, nanos: u64) -> u64 {
        let product = u128::from(nanos) * u128::from(self.pace);
        ((product + LACKING) >> 64) as u64
    }

    /// The first instant at which it is so late.
    pub(crate) fn when(&self, flow: &Flow, target: u64) -> Instant {
        if target == 0 {
            return Instant::from_nanos(0);
        }
        let nanos = match flow {
            Flow::Steady => return self.steady_when(target),
            Flow::Stepped => {
                let steps = target.div_ceil(self.pace);
                self.since
                    .saturating_add(steps.saturating_mul(self.inverse))
            }
            Flow::Warming(ramp) => ramp.when_eased(self.since, self.first(target)),
        };
        Instant::from_nanos(nanos)
    }

    /// The same of a steady flow, of a time after the beginning.
    #[inline(always)]
    pub(crate) fn steady_when(&self, target: u64) -> Instant {
        Instant::from_nanos(self.since.saturating_add(self.first(target)))
    }

    /// The first nanosecond of a steady flow at which it is so late.
    ///
    /// The inverse leads there, or to less than two nanoseconds before, since
    /// it is short by less than 2⁻⁶³ of one for each of less than 2⁵⁸ units;
    /// and what the pace lacks beyond [`LATEST`] is less than one more. Steps
    /// are counted, not to go on for ever where pace and inverse are not of the
    /// same terms, which is found out afterwards.
    #[inline(always)]
    fn first(&self, target: u64) -> u64 {
        let about = (u128::from(target) * u128::from(self.inverse)) >> 63;
        let mut nanos = u64::try_from(about).unwrap_or(u64::MAX);
        let mut product = u128::from(nanos) * u128::from(self.pace) + LACKING;
        for _ in 0..3 {
            if (product >> 64) as u64 >= target {
                break;
            }
            nanos = nanos.saturating_add(1);
            product = product.wrapping_add(u128::from(self.pace));
        }
        nanos
    }

    /// Units that go by in so many nanoseconds of a steady flow.
    pub(crate) fn span(&self, nanos: u64) -> u64 {
        self.steady(nanos)
    }
}

impl Ramp {
    /// How many nanoseconds of the full rate the ramp is worth: it begins at
    /// one part in `cold_factor` and speeds up evenly.
    fn head(&self) -> u64 {
        self.worth(self.length)
    }

    /// What the first `nanos` of the ramp are worth.
    fn worth(&self, nanos: u64) -> u64 {
        let (length, cold) = (u128::from(self.length), u128::from(self.cold_factor));
        let nanos = u128::from(nanos);
        // ∫ (1/c + (1 − 1/c) t/L) dt, in whole nanoseconds. Lengths are under
        // 2⁵⁵ and factors under 2¹⁶.
        let worth = nanos * (2 * length + (cold - 1) * nanos) / (2 * cold * length);
        u64::try_from(worth).unwrap_or(u64::MAX)
    }

    /// Since when terms count that are warm from an instant on.
    pub(crate) fn warm_since(&self, now: Instant) -> u64 {
        now.as_nanos().saturating_sub(self.head())
    }

    /// When the ramp began, of terms that count from `since`.
    fn start(&self, since: u64) -> u64 {
        since
            .saturating_add(self.head())
            .saturating_sub(self.length)
    }

    /// Nanoseconds of the full rate that have gone by.
    fn eased(&self, since: u64, now: u64) -> u64 {
        let ramped = now.saturating_sub(self.start(since));
        if ramped < self.length {
            self.worth(ramped)
        } else {
            now.saturating_sub(since)
        }
    }

    /// When so many have. Searched for: only refusals and reservations ask.
    fn when_eased(&self, since: u64, eased: u64) -> u64 {
        if eased >= self.head() {
            return since.saturating_add(eased);
        }
        let (mut early, mut late) = (0, self.length);
        while early < late {
            let middle = early + (late - early) / 2;
            if self.worth(middle) >= eased {
                late = middle;
            } else {
                early = middle + 1;
            }
        }
        self.start(since).saturating_add(late)
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;
    use std::time::Duration;

    fn quota(count: u32, period: u64, burst: u32) -> Quota {
        let some = |n| NonZeroU32::new(n).unwrap();
        Quota::new(some(count), Duration::from_nanos(period)).burst(some(burst))
    }

    fn quotas() -> impl Strategy<Value = Quota> {
        let periods = prop_oneof![
            Just(1_000_000_000u64),
            Just(86_400_000_000_000),
            1..2_000u64,
            1..(1u64 << 55),
        ];
        (1..=u32::MAX, periods, 1..1_000_000u32)
            .prop_map(|(count, period, burst)| quota(count, period, burst))
            .prop_filter("one that can be kept", |quota| quota.check().is_ok())
    }

    const ORIGIN: Instant = Instant::from_nanos(0);

    #[test]
    fn seven_hundred_million_a_second_are_seven_hundred_million() {
        for count in [700_000_000, 30_000_000, 999_999_999, 1_000_000_000, 3, 1] {
            let terms = Terms::of(&quota(count, 1_000_000_000, 1), Flow::Steady, ORIGIN);
            for seconds in [1, 60, 86_400, 365 * 86_400] {
                let at = Instant::from_nanos(seconds * 1_000_000_000);
                let cells = terms.at(&Flow::Steady, at) >> terms.shift;
                assert_eq!(cells, u64::from(count) * seconds, "{count} for {seconds} s");
            }
        }
    }

    proptest! {
        /// Against the fraction itself: never late, and never early by more
        /// than the 64th part of a unit.
        #[test]
        fn virtual_time_is_the_fraction_rounded_down(
            quota in quotas(), now in 0..(1u64 << 57)
        ) {
            let terms = Terms::of(&quota, Flow::Steady, ORIGIN);
            let period = quota.period().as_nanos();
            let units = u128::from(quota.count().get()) << terms.shift;
            let exact = u128::from(now) * units / period;
            let most = (64 * u128::from(now) * units + period) / (64 * period);
            let got = u128::from(terms.at(&Flow::Steady, Instant::from_nanos(now)));
            prop_assert!(exact <= got && got <= most, "{got} for {exact}");
            prop_assert!(units <= period && 2 * units > period, "the smallest unit");
        }

        #[test]
        fn the_first_instant_so_late_is_the_first(
            quota in quotas(), target in 1..(1u64 << 56), start in 0..(1u64 << 60),
            flow in prop_oneof![
                Just(Flow::Steady),
                Just(Flow::Stepped),
                (1..(1u64 << 50), 1..100u64).prop_map(|(length, cold_factor)| {
                    Flow::Warming(Ramp { length, cold_factor, cools_after: length })
                }),
            ],
        ) {
            let terms = Terms::of(&quota, flow, Instant::from_nanos(start));
            let when = terms.when(&flow, target);
            // Beyond the end of time.
            if when.as_nanos() == u64::MAX {
                return Ok(());
            }
            prop_assert!(terms.at(&flow, when) >= target);
            let before = Instant::from_nanos(when.as_nanos().saturating_sub(1));
            prop_assert!(terms.at(&flow, before) < target);
        }

        #[test]
        fn virtual_time_never_runs_backwards(
            quota in quotas(), length in 1..(1u64 << 40), cold_factor in 1..100u64,
            mut instants in prop::collection::vec(0..(1u64 << 41), 2..20),
        ) {
            let ramp = Ramp { length, cold_factor, cools_after: length };
            instants.sort_unstable();
            for flow in [Flow::Steady, Flow::Stepped, Flow::Warming(ramp)] {
                let terms = Terms::of(&quota, flow, ORIGIN);
                let times = instants.iter().map(|at| terms.at(&flow, Instant::from_nanos(*at)));
                let times: Vec<_> = times.collect();
                prop_assert!(times.is_sorted(), "{flow:?}: {times:?}");
            }
        }
    }

    #[test]
    fn a_ramp_begins_at_its_cold_rate_and_ends_at_the_full_one() {
        let ramp = Ramp {
            length: 10_000_000_000,
            cold_factor: 4,
            cools_after: 0,
        };
        let flow = Flow::Warming(ramp);
        let start = Instant::from_nanos(77_000_000_000);
        let terms = Terms::of(&quota(1_000, 1_000_000_000, 1), flow, start);
        let cells =
            |millis: u64| terms.at(&flow, start + Duration::from_millis(millis)) >> terms.shift;
        assert_eq!(cells(0), 0);
        // 250 a second at first, 1,000 in the end, 625 on average.
        assert!((2..=3).contains(&(cells(10))), "{}", cells(10));
        assert!(cells(10_000).abs_diff(6_250) <= 1, "{}", cells(10_000));
        assert!((cells(20_000) - cells(10_000)).abs_diff(10_000) <= 1);
    }
}
