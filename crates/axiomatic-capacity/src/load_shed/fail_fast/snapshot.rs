use std::fmt;
use std::time::Duration;

use axiomatic_core::{Mode, Name};

/// What a fail-fast was like at a moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) max_unavailable: Duration,
    pub(super) is_failing: bool,
    pub(super) episodes: u64,
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
}

impl Snapshot {
    /// The name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How long the service might be not ready.
    pub fn max_unavailable(&self) -> Duration {
        self.max_unavailable
    }

    /// Whether the service had not been ready for that long.
    pub fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// How often that has come about.
    pub fn episodes(&self) -> u64 {
        self.episodes
    }

    /// Calls that were refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fail-fast {}: ", self.name)?;
        f.write_str(if self.is_failing {
            "failing fast"
        } else {
            "passing"
        })?;
        write!(
            f,
            ", after {:?}, {} times, {} refused",
            self.max_unavailable, self.episodes, self.refused
        )?;
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => write!(f, ", in shadow: {} not refused", self.would_refuse),
            Mode::Off => f.write_str(", off"),
        }
    }
}
