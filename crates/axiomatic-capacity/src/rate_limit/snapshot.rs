use std::fmt;
use std::time::Duration;

use axiomatic_core::allowance::Allowance;
use axiomatic_core::{Mode, Name};

use super::Quota;

/// What is left of a quota at an instant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub(super) quota: Quota,
    pub(super) available: u64,
    pub(super) next_after: Duration,
    pub(super) more_after: Duration,
    pub(super) full_after: Duration,
}

impl Standing {
    /// The quota.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// How many calls of cost 1 could be made at once.
    pub fn available(&self) -> u64 {
        self.available
    }

    /// How long until one more could be, if nobody else comes; nothing, if one
    /// could be now. It is long where others have reserved.
    pub fn next_after(&self) -> Duration {
        self.next_after
    }

    /// How long nothing comes on top of what is available; of a limit at rest,
    /// until the first comes back that is taken now.
    pub fn more_after(&self) -> Duration {
        self.more_after
    }

    /// How long until a whole burst could be, if nobody else comes.
    pub fn full_after(&self) -> Duration {
        self.full_after
    }
}

impl Standing {
    /// What is told to callers, by a limiter of this name.
    pub(super) fn allowance(&self, name: Name) -> Allowance {
        let policy = self.quota.policy(name);
        Allowance::new(policy, self.available, self.more_after)
    }
}

/// What a rate limiter was like at a moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) standing: Standing,
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

    /// What was left.
    pub fn standing(&self) -> Standing {
        self.standing
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
        let Standing {
            quota,
            available,
            next_after,
            ..
        } = self.standing;
        write!(f, "rate limiter {}: {quota}, {available} left", self.name)?;
        if !next_after.is_zero() {
            write!(f, ", the next in {next_after:.1?}")?;
        }
        write!(f, ", {} refused", self.refused)?;
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => write!(f, ", in shadow: {} not refused", self.would_refuse),
            Mode::Off => f.write_str(", off"),
        }
    }
}
