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

impl Crowd {
    pub(super) fn new() -> Self {
        Crowd {
            of: [0; PRIORITIES],
            all: 0,
        }
    }

    /// Adds a period, and halves those before.
    pub(super) fn add(&mut self, period: &Totals) {
        for (count, new) in self.of.iter_mut().zip(&period.offered) {
            *count = *count / 2 + 16 * u64::from(*new);
        }
        self.all = self.of.iter().sum();
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
        crowd.add(&totals(counts));
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
            crowd.add(&totals(&[(128, 100)]));
        }
        assert_eq!(
            crowd.level(Ratio::percent(1)).priority(),
            Priority::CRITICAL
        );
        for _ in 0..12 {
            crowd.add(&Totals::default());
        }
        assert_eq!(crowd.level(Ratio::ONE), AdmissionLevel::ALL);
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
