use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::hash::mix;
use axiomatic_core::time::saturating_nanos;

use crate::float::ln;

/// Chance from a seed: SplitMix64, a counter that is mixed (Steele, Lea and
/// Flood, OOPSLA 2014).
///
/// A few lines and not a crate: the numbers are part of what is promised
/// here, since a golden file depends on them, and no update of a dependency
/// may change them. It is no source of secrets.
///
/// [`fork`](Random::fork) makes independent streams. A run that gives each
/// request its own stream meets the same luck whatever is done about it, so
/// that two policies are compared on one world and not on two.
///
/// ```
/// use axiomatic_sim::Random;
///
/// let mut random = Random::new(1_234_567);
/// assert_eq!(random.bits(), 6_457_827_717_110_365_317);
/// let (mut one, mut other) = (random.fork(1), random.fork(2));
/// assert_ne!(one.bits(), other.bits());
/// ```
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Another stream, by its number; this one does not move.
    #[must_use]
    pub const fn fork(&self, stream: u64) -> Self {
        // Both are mixed: neighbours must not meet.
        Random(mix(mix(self.0) ^ mix(!stream)))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        // `mix` adds the increment before it mixes.
        let bits = mix(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits
    }

    /// A number under `end`; zero if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of a product: biased by less than end / 2⁶⁴.
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// Whether something happens that happens in this share of all cases.
    pub fn chance(&mut self, share: Ratio) -> bool {
        self.below(1_000_000) < u64::from(share.as_parts_per_million())
    }

    /// A number above 0 and below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// A wait without memory: exponential, with this mean.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        scaled(mean, -ln(self.unit()))
    }

    /// A standard normal number, by the polar method of Marsaglia, which
    /// needs no sine.
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.unit() - 1.0;
            let y = 2.0 * self.unit() - 1.0;
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * ln(square) / square).sqrt();
            }
        }
    }
}

/// So many times as long, to the nanosecond.
pub(crate) fn scaled(duration: Duration, factor: f64) -> Duration {
    // The cast saturates.
    Duration::from_nanos((saturating_nanos(duration) as f64 * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published outputs for the seed 1234567.
    #[test]
    fn the_numbers_are_those_of_splitmix() {
        let mut random = Random::new(1_234_567);
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for number in published {
            assert_eq!(random.bits(), number);
        }
    }

    #[test]
    fn a_chance_comes_as_often_as_it_says() {
        let mut random = Random::new(1);
        for percent in [0, 1, 20, 50, 99, 100] {
            let hits = (0..100_000)
                .filter(|_| random.chance(Ratio::percent(percent)))
                .count() as i64;
            // Four standard deviations of 100 000 tosses are at most 633.
            let expected = i64::from(percent) * 1_000;
            assert!((hits - expected).abs() < 633, "{percent} %: {hits}");
        }
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut random = Random::new(7);
        let count = 100_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..count {
            let x = random.normal();
            sum += x;
            squares += x * x;
        }
        let mean = sum / f64::from(count);
        assert!(mean.abs() < 0.013, "mean {mean}");
        let variance = squares / f64::from(count);
        assert!((variance - 1.0).abs() < 0.018, "variance {variance}");
    }

    #[test]
    fn forks_are_apart_from_each_other_and_from_their_origin() {
        let random = Random::new(3);
        let mut seen = std::collections::HashSet::new();
        for stream in 0..1_000 {
            let mut fork = random.fork(stream);
            for _ in 0..100 {
                assert!(seen.insert(fork.bits()), "stream {stream}");
            }
        }
        let mut origin = random;
        assert!((0..1_000).all(|_| seen.insert(origin.bits())));
    }
}
