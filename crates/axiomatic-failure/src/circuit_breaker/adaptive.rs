use std::time::Duration;

use axiomatic_core::Ratio;

use super::ConfigError;

/// A breaker without a door: instead of refusing everything or nothing, it
/// refuses a share of the calls, as large as the failures ask for.
///
/// A dependency of which a part fails, one shard of ten, is neither up nor
/// down. A breaker with a threshold is blind to it below, and above cuts off
/// what works. This one thins the traffic out and thickens it again.
///
/// Two laws say by how much:
///
/// | Law | Share refused | Suits |
/// |---|---|---|
/// | [`accepting`](Adaptive::accepting) | `max(0, (requests − K × accepts) / (requests + 1))` over the window | overload, where the dependency itself says no: it settles where K times as much is sent as is served |
/// | [`steering`](Adaptive::steering) | moved step by step, until what passes fails no more than `ideal` | faults whose rate does not depend on the load |
///
/// ```
/// use axiomatic_core::Ratio;
/// use axiomatic_failure::circuit_breaker::{Adaptive, Config};
///
/// # fn main() -> Result<(), axiomatic_failure::circuit_breaker::ConfigError> {
/// let breaker = Config::default()
///     .adaptive(Adaptive::accepting(Ratio::percent(200)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Adaptive {
    pub(super) law: Law,
    pub(super) every: Duration,
    pub(super) at_most: Ratio,
    pub(super) sample: u32,
}

/// How the share of refusals follows from what was seen.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Law {
    Accepting {
        multiple: Ratio,
    },
    Steering {
        ideal: Ratio,
        dead_zone: Ratio,
        gain: Ratio,
    },
}

/// What a control step sees: the window, and what it did itself.
#[derive(Copy, Clone, Debug)]
pub(super) struct Seen {
    /// Calls that were made.
    pub(super) calls: u64,
    /// Those of them that failed, or were too slow.
    pub(super) bad: u64,
    /// Calls that were refused.
    pub(super) refused: u64,
    /// The share that is refused now.
    pub(super) refusing: Ratio,
}

const MILLION: i64 = 1_000_000;
/// Below a thousandth, a share that only decays is nothing.
const NOTHING: i64 = 1_000;

impl Adaptive {
    /// The throttle of a client that counts what is accepted: `K`, the
    /// multiple, of 200 % lets twice as much through as was served, 110 %
    /// hardly more. Below 100 % it would refuse in the best of times.
    ///
    /// Source: Beyer and others, *Site Reliability Engineering*, 2016,
    /// chapter "Handling overload".
    pub const fn accepting(multiple: Ratio) -> Self {
        Self::by(Law::Accepting { multiple })
    }

    /// A controller that refuses as much as it takes until what passes fails
    /// no more often than `ideal`, a share that is always there.
    ///
    /// Each step moves the share by a fifth of the error
    /// `x − (1 − x) × share`, where `x` is how far the failures lie above the
    /// ideal. Failures within half of the ideal above it, the dead zone, are
    /// noise and count as ideal. The share is the only memory the controller
    /// has, and it is clamped: so there is nothing to wind up while it
    /// refuses all it may.
    ///
    /// Source: the adaptive breaker of Shopify's Semian, 2025, whose error
    /// function this is.
    pub const fn steering(ideal: Ratio) -> Self {
        Self::by(Law::Steering {
            ideal,
            dead_zone: Ratio::parts_per_million(ideal.as_parts_per_million() / 2),
            gain: Ratio::percent(20),
        })
    }

    const fn by(law: Law) -> Self {
        Adaptive {
            law,
            every: Duration::from_secs(1),
            at_most: Ratio::percent(95),
            sample: 20,
        }
    }

    /// How far failures may lie above the ideal and count as noise. Only for
    /// [`steering`](Adaptive::steering).
    #[must_use]
    pub const fn dead_zone(mut self, share: Ratio) -> Self {
        if let Law::Steering { ideal, gain, .. } = self.law {
            self.law = Law::Steering {
                ideal,
                dead_zone: share,
                gain,
            };
        }
        self
    }

    /// Which part of the error a step corrects. Only for
    /// [`steering`](Adaptive::steering).
    #[must_use]
    pub const fn gain(mut self, gain: Ratio) -> Self {
        if let Law::Steering {
            ideal, dead_zone, ..
        } = self.law
        {
            self.law = Law::Steering {
                ideal,
                dead_zone,
                gain,
            };
        }
        self
    }

    /// How often the share is set anew, a second by default.
    #[must_use]
    pub const fn every(mut self, step: Duration) -> Self {
        self.every = step;
        self
    }

    /// The most that is refused, 95 % by default: what passes is how it
    /// learns that the dependency is back.
    #[must_use]
    pub const fn at_most(mut self, share: Ratio) -> Self {
        self.at_most = share;
        self
    }

    /// How many calls, made or refused, the window has to hold before
    /// anything is concluded from it, 20 by default.
    #[must_use]
    pub const fn sample(mut self, calls: u32) -> Self {
        self.sample = calls;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let law = match self.law {
            Law::Accepting { multiple } => multiple >= Ratio::ONE,
            Law::Steering {
                ideal,
                dead_zone,
                gain,
            } => {
                let tolerated = ideal.as_parts_per_million() + dead_zone.as_parts_per_million();
                tolerated < Ratio::ONE.as_parts_per_million()
                    && (Ratio::parts_per_million(1)..=Ratio::ONE).contains(&gain)
            }
        };
        // All of the calls refused would be for ever: nothing could be seen.
        let at_most = Ratio::ZERO < self.at_most && self.at_most < Ratio::ONE;
        if law && at_most && !self.every.is_zero() {
            Ok(())
        } else {
            Err(ConfigError::Adaptive)
        }
    }

