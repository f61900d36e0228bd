//! How much one node may have in flight, in integers.

use axiomatic_core::Ratio;

/// What a pick is judged by: read once, and then the same for all nodes.
///
/// With c the balance, m the requests in flight and W the weight of all nodes
/// that may be picked, the cap of a node that weighs w is ceil(c m w / W).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) balance: Ratio,
    /// The one to be placed included.
    pub(super) in_flight: u64,
    /// Of all that may be picked.
    pub(super) whole: u64,
}

const MILLION: u64 = 1_000_000;

impl Rule {
    /// The most that a node of this weight may have in flight: at least one.
    ///
    /// As c is at least one, the caps add up to m at least. Before the pick no
    /// more than m - 1 are in flight, so not all nodes can be at their caps:
    /// one request after the other, there is always one with room.
    pub(super) fn cap(self, weight: u32) -> u64 {
        let share = self.share(weight).div_ceil(self.per_request());
        u64::try_from(share).unwrap_or(u64::MAX).max(1)
    }

    /// Whether a node of this weight may have so many in flight: whether that
    /// is no more than its cap, without dividing. k <= ceil(x / y) says the
    /// same as (k - 1) y < x.
    #[inline(always)]
    pub(super) fn allows(self, held: u64, weight: u32) -> bool {
        // Saturated after 2^44 requests that never ended: then it is full.
        let before = held.saturating_sub(1).saturating_mul(MILLION);
        before == 0 || u128::from(before) * u128::from(self.whole) < self.share(weight)
    }

    /// c m w in millionths: 32 + 32 bits beside 64.
    #[inline(always)]
    fn share(self, weight: u32) -> u128 {
        let of_each = u64::from(self.balance.as_parts_per_million()) * u64::from(weight);
        u128::from(of_each) * u128::from(self.in_flight)
    }

    fn per_request(self) -> u128 {
        u128::from(self.whole.max(1)) * u128::from(MILLION)
    }
}

/// Of two nodes the one with less in flight for what it weighs.
pub(super) fn is_less_loaded((held, weight): (u64, u32), than: (u64, u32)) -> bool {
    u128::from(held) * u128::from(than.1) < u128::from(than.0) * u128::from(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(percent: u16, in_flight: u64, whole: u64) -> Rule {
        Rule {
            balance: Ratio::percent(percent),
            in_flight,
            whole,
        }
    }

    #[test]
    fn caps_are_rounded_up_and_never_zero() {
        // 1.25 x 100 / 10 = 12.5.
        assert_eq!(rule(125, 100, 10).cap(1), 13);
        assert_eq!(rule(125, 100, 10).cap(2), 25);
        assert_eq!(rule(100, 100, 10).cap(1), 10);
        assert_eq!(rule(100, 101, 10).cap(1), 11);
        assert_eq!(rule(100, 1, 1_000).cap(1), 1);
        assert_eq!(rule(100, 1, 1_000).cap(0), 1);
    }

    proptest! {
        #[test]
        fn what_is_allowed_is_what_the_cap_says(
            millionths in 1_000_000u32..5_000_000,
            in_flight in 1u64..1 << 40,
            weight in 0u32..,
            others in 0u64..1 << 50,
            off in -2i64..=2,
        ) {
            let rule = Rule {
                balance: Ratio::parts_per_million(millionths),
                in_flight,
                whole: u64::from(weight) + others + 1,
            };
            let held = rule.cap(weight).saturating_add_signed(off);
            prop_assert_eq!(rule.allows(held, weight), held <= rule.cap(weight));
        }

        #[test]
        fn the_caps_have_room_for_all(
            millionths in 1_000_000u32..2_000_000,
            in_flight in 1u64..1 << 40,
            weights in prop::collection::vec(0u32.., 1..20),
        ) {
            let whole = weights.iter().map(|weight| u64::from(*weight)).sum();
            prop_assume!(whole > 0);
            let rule = Rule {
                balance: Ratio::parts_per_million(millionths),
                in_flight,
                whole,
            };
            let caps: u64 = weights.iter().map(|weight| rule.cap(*weight)).sum();
            prop_assert!(caps >= in_flight);
        }
    }

    #[test]
    fn no_number_is_too_great() {
        let rule = Rule {
            balance: Ratio::parts_per_million(u32::MAX),
            in_flight: u64::MAX,
            whole: 1,
        };
        assert_eq!(rule.cap(u32::MAX), u64::MAX);
        assert!(rule.allows(u64::MAX, u32::MAX));
        let rule = Rule {
            whole: u64::MAX,
            ..rule
        };
        assert!(!rule.allows(u64::MAX, 1));
    }
}
