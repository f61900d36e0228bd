use std::fmt;
use std::time::Duration;

use axiomatic_core::{Mode, Name};

use super::Share;

/// What a throttler was like at a moment: plain numbers, which print as a
/// line.
///
/// ```
/// use axiomatic_capacity::load_shed::throttle::Config;
///
/// # fn main() -> Result<(), axiomatic_capacity::load_shed::throttle::ConfigError> {
/// let throttler = Config::default().named("search").build()?;
/// assert_eq!(
///     throttler.snapshot().to_string(),
///     "throttler search: refuses 0 %, of 0 calls in 120s 0 accepted, 0 refused"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) share: Share,
    pub(super) requests: u64,
    pub(super) accepts: u64,
    pub(super) window: Duration,
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
    pub(super) probes: u64,
}

impl Snapshot {
    /// The throttler's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The share of the calls that was refused.
    pub fn share(&self) -> Share {
        self.share
    }

    /// The requests in the window, as the rule counts them.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Those of them that were accepted.
    pub fn accepts(&self) -> u64 {
        self.accepts
    }

    /// Calls that were refused, since the beginning.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }

    /// Calls that passed because none had for so long.
    pub fn probes(&self) -> u64 {
        self.probes
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "throttler {}: refuses {}, of {} calls in {:?} {} accepted, {} refused",
            self.name, self.share, self.requests, self.window, self.accepts, self.refused
        )?;
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => write!(f, ", in shadow: {} not refused", self.would_refuse),
            Mode::Off => f.write_str(", off"),
        }
    }
}