    /// The share to refuse from now on: pure, in whole millionths.
    pub(super) fn next(&self, seen: &Seen) -> Ratio {
        let share = match self.law {
            Law::Accepting { multiple } => self.accepted(seen, multiple),
            Law::Steering {
                ideal,
                dead_zone,
                gain,
            } => self.steered(seen, ideal, dead_zone, gain),
        };
        let most = i64::from(self.at_most.as_parts_per_million());
        Ratio::parts_per_million(share.clamp(0, most) as u32)
    }

    fn accepted(&self, seen: &Seen, multiple: Ratio) -> i64 {
        let requests = i128::from(seen.calls) + i128::from(seen.refused);
        if requests < i128::from(self.sample) {
            return 0;
        }
        let accepts = i128::from(seen.calls.saturating_sub(seen.bad));
        let multiple = i128::from(multiple.as_parts_per_million());
        let excess = requests * i128::from(MILLION) - multiple * accepts;
        (excess / (requests + 1)) as i64
    }

    fn steered(&self, seen: &Seen, ideal: Ratio, dead_zone: Ratio, gain: Ratio) -> i64 {
        let share = millionths(seen.refusing);
        let is_enough = seen.calls + seen.refused >= u64::from(self.sample) && seen.calls > 0;
        let failing = if is_enough {
            (u128::from(seen.bad) * MILLION as u128 / u128::from(seen.calls)) as i64
        } else {
            0
        };
        let above = failing - millionths(ideal);
        let x = if above > millionths(dead_zone) {
            above
        } else {
            0
        };
        let error = x - (MILLION - x) * share / MILLION;
        let next = share + millionths(gain) * error / MILLION;
        if x == 0 && next < NOTHING { 0 } else { next }
    }
}

fn millionths(ratio: Ratio) -> i64 {
    i64::from(ratio.as_parts_per_million())
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    fn seen(calls: u64, bad: u64, refused: u64, refusing: Ratio) -> Seen {
        Seen {
            calls,
            bad,
            refused,
            refusing,
        }
    }

    /// The share that a law settles at, if this share of what passes fails.
    fn settled(adaptive: Adaptive, from: Ratio, failing: u64) -> u32 {
        let mut refusing = from;
        for _ in 0..200 {
            let refused = 10_000 * u64::from(refusing.as_parts_per_million()) / 1_000_000;
            let calls = 10_000 - refused;
            let bad = calls * failing / 100;
            refusing = adaptive.next(&seen(calls, bad, refused, refusing));
        }
        refusing.as_parts_per_million() / 1_000
    }

    #[test]
    fn the_throttle_is_the_published_formula() {
        let twice = Adaptive::accepting(Ratio::percent(200));
        let next = |calls, bad| {
            twice
                .next(&seen(calls, bad, 0, Ratio::ZERO))
                .as_parts_per_million()
        };
        assert_eq!(next(99, 0), 0);
        assert_eq!(next(99, 49), 0, "half may fail");
        // (99 − 2 × 24) / 100
        assert_eq!(next(99, 75), 510_000);
        assert_eq!(next(9, 9), 0, "too few to say");
        assert_eq!(next(999, 999), 950_000, "and some always pass");
    }

    #[test]
    fn the_controller_settles_where_its_error_is_nothing() {
        let steering = Adaptive::steering(Ratio::percent(1));
        // x / (1 − x): at 20 % failing, of 19 % above the ideal.
        for from in [Ratio::ZERO, Ratio::percent(95)] {
            let share = settled(steering, from, 20);
            assert!((225..=240).contains(&share), "{share} from {from}");
            assert_eq!(settled(steering, from, 100), 950);
            assert_eq!(settled(steering, from, 0), 0);
        }
    }

    #[test]
    fn noise_in_the_dead_zone_moves_nothing() {
        let steering = Adaptive::steering(Ratio::percent(10)).dead_zone(Ratio::percent(5));
        assert_eq!(settled(steering, Ratio::ZERO, 15), 0);
        assert!(settled(steering, Ratio::ZERO, 17) > 50);
    }

    /// However long it refused all that it may, it lets go at once.
    #[test]
    fn nothing_winds_up_while_it_refuses_all_it_may() {
        let steering = Adaptive::steering(Ratio::percent(1));
        let mut shares = [10, 10_000].map(|steps| {
            let mut refusing = Ratio::ZERO;
            for _ in 0..steps {
                refusing = steering.next(&seen(50, 50, 950, refusing));
            }
            (0..10).fold(refusing, |refusing, _| {
                steering.next(&seen(50, 0, 950, refusing))
            })
        });
        shares.sort();
        let [least, most] = shares.map(Ratio::as_parts_per_million);
        assert!(most < 110_000, "{most}");
        assert!(most - least < 40_000, "{least} and {most}");
    }

    #[test]
    fn nothing_seen_is_no_reason_to_refuse() {
        let steering = Adaptive::steering(Ratio::percent(1));
        let next = steering.next(&seen(0, 0, 0, Ratio::percent(50)));
        assert_eq!(next, Ratio::percent(40));
        let accepting = Adaptive::accepting(Ratio::percent(150));
        assert_eq!(accepting.next(&seen(0, 0, 0, Ratio::ONE)), Ratio::ZERO);
        let huge = seen(u64::MAX / 2, u64::MAX / 2, u64::MAX / 2, Ratio::ONE);
        assert_eq!(accepting.next(&huge), Ratio::percent(95));
    }
}
