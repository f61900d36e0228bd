use std::fmt;
use std::time::Duration;

use axiomatic_core::{Mode, Name, histogram};

/// What a timeout was like at a moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) duration: Duration,
    pub(super) mode: Mode,
    pub(super) refused: u64,
    pub(super) let_through: u64,
    pub(super) latencies: Option<histogram::Snapshot>,
}

impl Snapshot {
    /// The timeout's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// How long calls may take.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Calls that arrived expired and were refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Calls that arrived expired and were let through: so many were refused
    /// before, or it is so configured, or in shadow.
    pub fn let_through(&self) -> u64 {
        self.let_through
    }

    /// What calls take, if the timeout is adaptive.
    pub fn latencies(&self) -> Option<histogram::Snapshot> {
        self.latencies
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "timeout {}: {:?}, {}",
            self.name, self.duration, self.mode
        )?;
        if self.refused + self.let_through > 0 {
            let (refused, let_through) = (self.refused, self.let_through);
            write!(f, "; expired: {refused} refused, {let_through} let through")?;
        }
        match &self.latencies {
            Some(latencies) => write!(f, "; {latencies}"),
            None => Ok(()),
        }
    }
}
