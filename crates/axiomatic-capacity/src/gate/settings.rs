//! What a configuration says of slots, whoever sets their limit.

use std::time::Duration;

use axiomatic_core::time::Clock;
use axiomatic_core::{Mode, Name, Ratio};

use super::{ConfigError, Parts};
use crate::load_shed::prioritizer::Reports;
use crate::queue::{CoDel, Lines, Order};
use crate::slots::{Barging, Plan, Sharing};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: Name,
    pub(crate) mode: Mode,
    pub(crate) when_full: WhenFull,
    pub(crate) codel: Option<CoDel>,
    pub(crate) barging: Barging,
    pub(crate) partitions: Partitions,
    pub(crate) clock: Clock,
    pub(crate) reports: Reports,
    /// One of thousands.
    pub(crate) compact: bool,
}

impl Settings {
    pub(crate) fn by(clock: Clock) -> Self {
        Settings {
            name: Name::UNNAMED,
            mode: Mode::Enforce,
            when_full: WhenFull::Reject,
            codel: None,
            barging: Barging::Forbidden,
            partitions: Partitions::default(),
            clock,
            reports: Reports::default(),
            compact: false,
        }
    }

    /// What slots with this limit are made by; or why not.
    pub(crate) fn parts(self, limit: u32) -> Result<Parts, ConfigError> {
        self.partitions.check()?;
        let (max_wait, most_waiting, order) = self.when_full.parts(&self.partitions)?;
        if let Some(codel) = self.codel {
            if most_waiting == 0 {
                return Err(ConfigError::NobodyWaits);
            }
            check(codel)?;
        }
        Ok(Parts {
            name: self.name,
            mode: self.mode,
            plan: Plan {
                limit,
                shares: self.partitions.shares,
                sharing: self.partitions.sharing,
                most_waiting,
                order,
                codel: self.codel,
                barging: self.barging,
                clock: self.clock,
            },
            max_wait,
            reports: self.reports,
            compact: self.compact,
        })
    }
}

/// Whether it can tell a burst from an overload.
fn check(codel: CoDel) -> Result<(), ConfigError> {
    if codel.target().is_zero() {
        Err(ConfigError::Target)
    } else if codel.interval() < codel.target() {
        Err(ConfigError::Interval(codel))
    } else if codel.drop_age() < codel.target() {
        Err(ConfigError::DropAge(codel))
    } else {
        Ok(())
    }
}

/// What becomes of a call that finds no slot.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused.
    #[default]
    Reject,
    /// It waits for one, through the [queued layer](crate::bulkhead::Bulkhead::queued_layer) or
    /// by [`admit_or_wait`](crate::bulkhead::Bulkhead::admit_or_wait); by
    /// [`admit`](crate::bulkhead::Bulkhead::admit) and [`layer`](crate::bulkhead::Bulkhead::layer) it is refused
    /// all the same.
    Wait {
        /// How many may wait, in each partition. Their places are made with
        /// the bulkhead, 160 bytes each.
        max_waiting: u32,
        /// How long each of them may.
        max_wait: Duration,
        /// Who is next, of those that matter the same.
        order: Order,
    },
}

impl WhenFull {
    /// The most places to wait in, those of all partitions together and of who
    /// is in none: 160 MiB of them.
    pub const MOST_WAITING: u32 = 1 << 20;

    /// How long, how many, in which order; or why not.
    pub(crate) fn parts(
        self,
        partitions: &Partitions,
    ) -> Result<(Duration, u32, Order), ConfigError> {
        match self {
            WhenFull::Reject => Ok((Duration::ZERO, 0, Order::Fifo)),
            WhenFull::Wait {
                max_waiting,
                max_wait,
                order,
            } => {
                let lines = 1 + partitions.shares.len() as u64;
                let places = u64::from(max_waiting) * lines;
                if places == 0 || places > u64::from(Self::MOST_WAITING) {
                    return Err(ConfigError::MaxWaiting(max_waiting));
                }
                Ok((max_wait, max_waiting, order))
            }
        }
    }
}

/// Which shares of the slots are guaranteed to whom.
///
/// A share of 20 % of 10 slots is 2, of 4 slots none. What is not guaranteed to
/// anybody is for all, also for calls of no partition.
#[derive(Clone, Debug, Default)]
pub struct Partitions {
    pub(crate) shares: Vec<(Name, Ratio)>,
    pub(crate) sharing: Sharing,
}

impl Partitions {
    /// None yet.
    pub fn new(sharing: Sharing) -> Self {
        Partitions {
            shares: Vec::new(),
            sharing,
        }
    }

    /// A partition with this share of the limit. A share of nothing is a
    /// partition all the same: with a line of its own, if it waits.
    #[must_use]
    pub fn with(mut self, name: impl Into<Name>, share: Ratio) -> Self {
        self.shares.push((name.into(), share));
        self
    }

    /// Whether they fit into the whole.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.shares.len() >= Lines::MOST {
            return Err(ConfigError::Partitions(self.shares.len()));
        }
        let parts = self.shares.iter();
        let sum: u64 = parts
            .map(|(_, share)| u64::from(share.as_parts_per_million()))
            .sum();
        if sum > u64::from(Ratio::ONE.as_parts_per_million()) {
            return Err(ConfigError::Shares);
        }
        for (at, (name, _)) in self.shares.iter().enumerate() {
            if self.shares[..at].iter().any(|(other, _)| other == name) {
                return Err(ConfigError::Twice(*name));
            }
        }
        Ok(())
    }
}
