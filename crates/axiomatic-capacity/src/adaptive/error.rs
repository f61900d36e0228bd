use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Ratio;

use super::{Bounds, SeekerConfig};

/// Why the parameters of an algorithm cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlgorithmError {
    /// A limit of 0 stops everything and never learns that it could end, and
    /// the first limit lies between the least and the most.
    Bounds(Bounds),
    /// A limit that is cut is cut to a half at least and to less than all of
    /// it.
    Backoff(Ratio),
    /// What takes a call for lost at once loses them all.
    Timeout,
    /// A step goes some of the way, and all of it at most.
    Smoothing(Ratio),
    /// An average over no window.
    LongWindow,
    /// The dependency's baseline is looked for at no distance at all.
    ProbeMultiplier,
    /// A limit that asks for no headroom never grows.
    Headroom,
    /// Latencies more than twice the baseline are no tolerance any more.
    Tolerance(Ratio),
    /// Drops are evidence from some share on, and at most from half.
    Drops(Ratio),
    /// Probes are at least [`SeekerConfig::SHORTEST_PROBE_INTERVAL`] apart.
    ProbeEvery(Duration),
}

impl fmt::Display for AlgorithmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlgorithmError::Bounds(bounds) => write!(
                f,
                "limits lie between at least 1 and the most, and so does the first, which \
                 {bounds} do not"
            ),
            AlgorithmError::Backoff(ratio) => {
                write!(
                    f,
                    "a backoff keeps from 50 % to less than 100 %, not {ratio}"
                )
            }
            AlgorithmError::Timeout => f.write_str("a timeout of no time"),
            AlgorithmError::Smoothing(ratio) => {
                write!(
                    f,
                    "a step goes more than 0 % and at most 100 %, not {ratio}"
                )
            }
            AlgorithmError::LongWindow => f.write_str("an average over 0 windows"),
            AlgorithmError::ProbeMultiplier => f.write_str("a probe in every window"),
            AlgorithmError::Headroom => f.write_str("a limit without headroom never grows"),
            AlgorithmError::Tolerance(ratio) => {
                write!(
                    f,
                    "a tolerance is at most 100 % of the baseline, not {ratio}"
                )
            }
            AlgorithmError::Drops(ratio) => {
                write!(
                    f,
                    "drops count from above 0 % to at most 50 % on, not {ratio}"
                )
            }
            AlgorithmError::ProbeEvery(interval) => write!(
                f,
                "probes are at least {:?} apart, not {interval:?}",
                SeekerConfig::SHORTEST_PROBE_INTERVAL
            ),
        }
    }
}

impl Error for AlgorithmError {}
