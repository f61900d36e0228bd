use std::fmt;

use axiomatic_core::{Mode, Name};

use super::prioritizer;

/// What a [`LoadShedder`](super::LoadShedder) was like at a moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
    pub(super) prioritizer: prioritizer::Snapshot,
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

    /// Calls that were refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }

    /// What its prioritizer decided last, and why.
    pub fn prioritizer(&self) -> &prioritizer::Snapshot {
        &self.prioritizer
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load shedder {}: {} refused", self.name, self.refused)?;
        match self.mode {
            Mode::Enforce => {}
            Mode::Shadow => write!(f, ", in shadow: {} not refused", self.would_refuse)?,
            Mode::Off => f.write_str(", off")?,
        }
        write!(f, "; {}", self.prioritizer)
    }
}
