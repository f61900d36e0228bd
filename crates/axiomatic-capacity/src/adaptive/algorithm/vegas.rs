use axiomatic_core::hash::mix;
use axiomatic_core::time::saturating_nanos;

use super::{Bounds, LimitAlgorithm, Sample, Step, Why};
use crate::adaptive::AlgorithmError;

/// As many as make a short queue: of a limit, the share that latency is above
/// its minimum stands in line, and that should be neither none nor many.
///
/// As published in Netflix's concurrency-limits (`VegasLimit`), after Brakmo
/// and Peterson, "TCP Vegas: End to End Congestion Avoidance on a Global
/// Internet", 1995: a queue of `limit × (1 − shortest / now)` between alpha
/// and beta, which are 3 and 6 times the decimal logarithm of the limit. Now
/// and then the minimum is forgotten, and whatever is seen then is the new
/// one: under load, that is the latency under load, and the limit creeps up.
///
/// The latency of a window is its median, for the minimum as well. A window
/// without one has only its drops to go by.
///
/// ```
/// use axiomatic_capacity::adaptive::Vegas;
///
/// # fn main() -> Result<(), axiomatic_capacity::adaptive::AlgorithmError> {
/// let algorithm = Vegas::config(7).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Vegas {
    config: VegasConfig,
    limit: f64,
    shortest: u64,
    windows: u64,
    /// How many windows from one probe to the next, for each of the limit.
    apart: f64,
    random: u64,
}

/// What a [`Vegas`] is made of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct VegasConfig {
    bounds: Bounds,
    probe_multiplier: u32,
    seed: u64,
}

impl Vegas {
    /// The published parameters. The seed says when the minimum is forgotten:
    /// it should differ from instance to instance.
    pub const fn config(seed: u64) -> VegasConfig {
        VegasConfig {
            bounds: Bounds::between(1, 1_000),
            probe_multiplier: 30,
            seed,
        }
    }
}

impl VegasConfig {
    /// Between these limits; 1 and 1000 if it is not said, and from 20 on.
    #[must_use]
    pub const fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// The minimum is forgotten after half to all of so many times the limit
    /// in windows; 30 if it is not said.
    #[must_use]
    pub const fn with_probe_multiplier(mut self, multiplier: u32) -> Self {
        self.probe_multiplier = multiplier;
        self
    }

    /// The algorithm.
    ///
    /// # Errors
    ///
    /// Which of the parameters cannot work.
    pub fn build(self) -> Result<Vegas, AlgorithmError> {
        self.bounds.check()?;
        if self.probe_multiplier == 0 {
            return Err(AlgorithmError::ProbeMultiplier);
        }
        let mut vegas = Vegas {
            config: self,
            limit: f64::from(self.bounds.first()),
            shortest: 0,
            windows: 0,
            apart: 0.0,
            random: self.seed,
        };
        vegas.draw();
        Ok(vegas)
    }
}

impl Vegas {
    /// Half to all of the multiplier.
    fn draw(&mut self) {
        self.random = mix(self.random);
        let share = (self.random >> 12) as f64 / (1u64 << 52) as f64;
        self.apart = f64::from(self.config.probe_multiplier) * (0.5 + share / 2.0);
    }

    fn answer(&self, why: Why) -> Step {
        Step {
            limit: self.limit as u32,
            why,
        }
    }
}

impl LimitAlgorithm for Vegas {
    fn initial(&self) -> u32 {
        self.config.bounds.first()
    }

    fn step(&mut self, sample: &Sample) -> Step {
        // At least 1: limits are.
        let log = f64::from((self.limit as u32).max(1).ilog10().max(1));
        let median = sample.median.map(|median| saturating_nanos(median).max(1));
        if let Some(median) = median {
            self.windows += 1;
            if self.apart * self.limit <= self.windows as f64 {
                self.draw();
                self.windows = 0;
                self.shortest = median;
                return self.answer(Why::Probing);
            }
            if self.shortest == 0 || median < self.shortest {
                self.shortest = median;
                return self.answer(Why::Steady);
            }
        }
        let (next, why) = if sample.dropped > 0 {
            (self.limit - log, Why::Overloaded)
        } else if let Some(median) = median {
            if f64::from(sample.most_in_flight) * 2.0 < self.limit {
                return self.answer(Why::Idle);
            }
            let in_line = self.limit * (1.0 - self.shortest as f64 / median as f64);
            let in_line = in_line.ceil();
            if in_line <= log {
                (self.limit + 6.0 * log, Why::Growing)
            } else if in_line < 3.0 * log {
                (self.limit + log, Why::Growing)
            } else if in_line > 6.0 * log {
                (self.limit - log, Why::Queueing)
            } else {
                return self.answer(Why::Steady);
            }
        } else {
            return self.answer(Why::TooFew);
        };
        self.limit = self.config.bounds.clamp(next);
        self.answer(why)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::window;
    use super::*;

    #[test]
    fn it_keeps_a_queue_between_alpha_and_beta() {
        let mut vegas = Vegas::config(1).build().expect("the defaults work");
        let used = |limit| window().limit(limit).in_flight(limit);
        let table = [
            // The first latency is the minimum.
            (used(20).median_ms(20), 20, Why::Steady),
            (used(20).median_ms(20), 26, Why::Growing),
            // 26 × (1 − 20/21) = 1.2 in line, so two: one more.
            (used(26).median_ms(21), 27, Why::Growing),
            // 27 × (1 − 20/24) = 4.5.
            (used(27).median_ms(24), 27, Why::Steady),
            // 27 × (1 − 20/28) = 7.7.
            (used(27).median_ms(28), 26, Why::Queueing),
            (
                window().limit(26).in_flight(12).median_ms(20),
                26,
                Why::Idle,
            ),
            (used(26).answered(0).dropped(3), 25, Why::Overloaded),
            (used(25).answered(0), 25, Why::TooFew),
        ];
        for (sample, limit, why) in table {
            assert_eq!(vegas.step(&sample.make()), Step { limit, why });
        }
    }

    #[test]
    fn now_and_then_it_takes_what_it_sees_for_the_minimum() {
        let mut vegas = Vegas::config(1).build().expect("the defaults work");
        let _ = vegas.step(&window().median_ms(10).make());
        let slow = window().limit(20).in_flight(20).median_ms(12).make();
        let steps = (2..=600).find(|_| vegas.step(&slow).why == Why::Probing);
        assert!(steps.is_some_and(|steps| steps >= 300), "{steps:?}");
        assert_eq!(vegas.step(&slow).why, Why::Growing);
    }

    #[test]
    fn parameters_that_cannot_work_are_refused() {
        let never = Vegas::config(1).with_probe_multiplier(0).build();
        assert_eq!(never.err(), Some(AlgorithmError::ProbeMultiplier));
        let bounds = Bounds::between(0, 1);
        let none = Vegas::config(1).within(bounds).build();
        assert_eq!(none.err(), Some(AlgorithmError::Bounds(bounds)));
    }
}
