use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_core::time::Clock;
use axiomatic_core::{Mode, Name, Ratio};

use super::{Barging, Bulkhead, ConfigError, Order, Sharing, Unmetered};
use crate::gate::{Core, Handle, Parts};
use crate::slots::{COMMON, MOST_SLOTS, Plan};
use axiomatic_core::shared::Shared;

/// What a bulkhead is made by.
///
/// ```
/// use axiomatic_capacity::bulkhead::{Config, Order, Partitions, Sharing, WhenFull};
/// use axiomatic_core::Ratio;
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = NonZeroU32::new(20).ok_or("no slots")?;
/// let bulkhead = Config::new(limit)
///     .named("database")
///     .when_full(WhenFull::Wait {
///         max_waiting: 100,
///         max_wait: Duration::from_millis(200),
///         order: Order::default(),
///     })
///     .partitions(
///         Partitions::new(Sharing::Reserved)
///             .with("checkout", Ratio::percent(50))
///             .with("search", Ratio::percent(20)),
///     )
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) limit: NonZeroU32,
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) when_full: WhenFull,
    barging: Barging,
    partitions: Partitions,
    clock: Clock,
    compact: bool,
}

/// What becomes of a call that finds no slot.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused.
    #[default]
    Reject,
    /// It waits for one, through the [queued layer](Bulkhead::queued_layer) or
    /// by [`admit_or_wait`](Bulkhead::admit_or_wait); by
    /// [`admit`](Bulkhead::admit) and [`layer`](Bulkhead::layer) it is refused
    /// all the same.
    Wait {
        /// How many may wait, in each partition. Their places are made with
        /// the bulkhead, 128 bytes each.
        max_waiting: u32,
        /// How long each of them may.
        max_wait: Duration,
        /// Who is next, of those that matter the same.
        order: Order,
    },
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
        if self.shares.len() > Config::MOST_PARTITIONS {
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

impl Config {
    /// The most slots.
    pub const MOST: u32 = MOST_SLOTS;

    /// The most partitions.
    pub const MOST_PARTITIONS: usize = 63;

    /// So many calls at a time, and no more; who comes to a full bulkhead is
    /// refused.
    pub fn new(limit: NonZeroU32) -> Self {
        Config {
            limit,
            name: Name::UNNAMED,
            mode: Mode::Enforce,
            when_full: WhenFull::Reject,
            barging: Barging::Forbidden,
            partitions: Partitions::default(),
            clock: Clock::Coarse,
            compact: false,
        }
    }

    /// The name in rejections, events and metrics.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether it acts on its decisions, to begin with.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What becomes of a call that finds no slot.
    pub const fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Whether a free slot may be taken although others wait.
    pub const fn barging(mut self, barging: Barging) -> Self {
        self.barging = barging;
        self
    }

    /// Guarantees.
    pub fn partitions(mut self, partitions: Partitions) -> Self {
        self.partitions = partitions;
        self
    }

    /// The clock that is read where somebody waits. The coarse one lags by a
    /// tick: who has waited too long may be told so some milliseconds late.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The bulkhead.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn build(self) -> Result<Bulkhead, ConfigError> {
        let core = Shared::new(self.core()?);
        Ok(Bulkhead(Handle { core, line: COMMON }))
    }

    /// One of thousands.
    #[cfg(feature = "keyed")]
    pub(super) fn build_compact(mut self) -> Result<Bulkhead, ConfigError> {
        self.compact = true;
        let core = Shared::compact(self.core()?);
        Ok(Bulkhead(Handle { core, line: COMMON }))
    }

    fn core(&self) -> Result<Core<Unmetered>, ConfigError> {
        let limit = self.limit.get();
        if limit > Self::MOST {
            return Err(ConfigError::Limit(limit));
        }
        self.partitions.check()?;
        let (max_wait, most_waiting, order) = self.when_full.parts(&self.partitions)?;
        let parts = Parts {
            name: self.name,
            mode: self.mode,
            plan: Plan {
                limit,
                shares: self.partitions.shares.clone(),
                sharing: self.partitions.sharing,
                most_waiting,
                order,
                barging: self.barging,
                clock: self.clock.clone(),
            },
            max_wait,
            compact: self.compact,
        };
        Ok(Core::new(&parts, Unmetered))
    }
}

impl WhenFull {
    /// The most places to wait in, those of all partitions together and of who
    /// is in none: 128 MiB of them.
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
