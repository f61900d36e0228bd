use axiomatic_core::Ratio;

use super::{ConfigError, Share};

/// How many calls are refused, by how many there were and how many of them
/// were accepted.
///
/// | Rule | Refused of all calls | `requests` are |
/// |---|---|---|
/// | [`accepting`](Rule::accepting) | `max(0, (requests − K × accepts) / (requests + 1))` | those that were made, and those that were refused here |
/// | [`success_rate`](Rule::success_rate) | `max(0, (requests − accepts / threshold) / (requests + 1)) ^ (1 / aggression)` | those that were made |
///
/// ```
/// use axiomatic_capacity::load_shed::throttle::Rule;
/// use axiomatic_core::Ratio;
///
/// let twice = Rule::accepting(Ratio::percent(200));
/// assert_eq!(twice.probability(99, 50).ratio(), Ratio::ZERO);
/// assert_eq!(twice.probability(99, 24).ratio(), Ratio::percent(51));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Rule(Law);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Law {
    Accepting { multiple: Ratio },
    SuccessRate { threshold: Ratio, aggression: Ratio },
}

const MILLION: u128 = 1_000_000;
/// 2^32: what a share has parts.
const PARTS: f64 = 4_294_967_296.0;

impl Rule {
    /// As many are sent as `K`, the multiple, times what is accepted, and the
    /// rest is refused: of 200 % twice as many as are served, of 110 % hardly
    /// more. Below 100 % it would refuse in the best of times, and cannot be
    /// built.
    ///
    /// Source: B. Beyer and others, *Site Reliability Engineering*, 2016,
    /// chapter 21, "Client-Side Throttling".
    pub const fn accepting(multiple: Ratio) -> Self {
        Rule(Law::Accepting { multiple })
    }

    /// Calls are refused once fewer than `threshold` of those that are made
    /// are accepted, in proportion to how many are lacking.
    ///
    /// Source: Envoy's admission control filter.
    pub const fn success_rate(threshold: Ratio) -> Self {
        Rule(Law::SuccessRate {
            threshold,
            aggression: Ratio::ONE,
        })
    }

    /// How steeply the refusals rise when calls begin to fail: 100 %, as by
    /// default, is a straight line; of 200 % they are the square root of it.
    /// At least 100 %. Only for [`success_rate`](Rule::success_rate); another
    /// rule stays as it is.
    #[must_use]
    pub const fn aggression(self, aggression: Ratio) -> Self {
        match self.0 {
            Law::Accepting { .. } => self,
            Law::SuccessRate { threshold, .. } => Rule(Law::SuccessRate {
                threshold,
                aggression,
            }),
        }
    }

    pub(super) const fn check(self) -> Result<(), ConfigError> {
        let million = Ratio::ONE.as_parts_per_million();
        match self.0 {
            Law::Accepting { multiple } if multiple.as_parts_per_million() < million => {
                Err(ConfigError::Multiple(multiple))
            }
            Law::SuccessRate { threshold, .. }
                if threshold.as_parts_per_million() == 0
                    || threshold.as_parts_per_million() > million =>
            {
                Err(ConfigError::Threshold(threshold))
            }
            Law::SuccessRate { aggression, .. } if aggression.as_parts_per_million() < million => {
                Err(ConfigError::Aggression(aggression))
            }
            Law::Accepting { .. } | Law::SuccessRate { .. } => Ok(()),
        }
    }

    /// The formula, without cap and floor: pure.
    ///
    /// It is the fraction rounded down to 2^-32, which needs no floating point
    /// but where the aggression is not 100 %: there a power is taken of it,
    /// and the error is at most 2^-32 in either direction.
    pub fn probability(self, requests: u64, accepts: u64) -> Share {
        let (lacking, of) = self.fraction(requests, accepts);
        match self.0 {
            Law::SuccessRate { aggression, .. } if aggression != Ratio::ONE && lacking > 0 => {
                let power = 1e6 / f64::from(aggression.as_parts_per_million());
                // Both are rounded to 53 bits, the power to about as many.
                let share = (lacking as f64 / of as f64).powf(power);
                Share::at_most((share * PARTS) as u128)
            }
            _ => Share::at_most((lacking << 32) / of),
        }
    }

