use std::fmt;

use axiomatic_core::{Mode, Name, keyed};
use axiomatic_failure::circuit_breaker;

use super::Source;

/// What a limiter was like at a moment: plain numbers, which print as a line.
/// Counts are of this process, since it was made.
#[derive(Copy, Clone, Debug)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) breaker: circuit_breaker::Snapshot,
    pub(super) asked: u64,
    pub(super) failed: u64,
    pub(super) loaded: u64,
    pub(super) admitted: [u64; Source::ALL.len()],
    pub(super) limited: u64,
    pub(super) unreachable: u64,
    pub(super) expired: u64,
    pub(super) would_refuse: u64,
    pub(super) given_back: u64,
    pub(super) held: u64,
    pub(super) leases: Option<keyed::Snapshot>,
    pub(super) shares: Option<keyed::Snapshot>,
}

impl Snapshot {
    /// The limiter's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The breaker in front of Redis.
    pub fn breaker(&self) -> circuit_breaker::Snapshot {
        self.breaker
    }

    /// How often Redis was asked.
    pub fn round_trips(&self) -> u64 {
        self.asked
    }

    /// How often it did not answer, or not in time.
    pub fn failures(&self) -> u64 {
        self.failed
    }

    /// How often the script had to be sent in full, since Redis did not have
    /// it.
    pub fn scripts_loaded(&self) -> u64 {
        self.loaded
    }

    /// Calls admitted so. Those that pass while it is off are not counted.
    pub fn admitted(&self, source: Source) -> u64 {
        self.admitted[source as usize]
    }

    /// Calls admitted without asking Redis, because they were paid for before,
    /// or because it was away.
    pub fn answered_locally(&self) -> u64 {
        [Source::Lease, Source::LocalShare, Source::FailedOpen]
            .map(|source| self.admitted(source))
            .iter()
            .sum()
    }

    /// Calls refused because the quota was spent, or the share of it.
    pub fn limited(&self) -> u64 {
        self.limited
    }

    /// Calls refused because Redis was away.
    pub fn unreachable(&self) -> u64 {
        self.unreachable
    }

    /// Calls refused because their deadline had passed, before Redis was asked
    /// or before it answered.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }

    /// How often tokens were given back.
    pub fn given_back(&self) -> u64 {
        self.given_back
    }

    /// Tokens that leases hold.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// The keys that have a lease, if it takes leases.
    pub fn leases(&self) -> Option<keyed::Snapshot> {
        self.leases
    }

    /// The keys that have a local share, if it keeps shares.
    pub fn shares(&self) -> Option<keyed::Snapshot> {
        self.shares
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rate limiter {}: redis {}",
            self.name,
            self.breaker.state()
        )?;
        match self.mode {
            Mode::Enforce => {}
            Mode::Shadow => write!(f, ", in shadow: {} not refused", self.would_refuse)?,
            Mode::Off => write!(f, ", off")?,
        }
        write!(f, "; {} round trips, {} failed", self.asked, self.failed)?;
        write!(f, "; admitted")?;
        let counted = [
            Source::Store,
            Source::Lease,
            Source::LocalShare,
            Source::FailedOpen,
        ];
        for (n, source) in counted.into_iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma} {} by {source}", self.admitted(source))?;
        }
        write!(
            f,
            "; refused {} limited, {} unreachable, {} expired; leases hold {}",
            self.limited, self.unreachable, self.expired, self.held
        )
    }
}
