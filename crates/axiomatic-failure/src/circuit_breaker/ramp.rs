use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::window::Counts;

use super::ConfigError;
use super::shares::Stage;

/// How a breaker gives a dependency its load back once the probes were good:
/// 5, 10, 25 and 50 % of the calls pass, then all of them.
///
/// A dependency that has just restarted has cold caches and no connections,
/// and serves a probe well and a stampede badly. Calls are let through evenly
/// and not by chance: of any hundred in the first stage, five. Each stage
/// lasts a quarter of the ramp, and longer until a call has worked; more
/// failures than the guard forgives, in whichever stage their calls began,
/// open the breaker again.
///
/// ```
/// use axiomatic_core::Ratio;
/// use axiomatic_failure::circuit_breaker::{Config, Ramp};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), axiomatic_failure::circuit_breaker::ConfigError> {
/// let breaker = Config::default()
///     .ramp(Ramp::over(Duration::from_secs(20)).forgiving(Ratio::percent(5), 40))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ramp {
    pub(super) stage: Duration,
    pub(super) forgiven: Ratio,
    pub(super) sample: u32,
}

impl Ramp {
    /// The longest ramp: two hours.
    pub const LONGEST: Duration = Duration::from_secs(2 * 3600);

    /// A ramp of this length, which forgives 10 % of its calls in the window,
    /// or two of the first twenty. A ramp that is shorter than the calls'
    /// timeout is over before they fail.
    pub const fn over(duration: Duration) -> Self {
        Ramp {
            stage: match duration.checked_div(Stage::COUNT) {
                Some(stage) => stage,
                None => Duration::ZERO,
            },
            forgiven: Ratio::percent(10),
            sample: 20,
        }
    }

    /// What share of the ramp's calls may fail, of at least `sample`: as long
    /// as there are fewer, as many may fail as of so many. A slow call counts
    /// as one that failed where the breaker judges slowness.
    #[must_use]
    pub const fn forgiving(mut self, share: Ratio, sample: u32) -> Self {
        self.forgiven = share;
        self.sample = sample;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.stage.is_zero() || self.stage > Self::LONGEST / Stage::COUNT {
            return Err(ConfigError::Ramp);
        }
        if self.forgiven >= Ratio::ONE {
            return Err(ConfigError::Rate(self.forgiven));
        }
        Ok(())
    }

    /// Whether more calls were bad than the guard forgives.
    pub(super) fn is_over_guard(&self, counts: &Counts, bad: u64) -> bool {
        let whole = counts.total().max(self.sample.into());
        let share = u128::from(self.forgiven.as_parts_per_million());
        u128::from(bad) * 1_000_000 > u128::from(whole) * share
    }
}
