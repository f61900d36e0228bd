use std::fmt;
use std::time::Duration;

use axiomatic_core::time::Instant;

mod aimd;
mod bounds;
mod gradient2;
mod seeker;
mod vegas;

pub use aimd::{Aimd, AimdConfig};
pub use bounds::Bounds;
pub use gradient2::{Gradient2, Gradient2Config};
pub use seeker::{Seeker, SeekerConfig};
pub use vegas::{Vegas, VegasConfig};

/// What makes a limit of what was seen: a pure function of its own past, fed a
/// window at a time. It reads no clock, and what is random about it comes from
/// a seed.
pub trait LimitAlgorithm: fmt::Debug + Send {
    /// The limit before anything was seen, at least 1.
    fn initial(&self) -> u32;

    /// A window has ended. The limit that it is answered with holds for the
    /// next; one of 0 is taken as 1.
    fn step(&mut self, sample: &Sample) -> Step;

    /// What a call takes when nobody queues, as far as the algorithm knows. A
    /// call that took more than twice as long and failed, or that nobody
    /// waited for any more, is evidence of load; if it is not known, one that
    /// took longer than the latest median is.
    ///
    /// Twice the latest median will not do: where calls queue until they time
    /// out, it lies above the timeout, and what times out would be no evidence.
    fn baseline(&self) -> Option<Duration> {
        None
    }
}

impl LimitAlgorithm for Box<dyn LimitAlgorithm> {
    fn initial(&self) -> u32 {
        (**self).initial()
    }

    fn step(&mut self, sample: &Sample) -> Step {
        (**self).step(sample)
    }

    fn baseline(&self) -> Option<Duration> {
        (**self).baseline()
    }
}

/// What a window of calls was like. Calls belong to the window in which they
/// end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the window began.
    pub began: Instant,
    /// When it ended.
    pub ended: Instant,
    /// The limit in force.
    pub limit: u32,
    /// Calls that were answered by a dependency that works, be it that the
    /// request was wrong. They alone have latencies.
    pub answered: u64,
    /// The shortest of their latencies.
    pub shortest: Option<Duration>,
    /// The median of their latencies.
    pub median: Option<Duration>,
    /// Calls that failed soon, which says nothing of the load.
    pub failed: u64,
    /// Calls that are evidence of too much load: the dependency refused them,
    /// they failed after long, or nobody waited for them any more after long.
    pub dropped: u64,
    /// The most that were in flight at a time.
    pub most_in_flight: u32,
    /// Calls that the limit refused or had wait.
    pub turned_away: u64,
}

/// What follows from a window.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The limit from now on.
    pub limit: u32,
    /// Why it is so.
    pub why: Why,
}

/// Why a limit is what it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Nothing was seen yet, or too little to decide.
    TooFew,
    /// All of it is used, and nothing queues: it grows.
    Growing,
    /// It is as it should be.
    Steady,
    /// It is not used, so what is seen says nothing of a higher one.
    Idle,
    /// Calls queue at the dependency: it shrinks.
    Queueing,
    /// Calls are refused by the dependency, or take so long that they are
    /// given up: it shrinks at once.
    Overloaded,
    /// More in flight brought no more answers, only longer ones.
    NoGain,
    /// It is low for a moment, to see what calls take that meet nobody.
    Probing,
    /// It shrank a round trip ago, and what it sees is from before.
    Waiting,
}

impl Why {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::TooFew => "too few calls to decide",
            Why::Growing => "growing",
            Why::Steady => "steady",
            Why::Idle => "not used",
            Why::Queueing => "calls queue",
            Why::Overloaded => "overloaded",
            Why::NoGain => "more brought nothing",
            Why::Probing => "probing",
            Why::Waiting => "waiting for what a decrease does",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of a healthy dependency: 100 ms, ten answers after 10 ms at
    /// the median, 20 in flight at a limit of 20.
    #[derive(Copy, Clone, Debug)]
    pub(super) struct Window(Sample);

    pub(super) fn window() -> Window {
        let ms = Duration::from_millis;
        Window(Sample {
            began: Instant::from_nanos(0),
            ended: Instant::from_nanos(0) + ms(100),
            limit: 20,
            answered: 10,
            shortest: Some(ms(10)),
            median: Some(ms(10)),
            failed: 0,
            dropped: 0,
            most_in_flight: 20,
            turned_away: 0,
        })
    }

    impl Window {
        pub(super) fn make(self) -> Sample {
            self.0
        }

        pub(super) fn limit(mut self, limit: u32) -> Self {
            self.0.limit = limit;
            self
        }

        pub(super) fn in_flight(mut self, most: u32) -> Self {
            self.0.most_in_flight = most;
            self
        }

        pub(super) fn median_ms(mut self, median: u64) -> Self {
            self.0.median = Some(Duration::from_millis(median));
            self.0.shortest = self.0.median;
            self
        }

        /// So many windows later.
        pub(super) fn number(mut self, number: u32) -> Self {
            let later = Duration::from_millis(100) * number;
            self.0.began = self.0.began + later;
            self.0.ended = self.0.ended + later;
            self
        }

        pub(super) fn dropped(mut self, dropped: u64) -> Self {
            self.0.dropped = dropped;
            self
        }

        /// Those of none have no latency.
        pub(super) fn answered(mut self, answered: u64) -> Self {
            self.0.answered = answered;
            if answered == 0 {
                (self.0.shortest, self.0.median) = (None, None);
            }
            self
        }
    }
}
