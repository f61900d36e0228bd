use std::fmt;
use std::time::Duration;

use crate::Ratio;

/// What a histogram was like at a moment: plain numbers, which print as a
/// line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) median: Option<Duration>,
    pub(super) watched: Option<Duration>,
    pub(super) share: Ratio,
    pub(super) ended: u64,
    pub(super) cut_short: u64,
}

impl Snapshot {
    /// The median at hand, if there is one.
    pub fn median(&self) -> Option<Duration> {
        self.median
    }

    /// The watched quantile at hand, if there is one.
    pub fn watched(&self) -> Option<Duration> {
        self.watched
    }

    /// Which quantile is watched.
    pub fn share(&self) -> Ratio {
        self.share
    }

    /// Calls that ended, as far as they count still.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Calls of which only the beginning was seen, as far as they count
    /// still.
    pub fn cut_short(&self) -> u64 {
        self.cut_short
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.median, self.watched) {
            (Some(median), Some(watched)) => {
                write!(f, "median {median:?}, {} within {watched:?}", self.share)?;
            }
            _ => f.write_str("too few calls yet")?,
        }
        write!(f, "; {} ended, {} cut short", self.ended, self.cut_short)
    }
}
