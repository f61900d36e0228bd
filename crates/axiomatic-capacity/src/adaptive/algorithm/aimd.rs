use std::time::Duration;

use axiomatic_core::Ratio;

use super::{Bounds, LimitAlgorithm, Sample, Step, Why};
use crate::adaptive::AlgorithmError;

/// Additive increase, multiplicative decrease: one more as long as nothing is
/// dropped, and a tenth less when something is.
///
/// As published in Netflix's concurrency-limits (`AIMDLimit`), after Chiu and
/// Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
/// Avoidance", 1989. It sees nothing of a queue until calls time out in it;
/// in exchange, whoever shares a server by it shares it fairly.
///
/// ```
/// use axiomatic_capacity::adaptive::Aimd;
///
/// # fn main() -> Result<(), axiomatic_capacity::adaptive::AlgorithmError> {
/// let algorithm = Aimd::config().build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Aimd {
    config: AimdConfig,
    limit: u32,
}

/// What an [`Aimd`] is made of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AimdConfig {
    bounds: Bounds,
    backoff: Ratio,
    timeout: Duration,
}

impl Aimd {
    /// The published parameters.
    pub const fn config() -> AimdConfig {
        AimdConfig {
            bounds: Bounds::between(1, 200).starting_at(10),
            backoff: Ratio::percent(90),
            timeout: Duration::from_secs(5),
        }
    }
}

impl AimdConfig {
    /// Between these limits; 1 and 200 if it is not said, and from 10 on.
    #[must_use]
    pub const fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// How much of the limit is kept when calls are dropped; 90 % if it is
    /// not said.
    #[must_use]
    pub const fn keeping(mut self, backoff: Ratio) -> Self {
        self.backoff = backoff;
        self
    }

    /// From which median on calls count as dropped; 5 s if it is not said.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The algorithm.
    ///
    /// # Errors
    ///
    /// Which of the parameters cannot work.
    pub fn build(self) -> Result<Aimd, AlgorithmError> {
        self.bounds.check()?;
        if self.backoff < Ratio::percent(50) || self.backoff >= Ratio::ONE {
            return Err(AlgorithmError::Backoff(self.backoff));
        }
        if self.timeout.is_zero() {
            return Err(AlgorithmError::Timeout);
        }
        Ok(Aimd {
            config: self,
            limit: self.bounds.first(),
        })
    }
}

impl LimitAlgorithm for Aimd {
    fn initial(&self) -> u32 {
        self.config.bounds.first()
    }

    fn step(&mut self, sample: &Sample) -> Step {
        let AimdConfig {
            bounds,
            backoff,
            timeout,
        } = self.config;
        let limit = self.limit;
        let is_late = sample.median.is_some_and(|median| median > timeout);
        let (next, why) = if sample.dropped > 0 || is_late {
            let millionths = u64::from(limit) * u64::from(backoff.as_parts_per_million());
            // What is kept of 32 bits has no more of them.
            let kept = (millionths / 1_000_000) as u32;
            (kept.min(limit - 1), Why::Overloaded)
        } else if sample.answered == 0 {
            (limit, Why::TooFew)
        } else if u64::from(sample.most_in_flight) * 2 >= u64::from(limit) {
            (limit.saturating_add(1), Why::Growing)
        } else {
            (limit, Why::Idle)
        };
        self.limit = next.clamp(bounds.least(), bounds.most());
        Step {
            limit: self.limit,
            why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::window;
    use super::*;

    #[test]
    fn one_more_while_it_is_used_and_a_tenth_less_when_something_is_dropped() {
        let mut aimd = Aimd::config().build().expect("the defaults work");
        let used = |limit| window().limit(limit).in_flight(limit);
        let table = [
            (used(10), 11, Why::Growing),
            (used(11), 12, Why::Growing),
            (window().limit(12).in_flight(5), 12, Why::Idle),
            (used(12).dropped(1), 10, Why::Overloaded),
            (used(10).dropped(1), 9, Why::Overloaded),
            (used(9).median_ms(5_001), 8, Why::Overloaded),
            (used(8).answered(0), 8, Why::TooFew),
        ];
        for (sample, limit, why) in table {
            assert_eq!(aimd.step(&sample.make()), Step { limit, why });
        }
    }

    #[test]
    fn a_limit_that_is_cut_for_ever_ends_at_the_least() {
        let mut aimd = Aimd::config().build().expect("the defaults work");
        for _ in 0..100 {
            let _ = aimd.step(&window().dropped(1).make());
        }
        assert_eq!(aimd.step(&window().dropped(1).make()).limit, 1);
    }

    #[test]
    fn parameters_that_cannot_work_are_refused() {
        let config = Aimd::config();
        let refused = |config: AimdConfig| config.build().map(|_| ()).expect_err("it is refused");
        for share in [Ratio::percent(49), Ratio::ONE] {
            let error = refused(config.keeping(share));
            assert_eq!(error, AlgorithmError::Backoff(share));
        }
        for bounds in [
            Bounds::between(0, 5),
            Bounds::between(5, 4),
            Bounds::between(1, 9).starting_at(10),
        ] {
            let error = refused(config.within(bounds));
            assert_eq!(error, AlgorithmError::Bounds(bounds));
        }
        let error = refused(config.with_timeout(Duration::ZERO));
        assert_eq!(error, AlgorithmError::Timeout);
    }
}
