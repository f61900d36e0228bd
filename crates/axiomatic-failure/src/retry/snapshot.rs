use std::fmt;
use std::time::Duration;

use axiomatic_core::{Mode, Name};

use super::GaveUp;

/// What a retry has done so far: plain numbers, which print as a line.
///
/// How many calls there were its budget knows, and not the retry, for which
/// that would be a write in each of them.
#[derive(Copy, Clone, Debug)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) retried: u64,
    pub(super) recovered: u64,
    pub(super) would_retry: u64,
    pub(super) gave_up: [u64; GaveUp::ALL.len()],
    pub(super) typical: Option<Duration>,
}

impl Snapshot {
    /// The retry's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Extra attempts that were made.
    pub fn retried(&self) -> u64 {
        self.retried
    }

    /// Calls that succeeded with an extra attempt.
    pub fn recovered(&self) -> u64 {
        self.recovered
    }

    /// Extra attempts that would have been asked for, had the mode not been
    /// shadow.
    pub fn would_retry(&self) -> u64 {
        self.would_retry
    }

    /// Calls that failed and were not repeated, or not once more, for this
    /// cause.
    pub fn gave_up(&self, why: GaveUp) -> u64 {
        self.gave_up[why as usize]
    }

    /// How long half of the good calls take, of those that have a deadline;
    /// unknown before there were enough of them.
    pub fn typical(&self) -> Option<Duration> {
        self.typical
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "retry {}: {} retried, {} recovered",
            self.name, self.retried, self.recovered
        )?;
        let causes = GaveUp::ALL.into_iter().filter(|why| self.gave_up(*why) > 0);
        for (index, why) in causes.enumerate() {
            let before = if index == 0 { "; gave up for" } else { "," };
            write!(f, "{before} {} {}", why.as_str(), self.gave_up(why))?;
        }
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => write!(f, "; in shadow: {} not retried", self.would_retry),
            Mode::Off => f.write_str("; off"),
        }
    }
}
