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

    /// Whether a call that was refused here is one of the requests.
    pub(super) const fn counts_refusals(self) -> bool {
        matches!(self.0, Law::Accepting { .. })
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