    /// The base of the formula, as a fraction of at most 84 bits: what is
    /// lacking, of what.
    const fn fraction(self, requests: u64, accepts: u64) -> (u128, u128) {
        let (requests, accepts) = (requests as u128, accepts as u128);
        match self.0 {
            Law::Accepting { multiple } => {
                let sent = multiple.as_parts_per_million() as u128 * accepts;
                let lacking = (requests * MILLION).saturating_sub(sent);
                (lacking, (requests + 1) * MILLION)
            }
            // Both sides times the threshold, of which there are a million
            // parts.
            Law::SuccessRate { threshold, .. } => {
                let threshold = threshold.as_parts_per_million() as u128;
                let lacking = (requests * threshold).saturating_sub(accepts * MILLION);
                // None of nothing is refused either.
                let of = (requests + 1) * threshold;
                (lacking, if of == 0 { 1 } else { of })
            }
        }
    }

    /// In one number, for a cell: the multiple or the threshold, and above it
    /// the aggression, which is never zero where there is one.
    pub(super) const fn pack(self) -> u64 {
        match self.0 {
            Law::Accepting { multiple } => multiple.as_parts_per_million() as u64,
            Law::SuccessRate {
                threshold,
                aggression,
            } => {
                let aggression = aggression.as_parts_per_million() as u64;
                aggression << 32 | threshold.as_parts_per_million() as u64
            }
        }
    }

    /// Whether a call that was refused here is one of the requests, by a rule
    /// that was packed.
    #[inline(always)]
    pub(super) const fn counts_refusals(word: u64) -> bool {
        word >> 32 == 0
    }

    pub(super) const fn unpack(word: u64) -> Self {
        let low = Ratio::parts_per_million(word as u32);
        match (word >> 32) as u32 {
            0 => Rule(Law::Accepting { multiple: low }),
            aggression => Rule(Law::SuccessRate {
                threshold: low,
                aggression: Ratio::parts_per_million(aggression),
            }),
        }
    }
}

