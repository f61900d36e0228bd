use std::time::Duration;

use axiomatic_core::shared::Shared;
use axiomatic_core::time::Clock;
use axiomatic_core::{Mode, Name};

use super::{AdaptiveLimit, CoDel, ConfigError, LimitAlgorithm, Metered, Partitions, WhenFull};
use crate::gate::{Core, Handle, Settings};
use crate::load_shed::Prioritizer;
use crate::load_shed::prioritizer::Reports;
use crate::slots::{COMMON, MOST_SLOTS};

/// What an adaptive limit is made by.
#[derive(Debug)]
pub struct Config {
    algorithm: Box<dyn LimitAlgorithm>,
    window: Duration,
    settings: Settings,
}

impl Config {
    /// With this algorithm, over windows of 100 ms; who comes to a full one is
    /// refused.
    pub fn new(algorithm: impl LimitAlgorithm + 'static) -> Self {
        Config {
            algorithm: Box::new(algorithm),
            window: Duration::from_millis(100),
            settings: Settings::by(Clock::Precise),
        }
    }

    /// The name in rejections, events and metrics.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Whether it acts on its decisions, to begin with. In shadow the limit
    /// moves, and refuses nobody.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// How long a window lasts. It ends with the first call that ends after
    /// that, if it has seen ten calls, and after ten times as long in any case.
    /// A few times what a call takes is right.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// What becomes of a call that finds no slot, as for a bulkhead.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
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
    pub fn codel(mut self, codel: CoDel) -> Self {
        self.settings.codel = Some(codel);
        self
    }

    /// Guarantees, as shares of whatever the limit is.
    pub fn partitions(mut self, partitions: Partitions) -> Self {
        self.settings.partitions = partitions;
        self
    }

    /// The clock that is read when a call begins and when it ends. The coarse
    /// one costs a tenth, and is right where calls take fifty ticks, 200 ms on
    /// many a machine.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// The limit.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn build(self) -> Result<AdaptiveLimit, ConfigError> {
        let limit = self.algorithm.initial().clamp(1, MOST_SLOTS);
        let clock = self.settings.clock.clone();
        let parts = self.settings.parts(limit)?;
        let meter = Metered::new(self.algorithm, self.window, clock);
        let core = Shared::new(Core::new(&parts, meter));
        Ok(AdaptiveLimit(Handle { core, line: COMMON }))
    }
}
