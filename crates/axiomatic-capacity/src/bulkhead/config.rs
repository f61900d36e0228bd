use std::num::NonZeroU32;

use axiomatic_core::shared::Shared;
use axiomatic_core::time::Clock;
use axiomatic_core::{Mode, Name};

use super::{Barging, Bulkhead, CoDel, ConfigError, Partitions, Unmetered, WhenFull};
use crate::gate::{Core, Handle, Settings};
use crate::load_shed::Prioritizer;
use crate::load_shed::prioritizer::Reports;
use crate::queue::Lines;
use crate::slots::{COMMON, MOST_SLOTS};

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
    pub(super) settings: Settings,
}

impl Config {
    /// The most slots.
    pub const MOST: u32 = MOST_SLOTS;

    /// The most partitions.
    pub const MOST_PARTITIONS: usize = Lines::MOST - 1;

    /// So many calls at a time, and no more; who comes to a full bulkhead is
    /// refused.
    pub fn new(limit: NonZeroU32) -> Self {
        Config {
            limit,
            settings: Settings::by(Clock::Coarse),
        }
    }

    /// The name in rejections, events and metrics.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Whether it acts on its decisions, to begin with.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// What becomes of a call that finds no slot.
    pub const fn when_full(mut self, when_full: WhenFull) -> Self {
        self.settings.when_full = when_full;
        self
    }

    /// Tells this prioritizer of each call that is refused. Whoever sheds load
    /// by it further out sheds as many, and what matters least, from its next
    /// period on.
    pub fn reporting_to(mut self, prioritizer: &Prioritizer) -> Self {
        self.settings.reports = Reports::to(prioritizer);
        self
    }

    /// When the queue is taken for overloaded, and who then leaves it: refused
    /// with [`Reason::Shed`](axiomatic_core::Reason::Shed). For who
    /// [waits](WhenFull::Wait).
    pub const fn codel(mut self, codel: CoDel) -> Self {
        self.settings.codel = Some(codel);
        self
    }

    /// Whether a free slot may be taken although others wait.
    pub const fn barging(mut self, barging: Barging) -> Self {
        self.settings.barging = barging;
        self
    }

    /// Guarantees.
    pub fn partitions(mut self, partitions: Partitions) -> Self {
        self.settings.partitions = partitions;
        self
    }

    /// The clock that is read where somebody waits. The coarse one lags by a
    /// tick: who has waited too long may be told so some milliseconds late.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
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
        self.settings.compact = true;
        let core = Shared::compact(self.core()?);
        Ok(Bulkhead(Handle { core, line: COMMON }))
    }

    fn core(self) -> Result<Core<Unmetered>, ConfigError> {
        let limit = self.limit.get();
        if limit > Self::MOST {
            return Err(ConfigError::Limit(limit));
        }
        Ok(Core::new(&self.settings.parts(limit)?, Unmetered))
    }
}