impl Default for Rule {
    /// Twice as many as are accepted.
    fn default() -> Self {
        Rule::accepting(Ratio::percent(200))
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXACT: Ratio = Ratio::ONE;

    /// The parts of 2^32 are those of Python's `fractions`, rounded down.
    #[test]
    fn the_rule_of_the_book_is_the_published_formula() {
        for (percent, requests, accepts, parts) in [
            (200, 0, 0, 0),
            // (1 − 0) / 2
            (200, 1, 0, 2_147_483_648),
            (200, 100, 100, 0),
            (200, 100, 50, 0),
            // (100 − 98) / 101
            (200, 100, 49, 85_048_857),
            // (99 − 48) / 100 = 51 %
            (200, 99, 24, 2_190_433_320),
            (200, 999, 0, 4_290_672_328),
            // (1000 − 990) / 1001
            (110, 1_000, 900, 42_906_766),
            // (1000 − 999.9) / 1001
            (110, 1_000, 909, 429_067),
            (110, 1_000, 910, 0),
            // (7 − 4.5) / 8
            (150, 7, 3, 1_342_177_280),
            (200, 1_000_000_000, 123_456_789, 3_234_481_550),
            (100, 1 << 63, 1 << 62, 2_147_483_647),
            // Never all.
            (200, u64::MAX, 0, u32::MAX),
        ] {
            let rule = Rule::accepting(Ratio::percent(percent));
            let share = rule.probability(requests, accepts);
            assert_eq!(share.as_u32(), parts, "K {percent} %, {accepts}/{requests}");
        }
    }

    #[test]
    fn the_rule_of_envoy_is_the_published_formula() {
        for (per_mille, requests, accepts, parts) in [
            (950, 0, 0, 0),
            (950, 100, 95, 0),
            // (100 − 94 / 0.95) / 101
            (950, 100, 94, 44_762_556),
            (950, 100, 50, 2_014_315_042),
            (950, 100, 0, 4_252_442_867),
            // (100 − 99) / 101
            (1_000, 100, 99, 42_524_428),
            // (100 − 50) / 101
            (500, 100, 25, 2_126_221_433),
            (999, 12_345, 12_000, 115_840_962),
        ] {
            let rule = Rule::success_rate(Ratio::per_mille(per_mille));
            let share = rule.probability(requests, accepts);
            assert_eq!(share.as_u32(), parts, "{per_mille} ‰, {accepts}/{requests}");
        }
    }

    /// Python's `decimal` with 60 digits.
    #[test]
    fn aggression_takes_the_power_to_a_part_of_two_to_the_thirty_second() {
        for (percent, aggression, requests, accepts, parts) in [
            (95, 200, 100, 94, 438_467_463),
            (95, 200, 100, 50, 2_941_329_160),
            (95, 200, 100, 95, 0),
            (95, 150, 100, 50, 2_592_616_124),
            (95, 400, 1_000, 900, 2_056_662_084),
            (100, 1_000, 1_000_000, 999_999, 1_078_846_899),
            (50, 200, 3, 0, 3_719_550_786_u32),
        ] {
            let rule = Rule::success_rate(Ratio::percent(percent));
            let rule = rule.aggression(Ratio::percent(aggression));
            let share = rule.probability(requests, accepts).as_u32();
            assert!(share.abs_diff(parts) <= 1, "{share} and not {parts}");
        }
    }

    fn rules() -> impl Strategy<Value = Rule> {
        let million = 1_000_000_u32;
        let accepting = (million..4 * million).prop_map(Ratio::parts_per_million);
        let threshold = (1..=million).prop_map(Ratio::parts_per_million);
        let aggression = (million..20 * million).prop_map(Ratio::parts_per_million);
        let aggression = prop_oneof![Just(EXACT), aggression];
        prop_oneof![
            accepting.prop_map(Rule::accepting),
            (threshold, aggression)
                .prop_map(|(rate, steep)| Rule::success_rate(rate).aggression(steep)),
        ]
    }

    fn counts() -> impl Strategy<Value = (u64, u64)> {
        prop_oneof![0..200_u64, 0..u64::MAX / 2]
            .prop_flat_map(|requests| (Just(requests), 0..=requests))
    }

    proptest! {
        #[test]
        fn more_accepts_refuse_less_and_more_requests_more(
            rule in rules(),
            (requests, accepts) in counts(),
            more in 1..1_000_u64,
        ) {
            prop_assert!(rule.check().is_ok());
            let parts = |requests, accepts| {
                u64::from(rule.probability(requests, accepts).as_u32())
            };
            // Powers are rounded.
            let error = u64::from(rule.aggression(EXACT) != rule);
            let share = parts(requests, accepts);
            let accepted = (accepts + more).min(requests);
            prop_assert!(parts(requests, accepted) <= share + error);
            prop_assert!(parts(requests + more, accepts) + error >= share);
        }

        #[test]
        fn nothing_is_refused_when_all_are_accepted(rule in rules(), requests in any::<u64>()) {
            prop_assert_eq!(rule.probability(requests, requests), Share::NONE);
        }

        /// A share is the fraction rounded down, judged by the fraction itself.
        #[test]
        fn a_share_without_a_power_is_exact(
            million in 1_000_000..4_000_000_u128,
            requests in 0..1_000_000_000_u64,
            accepts in 0..1_000_000_000_u64,
        ) {
            let rule = Rule::accepting(Ratio::parts_per_million(million as u32));
            let parts = u128::from(rule.probability(requests, accepts).as_u32());
            let of = (u128::from(requests) + 1) * 1_000_000;
            let lacking = (u128::from(requests) * 1_000_000)
                .saturating_sub(million * u128::from(accepts));
            prop_assert!(parts * of <= lacking << 32);
            prop_assert!(lacking << 32 < (parts + 1) * of);
        }

        #[test]
        fn a_rule_fits_into_a_word(rule in rules()) {
            prop_assert_eq!(Rule::unpack(rule.pack()), rule);
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let percent = Ratio::percent;
        for bad in [
            Rule::accepting(percent(99)),
            Rule::success_rate(Ratio::ZERO),
            Rule::success_rate(percent(101)),
            Rule::success_rate(percent(95)).aggression(percent(99)),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        // Nor does it panic where it was not checked.
        assert_eq!(
            Rule::success_rate(Ratio::ZERO).probability(9, 9),
            Share::NONE
        );
        let same = Rule::accepting(percent(100)).aggression(percent(500));
        assert_eq!(same, Rule::accepting(percent(100)));
    }
}
