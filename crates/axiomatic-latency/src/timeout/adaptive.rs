use std::thread::LocalKey;
use std::time::Duration;

use axiomatic_core::histogram::{self, LatencyHistogram};
use axiomatic_core::shared::{Stash, Stashed};
use axiomatic_core::time::{Instant, saturating_nanos};
use axiomatic_core::{Outcome, Ratio};

use super::ConfigError;

/// A timeout of some times a quantile of what calls take of late, as long as
/// that is shorter than the timeout's own time. Until there are enough calls
/// for a quantile, it is the timeout's own.
///
/// It looks at the precise clock twice a call, and holds a
/// [`LatencyHistogram`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Adaptive {
    quantile: Ratio,
    times: Ratio,
    at_least: Duration,
    half_life: Duration,
}

impl Adaptive {
    /// The least that a call may take, of the quantile.
    ///
    /// An estimate is the middle of a bucket that is an eighth wide. A call
    /// may take so much longer that the whole of that bucket and of the next
    /// one is seen: so an estimate that was too low by chance rises again.
    pub const LEAST_TIMES: Ratio = Ratio::percent(125);

    /// The most.
    pub const MOST_TIMES: Ratio = Ratio::percent(10_000);

    /// Twice as long as this share of the calls takes, but at least 10 ms; a
    /// call counts half after 10 s.
    pub const fn of(quantile: Ratio) -> Self {
        Adaptive {
            quantile,
            times: Ratio::percent(200),
            at_least: Duration::from_millis(10),
            half_life: Duration::from_secs(10),
        }
    }

    /// So many times as long.
    pub const fn times(mut self, times: Ratio) -> Self {
        self.times = times;
        self
    }

    /// Never shorter than this.
    pub const fn at_least(mut self, shortest: Duration) -> Self {
        self.at_least = shortest;
        self
    }

    /// After so long a call counts half.
    pub const fn half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life;
        self
    }

    pub(super) fn build(self, longest: Duration) -> Result<Observed, ConfigError> {
        if self.quantile == Ratio::ZERO || self.quantile > Ratio::ONE {
            return Err(ConfigError::Quantile(self.quantile));
        }
        if !(Self::LEAST_TIMES..=Self::MOST_TIMES).contains(&self.times) {
            return Err(ConfigError::Times(self.times));
        }
        if self.at_least > longest {
            return Err(ConfigError::AtLeast(self.at_least));
        }
        let half_lives = LatencyHistogram::SHORTEST..=LatencyHistogram::LONGEST;
        if !half_lives.contains(&self.half_life) {
            return Err(ConfigError::HalfLife(self.half_life));
        }
        let whole = u64::from(Ratio::ONE.as_parts_per_million());
        Ok(Observed {
            latencies: LatencyHistogram::new(self.quantile, self.half_life),
            times: (u64::from(self.times.as_parts_per_million()) << STEPS_LOG).div_ceil(whole),
            at_least: saturating_nanos(self.at_least),
        })
    }
}

/// A multiple is counted in steps of a thousandth, or nearly: to multiply by
/// it is then no division.
const STEPS_LOG: u32 = 10;

/// How long the calls of a timeout take.
#[derive(Debug)]
pub(super) struct Observed {
    latencies: LatencyHistogram,
    times: u64,
    at_least: u64,
}

impl Observed {
    /// How long a call may take, in nanoseconds, and no longer than `longest`.
    #[inline]
    pub(super) fn after(&self, longest: u64) -> u64 {
        match self.latencies.watched() {
            None => longest,
            // Of 68 minutes a hundred times are not too many nanoseconds.
            Some(quantile) => ((saturating_nanos(quantile) * self.times) >> STEPS_LOG)
                .max(self.at_least)
                .min(longest),
        }
    }

    /// A call that began at `began` has an answer. One that is no answer of a
    /// dependency that works would have taken longer: a failure comes as
    /// quickly as it likes, and must not shorten what the others have. So one
    /// that is quicker than what is known says nothing, or an outage of quick
    /// failures would be all there is to learn from. Nor does a refusal by our
    /// own layers.
    pub(super) fn record(&self, began: Instant, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Success | Outcome::Permanent => self.latencies.record(now, now - began),
            Outcome::Transient | Outcome::Throttled { .. } => {
                let known = self.latencies.watched();
                if known.is_some_and(|known| now - began >= known) {
                    self.cut_short(began, now);
                }
            }
            Outcome::Ignored => {}
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn cut_short(&self, began: Instant, now: Instant) {
        self.latencies.record_at_least(now, now - began);
    }

    pub(super) fn snapshot(&self) -> histogram::Snapshot {
        self.latencies.snapshot()
    }
}

impl Stashed for Observed {
    fn stash() -> &'static LocalKey<Stash<Self>> {
        thread_local!(static STASH: Stash<Observed> = const { Stash::new() });
        &STASH
    }
}
