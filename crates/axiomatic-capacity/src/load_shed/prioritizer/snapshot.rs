use std::fmt;
use std::time::Duration;

use axiomatic_core::context::AdmissionLevel;
use axiomatic_core::pressure::Pressure;
use axiomatic_core::{Name, Ratio};

use crate::load_shed::signal::Look;

/// What a [`Prioritizer`](crate::load_shed::Prioritizer) decided last, and why.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) level: AdmissionLevel,
    pub(super) refused: Ratio,
    pub(super) admitting: Option<u64>,
    pub(super) look: Look,
    pub(super) offered: u64,
    pub(super) turned_away: u64,
    pub(super) retry_after: Duration,
}

impl Snapshot {
    /// The name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// From which priority on requests are admitted.
    pub fn level(&self) -> AdmissionLevel {
        self.level
    }

    /// What share of them is to be refused.
    pub fn refused(&self) -> Ratio {
        self.refused
    }

    /// How many are admitted a second, if not all that come.
    pub fn admitting(&self) -> Option<u64> {
        self.admitting.map(|thousandths| thousandths / 1_000)
    }

    /// How many requests came in the last period.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// How many of them were let in, and refused further in.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Whether a signal said that it is too much.
    pub fn is_overloaded(&self) -> bool {
        self.look.overloaded
    }

    /// The highest pressure of all signals.
    pub fn pressure(&self) -> Pressure {
        self.look.pressure
    }

    /// The signal that had it.
    pub fn signal(&self) -> Option<&'static str> {
        self.look.highest
    }

    /// How long who is refused is asked to stay away, at least.
    pub fn retry_after(&self) -> Duration {
        self.retry_after
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prioritizer {} admits {}", self.name, self.level)?;
        if let Some(admitting) = self.admitting() {
            write!(f, ", {admitting} a second")?;
        }
        if let Some(signal) = self.signal() {
            let state = if self.is_overloaded() {
                "too much"
            } else {
                "borne"
            };
            write!(f, "; {signal} at {}: {state}", self.pressure())?;
        }
        Ok(())
    }
}
