//! Which priorities requests have of late, and where a share of them ends.

use axiomatic_core::Ratio;
use axiomatic_core::context::{AdmissionLevel, Priority};

use super::tallies_cell::{COARSER, PRIORITIES, Totals};

/// How many requests of each priority came, those of late counting more: each
/// period counts half as much as the next. In sixteenths of a request.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    of: [u64; PRIORITIES],
    all: u64,
}

/// What may be kept back is forgotten by this part a period: half of it in
/// twenty-two.
const FORGOTTEN: u64 = 32;

impl Crowd {
    pub(super) fn new() -> Self {
        Crowd {
            of: [0; PRIORITIES],
            all: 0,
        }
    }

    /// Adds a period in which callers were told this level, and halves those
    /// before. How many requests they kept back, more or less.
    ///
    /// That little comes of what matters less than the level says nothing: who
    /// listens does not send it. So it is forgotten slowly; or what is kept back
    /// would be taken for gone, the level would fall, and all of it come at once.
    pub(super) fn add(&mut self, period: &Totals, told: AdmissionLevel) -> u64 {
        let least = usize::from(told.priority().as_u8() >> COARSER);
        let mut kept_back = 0;
        for (at, (count, new)) in self.of.iter_mut().zip(&period.offered).enumerate() {
            let came = 16 * u64::from(*new);
            let reckoned = *count / 2 + came;
            if at < least {
                *count = reckoned.max(*count - count.div_ceil(FORGOTTEN));
                // What comes evenly stands there twice.
                kept_back += (*count / 2).saturating_sub(came) / 16;
            } else {
                *count = reckoned;
            }
        }
        self.all = self.of.iter().sum();
        kept_back
    }

    /// The level that refuses this share of them, those that matter least. Of
    /// nobody, everybody is admitted.
    pub(super) fn level(&self, refused: Ratio) -> AdmissionLevel {
        // In millionths of a sixteenth.
        let millionths = u128::from(refused.min(Ratio::ONE).as_parts_per_million());
        let mut left = u128::from(self.all) * millionths;
        if left == 0 {
            return AdmissionLevel::ALL;
        }
        for (priority, count) in (0..=u8::MAX).zip(self.of) {
            let count = u128::from(count) * 1_000_000;
            if left < count {
                let share = left * 65_536 / count;
                return AdmissionLevel::at(lowest(priority), share as u16);
            }
            left -= count;
        }
        let last = self.of.iter().rposition(|count| *count > 0).unwrap_or(0);
        AdmissionLevel::at(lowest(last as u8), u16::MAX)
    }
}

/// The lowest priority that is counted there.
fn lowest(at: u8) -> Priority {
    Priority::from_u8(at << COARSER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn totals(counts: &[(u8, u32)]) -> Totals {
        let mut totals = Totals::default();
        for (priority, count) in counts {
            totals.offered[usize::from(*priority)] += count;
        }
        totals
    }

    fn crowd(counts: &[(u8, u32)]) -> Crowd {
        let mut crowd = Crowd::new();
        crowd.add(&totals(counts), AdmissionLevel::ALL);
        crowd
    }

    fn at(priority: u8, refused: u16) -> AdmissionLevel {
        AdmissionLevel::at(Priority::from_u8(priority), refused)
    }

    #[test]
    fn a_share_ends_where_so_many_matter_less() {
        let crowd = crowd(&[(0, 30), (64, 20), (128, 50)]);
        let table = [
            (0, AdmissionLevel::ALL),
            (15, at(0, 32_768)),
            (30, at(64, 0)),
            (40, at(64, 32_768)),
            (50, at(128, 0)),
            (75, at(128, 32_768)),
            (100, at(128, u16::MAX)),
            (200, at(128, u16::MAX)),
        ];
        for (percent, level) in table {
            assert_eq!(crowd.level(Ratio::percent(percent)), level, "{percent} %");
        }
        assert_eq!(Crowd::new().level(Ratio::ONE), AdmissionLevel::ALL);
    }

    #[test]
    fn what_came_long_ago_counts_less() {
        let mut crowd = crowd(&[(0, 100)]);
        for _ in 0..12 {
            crowd.add(&totals(&[(128, 100)]), AdmissionLevel::ALL);
        }
        assert_eq!(
            crowd.level(Ratio::percent(1)).priority(),
            Priority::CRITICAL
        );
        for _ in 0..12 {
            crowd.add(&Totals::default(), AdmissionLevel::ALL);
        }
        assert_eq!(crowd.level(Ratio::ONE), AdmissionLevel::ALL);
    }

    #[test]
    fn what_callers_keep_back_is_remembered_and_reckoned_with() {
        let told = at(128, 0);
        let mut crowd = Crowd::new();
        for _ in 0..20 {
            crowd.add(&totals(&[(0, 100), (128, 100)]), AdmissionLevel::ALL);
        }
        let kept_back: Vec<_> = (0..200)
            .map(|_| crowd.add(&totals(&[(128, 100)]), told))
            .collect();
        assert!(kept_back[0] > 90 && kept_back[22] > 40, "{kept_back:?}");
        assert_eq!(kept_back[199], 0, "not for ever");
        // What is sent all the same is not reckoned with twice.
        let mut crowd = Crowd::new();
        for _ in 0..20 {
            let kept_back = crowd.add(&totals(&[(0, 100), (128, 100)]), told);
            assert_eq!(kept_back, 0);
        }
    }

    proptest! {
        /// Beside counting who is below the level.
        #[test]
        fn refuses_the_share_and_those_that_matter_least(
            counts in proptest::collection::vec((any::<u8>(), 1..1_000u32), 1..20),
            millionths in 0..1_000_000u32,
        ) {
            let totals = totals(&counts);
            let level = crowd(&counts).level(Ratio::parts_per_million(millionths));
            let mut refused = 0.0;
            for (priority, count) in (0..=255u8).zip(totals.offered) {
                refused += match priority.cmp(&level.priority().as_u8()) {
                    std::cmp::Ordering::Less => f64::from(count),
                    std::cmp::Ordering::Equal => {
                        f64::from(count) * f64::from(level.refused()) / 65_536.0
                    }
                    std::cmp::Ordering::Greater => 0.0,
                };
            }
            let expected = totals.all() as f64 * f64::from(millionths) / 1e6;
            let step = totals.all() as f64 / 65_536.0;
            prop_assert!((refused - expected).abs() <= step + 1e-6, "{refused} of {expected}");
        }
    }
}
