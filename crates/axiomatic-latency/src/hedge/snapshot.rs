use std::fmt;
use std::time::Duration;

use axiomatic_core::{Mode, Name};

/// What a hedge has done so far: plain numbers, which print as a line.
///
/// How many calls there were its budget knows, and not the hedge, for which
/// that would be a write in each of them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) delay: Option<Duration>,
    pub(super) hedged: u64,
    pub(super) won: u64,
    pub(super) refused: u64,
    pub(super) would_hedge: u64,
}

impl Snapshot {
    /// The hedge's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// After which time a call was slow; none before enough was known.
    pub fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// Second attempts that were sent.
    pub fn hedged(&self) -> u64 {
        self.hedged
    }

    /// Second attempts that answered, before the first one did.
    pub fn won(&self) -> u64 {
        self.won
    }

    /// Second attempts that the budget refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Second attempts that would have been asked for, had the mode not been
    /// shadow.
    pub fn would_hedge(&self) -> u64 {
        self.would_hedge
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hedge {}: ", self.name)?;
        match self.delay {
            Some(delay) => write!(f, "after {delay:.1?}")?,
            None => f.write_str("learning")?,
        }
        write!(
            f,
            "; {} hedged, {} won, {} refused",
            self.hedged, self.won, self.refused
        )?;
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => write!(f, "; in shadow: {} not hedged", self.would_hedge),
            Mode::Off => f.write_str("; off"),
        }
    }
}
