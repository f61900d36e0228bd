use std::time::Duration;

use axiomatic_core::Ratio;

use super::Seeker;
use crate::adaptive::AlgorithmError;
use crate::adaptive::Bounds;

/// What a [`Seeker`] is made of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SeekerConfig {
    pub(super) bounds: Bounds,
    pub(super) tolerance: Ratio,
    pub(super) drops: Ratio,
    pub(super) probe_every: Duration,
    pub(super) seed: u64,
}

impl SeekerConfig {
    /// Probes are at least so far apart.
    pub const SHORTEST_PROBE_INTERVAL: Duration = Duration::from_secs(1);

    pub(super) const fn new(seed: u64) -> Self {
        SeekerConfig {
            bounds: Bounds::between(1, 1_000),
            tolerance: Ratio::percent(10),
            drops: Ratio::percent(10),
            probe_every: Duration::from_secs(30),
            seed,
        }
    }

    /// Between these limits; 1 and 1000 if it is not said, and from 20 on.
    #[must_use]
    pub const fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// How long latency may be, beyond the baseline, before it counts as a
    /// queue; 10 % if it is not said.
    #[must_use]
    pub const fn tolerating(mut self, share: Ratio) -> Self {
        self.tolerance = share;
        self
    }

    /// From which share of dropped calls on the limit is cut; 10 % if it is
    /// not said.
    #[must_use]
    pub const fn with_drops(mut self, share: Ratio) -> Self {
        self.drops = share;
        self
    }

    /// Probes come after one to two times so long, if there was no low load
    /// meanwhile; 30 s if it is not said.
    #[must_use]
    pub const fn probing_every(mut self, interval: Duration) -> Self {
        self.probe_every = interval;
        self
    }

    /// The algorithm.
    ///
    /// # Errors
    ///
    /// Which of the parameters cannot work.
    pub fn build(self) -> Result<Seeker, AlgorithmError> {
        self.bounds.check()?;
        if self.tolerance > Ratio::ONE {
            return Err(AlgorithmError::Tolerance(self.tolerance));
        }
        if self.drops == Ratio::ZERO || self.drops > Ratio::percent(50) {
            return Err(AlgorithmError::Drops(self.drops));
        }
        if self.probe_every < SeekerConfig::SHORTEST_PROBE_INTERVAL {
            return Err(AlgorithmError::ProbeEvery(self.probe_every));
        }
        Ok(Seeker::new(self))
    }
}
