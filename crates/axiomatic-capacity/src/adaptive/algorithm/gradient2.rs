use axiomatic_core::Ratio;
use axiomatic_core::time::saturating_nanos;

use super::{Bounds, LimitAlgorithm, Sample, Step, Why};
use crate::adaptive::AlgorithmError;

/// As much less as latency is above its long average, and a small queue more.
///
/// As published in Netflix's concurrency-limits (`Gradient2Limit`):
/// `limit × clamp(long / now, 0.5, 1) + queue`, of which a step goes a fifth
/// of the way. It does not look at drops, and what lasts becomes the average:
/// under lasting overload, the limit goes on to grow by the queue.
///
/// The latency of a window is its median. A window without one, for all was
/// dropped, leaves the limit where it is.
///
/// ```
/// use axiomatic_capacity::adaptive::Gradient2;
///
/// # fn main() -> Result<(), axiomatic_capacity::adaptive::AlgorithmError> {
/// let algorithm = Gradient2::config().build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gradient2 {
    config: Gradient2Config,
    limit: f64,
    long: f64,
    /// Of the latencies with which the average begins.
    sum: f64,
    count: u32,
}

/// What a [`Gradient2`] is made of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Gradient2Config {
    bounds: Bounds,
    queue: u32,
    smoothing: Ratio,
    long_window: u32,
}

/// So many windows begin the average, with equal weight.
const WARMUP: u32 = 10;

impl Gradient2 {
    /// The published parameters.
    pub const fn config() -> Gradient2Config {
        Gradient2Config {
            bounds: Bounds::between(20, 200),
            queue: 4,
            smoothing: Ratio::percent(20),
            long_window: 600,
        }
    }
}

impl Gradient2Config {
    /// Between these limits; 20 and 200 if it is not said, and from 20 on.
    #[must_use]
    pub const fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// So many more than the gradient says; 4 if it is not said.
    #[must_use]
    pub const fn with_queue(mut self, queue: u32) -> Self {
        self.queue = queue;
        self
    }

    /// How much of the way a step goes; 20 % if it is not said.
    #[must_use]
    pub const fn with_smoothing(mut self, smoothing: Ratio) -> Self {
        self.smoothing = smoothing;
        self
    }

    /// Over how many windows the long average goes; 600 if it is not said.
    #[must_use]
    pub const fn with_long_window(mut self, windows: u32) -> Self {
        self.long_window = windows;
        self
    }

    /// The algorithm.
    ///
    /// # Errors
    ///
    /// Which of the parameters cannot work.
    pub fn build(self) -> Result<Gradient2, AlgorithmError> {
        self.bounds.check()?;
        if self.queue == 0 {
            return Err(AlgorithmError::Headroom);
        }
        if self.smoothing == Ratio::ZERO || self.smoothing > Ratio::ONE {
            return Err(AlgorithmError::Smoothing(self.smoothing));
        }
        if self.long_window == 0 {
            return Err(AlgorithmError::LongWindow);
        }
        Ok(Gradient2 {
            config: self,
            limit: f64::from(self.bounds.first()),
            long: 0.0,
            sum: 0.0,
            count: 0,
        })
    }
}

impl Gradient2 {
    fn average(&mut self, latency: f64) {
        if self.count < WARMUP {
            self.count += 1;
            self.sum += latency;
            self.long = self.sum / f64::from(self.count);
        } else {
            let weight = 2.0 / (f64::from(self.config.long_window) + 1.0);
            self.long = self.long * (1.0 - weight) + latency * weight;
        }
    }

    fn answer(&self, why: Why) -> Step {
        Step {
            limit: self.limit as u32,
            why,
        }
    }
}

impl LimitAlgorithm for Gradient2 {
    fn initial(&self) -> u32 {
        self.config.bounds.first()
    }

    fn step(&mut self, sample: &Sample) -> Step {
        let Some(median) = sample.median else {
            return self.answer(Why::TooFew);
        };
        let short = saturating_nanos(median).max(1) as f64;
        self.average(short);
        let long = self.long;
        if long / short > 2.0 {
            self.long *= 0.9;
        }
        if f64::from(sample.most_in_flight) < self.limit / 2.0 {
            return self.answer(Why::Idle);
        }
        let gradient = (long / short).clamp(0.5, 1.0);
        let smoothing = f64::from(self.config.smoothing.as_parts_per_million()) / 1e6;
        let before = self.limit;
        let aim = before * gradient + f64::from(self.config.queue);
        let next = before * (1.0 - smoothing) + aim * smoothing;
        self.limit = self.config.bounds.clamp(next);
        self.answer(if self.limit > before {
            Why::Growing
        } else if self.limit < before {
            Why::Queueing
        } else {
            Why::Steady
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::window;
    use super::*;

    #[test]
    fn it_goes_a_fifth_of_the_way_to_what_the_gradient_says() {
        let mut gradient = Gradient2::config().build().expect("the defaults work");
        let used = |limit| window().limit(limit).in_flight(limit);
        let table = [
            // 20 + 4/5, 20.8 + 4/5, …
            (used(20).median_ms(10), 20, Why::Growing),
            (used(20).median_ms(10), 21, Why::Growing),
            (
                window().limit(21).in_flight(10).median_ms(10),
                21,
                Why::Idle,
            ),
            // The average of 10, 10, 10 and 70 is 25, and less than half of 70:
            // 21.6 × 0.8 + (10.8 + 4) × 0.2, and the least is 20.
            (used(21).median_ms(70), 20, Why::Queueing),
            (used(20).answered(0).dropped(9), 20, Why::TooFew),
        ];
        for (sample, limit, why) in table {
            assert_eq!(gradient.step(&sample.make()), Step { limit, why });
        }
    }

    #[test]
    fn what_lasts_becomes_the_average() {
        let config = Gradient2::config().within(Bounds::between(1, 1_000));
        let mut gradient = config.build().expect("it works");
        let mut limit = 20;
        for _ in 0..10 {
            limit = gradient
                .step(&window().in_flight(limit).median_ms(10).make())
                .limit;
        }
        for _ in 0..3_000 {
            limit = gradient
                .step(&window().in_flight(limit).median_ms(50).make())
                .limit;
        }
        assert!(limit > 500, "{limit}");
    }

    #[test]
    fn parameters_that_cannot_work_are_refused() {
        let config = Gradient2::config();
        let more = Ratio::percent(101);
        let table = [
            (config.with_queue(0), AlgorithmError::Headroom),
            (config.with_long_window(0), AlgorithmError::LongWindow),
            (config.with_smoothing(more), AlgorithmError::Smoothing(more)),
        ];
        for (config, error) in table {
            assert_eq!(config.build().err(), Some(error));
        }
    }
}
