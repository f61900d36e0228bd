use std::fmt;
use std::time::Duration;

use axiomatic_core::{Mode, Name, Pattern};

use super::{Core, Meter};
use crate::slots::QueueLook;

/// What slots were like at a moment. The numbers are read one after the other,
/// so under load they may be of slightly different moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pattern: Pattern,
    name: Name,
    mode: Mode,
    limit: u32,
    in_flight: u32,
    queue: QueueLook,
    refused: u64,
    would_refuse: u64,
    excess: u64,
    partitions: Vec<PartitionSnapshot>,
}

/// What a partition was like.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PartitionSnapshot {
    /// Its name.
    pub name: Name,
    /// How many slots are guaranteed to it.
    pub guaranteed: u32,
    /// How many it has.
    pub in_flight: u32,
}

impl Snapshot {
    pub(crate) fn of<M: Meter>(core: &Core<M>) -> Self {
        let partitions = core.slots.partitions();
        Snapshot {
            pattern: M::PATTERN,
            name: core.name,
            mode: core.mode.load(),
            limit: core.slots.limit(),
            in_flight: core.slots.taken(),
            queue: core.slots.queue(),
            refused: core.refused.load(),
            would_refuse: core.would_refuse.load(),
            excess: core.excess.load(),
            partitions: partitions
                .map(|(name, guaranteed, in_flight)| PartitionSnapshot {
                    name,
                    guaranteed,
                    in_flight,
                })
                .collect(),
        }
    }

    /// The name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How many slots there were.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// How many were taken; more than the limit after it was lowered, and where
    /// partitions borrow.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// How many calls waited.
    pub fn waiting(&self) -> u32 {
        self.queue.waiting
    }

    /// For how long somebody had waited, without a break.
    pub fn standing(&self) -> Duration {
        self.queue.standing
    }

    /// For how long the one had waited that had waited longest.
    pub fn queue_delay(&self) -> Duration {
        self.queue.oldest_age
    }

    /// Whether [controlled delay](crate::bulkhead::CoDel) took the queue for
    /// overloaded.
    pub fn is_overloaded(&self) -> bool {
        self.queue.is_overloaded
    }

    /// Calls that were refused, at once or after they had waited.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Calls that would have been refused, or would have waited, had the mode
    /// not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }

    /// Slots that such calls would have needed and did without.
    pub fn excess(&self) -> u64 {
        self.excess
    }

    /// The partitions, in the order of the configuration.
    pub fn partitions(&self) -> &[PartitionSnapshot] {
        &self.partitions
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot {
            pattern,
            name,
            limit,
            in_flight,
            refused,
            ..
        } = self;
        write!(f, "{pattern} {name}: {in_flight} of {limit} in flight")?;
        if self.queue.waiting > 0 {
            let QueueLook {
                waiting,
                standing,
                oldest_age,
                is_overloaded,
            } = self.queue;
            write!(
                f,
                ", {waiting} wait since {standing:.1?}, the oldest for {oldest_age:.1?}"
            )?;
            if is_overloaded {
                f.write_str(", overloaded")?;
            }
        }
        write!(f, ", {refused} refused")?;
        match self.mode {
            Mode::Enforce => {}
            Mode::Shadow => write!(
                f,
                ", in shadow: {} not refused, {} in flight beside",
                self.would_refuse, self.excess
            )?,
            Mode::Off => f.write_str(", off")?,
        }
        for partition in &self.partitions {
            let PartitionSnapshot {
                name,
                guaranteed,
                in_flight,
            } = partition;
            write!(f, "; {name}: {in_flight}, {guaranteed} guaranteed")?;
        }
        Ok(())
    }
}
