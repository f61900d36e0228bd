use std::fmt;
use std::time::Duration;

use axiomatic_core::time::Instant;
use axiomatic_core::window::Counts;
use axiomatic_core::{Mode, Name, Ratio};

use super::State;

/// What a breaker was like at a moment: plain numbers, which print as a line.
///
/// ```
/// use axiomatic_failure::circuit_breaker::Config;
/// # fn main() -> Result<(), axiomatic_failure::circuit_breaker::ConfigError> {
/// let breaker = Config::default().named("payment").build()?;
/// let line = breaker.snapshot().to_string();
/// assert!(line.starts_with("circuit breaker payment: closed since "));
/// assert!(line.ends_with("; 0 calls, 0 failed, 0 slow"));
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) state: State,
    pub(super) mode: Mode,
    pub(super) since: Instant,
    pub(super) until: Option<Instant>,
    pub(super) probes: u8,
    pub(super) counts: Counts,
    pub(super) admitting: Ratio,
    pub(super) reopenings: u32,
    pub(super) late: u64,
    pub(super) would_refuse: u64,
    pub(super) taken: Instant,
}

impl Snapshot {
    /// The breaker's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// What it did.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// For how long it had been in this state, to some milliseconds. Closed
    /// and thinning are dated together, and so are the stages of a ramp.
    pub fn age(&self) -> Duration {
        self.taken - self.since
    }

    /// How long it would refuse, if it was open.
    pub fn remaining(&self) -> Option<Duration> {
        self.until.map(|until| until - self.taken)
    }

    /// Probes under way.
    pub fn probes(&self) -> u8 {
        self.probes
    }

    /// What share of the calls passed: all while it is closed, none while it
    /// is open or probes.
    pub fn admitting(&self) -> Ratio {
        self.admitting
    }

    /// What the window held.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How often it had opened without a stable time between.
    pub fn reopenings(&self) -> u32 {
        self.reopenings
    }

    /// Results that came after the state that admitted their calls had ended.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "circuit breaker {}: {}", self.name, self.state)?;
        write!(f, " since {:.1?}", self.age())?;
        if let Some(remaining) = self.remaining() {
            write!(f, ", {remaining:.1?} to go")?;
        }
        if matches!(self.state, State::Ramping | State::Thinning) {
            write!(f, ", {} of the calls pass", self.admitting)?;
        }
        if self.probes > 0 {
            write!(f, ", {} probes under way", self.probes)?;
        }
        match self.mode {
            Mode::Enforce => {}
            Mode::Shadow => write!(f, ", in shadow: {} not refused", self.would_refuse)?,
            Mode::Off => write!(f, ", off")?,
        }
        write!(f, "; {}", self.counts)
    }
}
