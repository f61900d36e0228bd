//! The arithmetic of a limit, exact: what the script does, for the local
//! shares, and what the script is told, for it neither multiplies nor divides.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::{self, Quota};

/// A time: whole microseconds, and parts of one. How many parts make one is
/// the limit's to say. Ordered as times are.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) micros: u64,
    pub(super) parts: u64,
}

/// A quota as the script wants it.
///
/// One cell is `period / count`, which need be no whole number of anything. So
/// a microsecond has `1000 × count` parts, and a cell is exactly as many of
/// them as the period has nanoseconds. What [`Quota::check`] lets pass keeps
/// all numbers below 2^53: a burst is at most 3.6e13 µs, a time since 1970
/// reaches 2^53 µs in the year 2255, and parts are fewer than 4.3e12.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    quota: Quota,
    /// Parts in a cell, which are nanoseconds in the period.
    cell: u64,
    /// Parts in a microsecond.
    of: u64,
    burst: Span,
}

/// What became of a question.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It fits; this is the arrival time from now on.
    Fits(Span),
    /// It does not, but will after so long.
    After(Duration),
}

impl Limit {
    pub(super) fn new(quota: Quota) -> Result<Self, rate_limit::ConfigError> {
        let cell = quota.check()?;
        let mut limit = Limit {
            quota,
            cell,
            of: 1_000 * u64::from(quota.count().get()),
            burst: Span::default(),
        };
        limit.burst = limit.sum(quota.at_once());
        Ok(limit)
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    pub(super) fn of(&self) -> u64 {
        self.of
    }

    pub(super) fn burst(&self) -> Span {
        self.burst
    }

    /// Whether so many could ever pass.
    pub(super) fn is_satisfiable(&self, cost: NonZeroU32) -> bool {
        cost <= self.quota.at_once()
    }

    /// What so many cells cost.
    pub(super) fn sum(&self, cost: NonZeroU32) -> Span {
        self.span(u128::from(cost.get()) * u128::from(self.cell))
    }

    /// Whether a sum fits, with the arrival time so far ahead of now. All times
    /// here are counted from now.
    pub(super) fn judge(&self, ahead: Span, cost: NonZeroU32) -> Verdict {
        let then = self.plus(ahead.min(self.burst), self.sum(cost));
        match self.less(then, self.burst) {
            None
            | Some(Span {
                micros: 0,
                parts: 0,
            }) => Verdict::Fits(then),
            Some(excess) => {
                let micros = excess.micros + u64::from(excess.parts > 0);
                Verdict::After(Duration::from_micros(micros))
            }
        }
    }

    /// How many cells fit, with the arrival time so far ahead.
    pub(super) fn remaining(&self, ahead: Span) -> u32 {
        let room = self.less(self.burst, ahead).unwrap_or_default();
        let cells = self.parts(room) / u128::from(self.cell);
        u32::try_from(cells).unwrap_or(u32::MAX)
    }

    /// How long until one cell more fits than do now; of a bucket that is full,
    /// how long one takes.
    pub(super) fn more_after(&self, ahead: Span) -> Duration {
        let more = NonZeroU32::MIN.saturating_add(self.remaining(ahead));
        match self.judge(ahead, more) {
            Verdict::After(wait) => wait,
            Verdict::Fits(_) => Duration::ZERO,
        }
    }

    /// How long until the bucket is full.
    pub(super) fn full_after(&self, ahead: Span) -> Duration {
        let ahead = ahead.min(self.burst);
        Duration::from_micros(ahead.micros + u64::from(ahead.parts > 0))
    }

    /// One time and another.
    pub(super) fn plus(&self, one: Span, other: Span) -> Span {
        let parts = one.parts + other.parts;
        let carry = parts >= self.of;
        Span {
            micros: one.micros + other.micros + u64::from(carry),
            parts: if carry { parts - self.of } else { parts },
        }
    }

    /// One time less another, if it is no shorter.
    pub(super) fn less(&self, one: Span, other: Span) -> Option<Span> {
        if one < other {
            return None;
        }
        let borrow = one.parts < other.parts;
        Some(Span {
            micros: one.micros - other.micros - u64::from(borrow),
            parts: if borrow {
                one.parts + self.of - other.parts
            } else {
                one.parts - other.parts
            },
        })
    }

    fn span(&self, parts: u128) -> Span {
        let of = u128::from(self.of);
        // Both fit: `Quota::check` bounds what a burst stands for.
        Span {
            micros: (parts / of) as u64,
            parts: (parts % of) as u64,
        }
    }

    fn parts(&self, span: Span) -> u128 {
        u128::from(span.micros) * u128::from(self.of) + u128::from(span.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LARGEST: u64 = 1 << 53;

    fn some(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n.max(1)).unwrap()
    }

    #[test]
    fn a_third_of_a_microsecond_is_kept_exactly() {
        let limit = Limit::new(Quota::per_second(some(3_000_000))).unwrap();
        let mut ahead = Span::default();
        for _ in 0..3_000_000 {
            let Verdict::Fits(then) = limit.judge(ahead, some(1)) else {
                panic!("refused with {} left", limit.remaining(ahead));
            };
            ahead = then;
        }
        assert_eq!(
            ahead,
            Span {
                micros: 1_000_000,
                parts: 0
            }
        );
        assert_eq!(
            limit.judge(ahead, some(1)),
            Verdict::After(Duration::from_micros(1))
        );
    }

    proptest! {
        #[test]
        fn no_number_of_a_quota_that_can_be_kept_reaches_two_to_the_53(
            count in 1u32..,
            period in 1u64..=1 << 55,
            burst in 1u32..,
        ) {
            let quota = Quota::new(some(count), Duration::from_nanos(period)).burst(some(burst));
            if let Ok(limit) = Limit::new(quota) {
                // Year 2200, and twice a burst ahead, which is more than ever is.
                let now = 230 * 366 * 86_400 * 1_000_000;
                prop_assert!(now + 2 * limit.burst.micros < LARGEST);
                prop_assert!(2 * limit.of < LARGEST);
                prop_assert!(limit.burst.parts < limit.of);
            }
        }

        #[test]
        fn what_remains_fits_and_one_more_does_not(
            count in 1u32..2_000_000,
            period in 1_000_000u64..10_000_000_000,
            burst in 1u32..1_000,
            taken in 0u32..1_000,
        ) {
            let quota = Quota::new(some(count), Duration::from_nanos(period)).burst(some(burst));
            prop_assume!(quota.check().is_ok());
            let limit = Limit::new(quota).unwrap();
            let taken = taken.min(burst);
            let ahead = match NonZeroU32::new(taken) {
                Some(taken) => limit.sum(taken),
                None => Span::default(),
            };
            prop_assert_eq!(limit.remaining(ahead), burst - taken);
            if let Some(rest) = NonZeroU32::new(burst - taken) {
                let fits = matches!(limit.judge(ahead, rest), Verdict::Fits(_));
                prop_assert!(fits);
            }
            let refused = matches!(limit.judge(ahead, some(burst - taken + 1)), Verdict::After(_));
            prop_assert!(refused);
        }
    }
}
