use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::context::Priority;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name};

use super::{LoadShedder, Prioritizer};

/// What a [`LoadShedder`] goes by.
///
/// ```
/// use axiomatic_capacity::load_shed::{Config, LoadShedder, prioritizer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let prioritizer = prioritizer::Config::new().build()?;
/// let shedder: LoadShedder = Config::new(&prioritizer).named("api").build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until it is built"]
pub struct Config {
    pub(super) prioritizer: Prioritizer,
    pub(super) estimate: Option<Arc<dyn Estimate>>,
    pub(super) mode: Mode,
    pub(super) name: Name,
    pub(super) clock: Clock,
}

impl Config {
    /// One that has its prioritizer decide how much is shed. It stands
    /// outermost of what that prioritizer is shared by.
    pub fn new(prioritizer: &Prioritizer) -> Self {
        Config {
            prioritizer: prioritizer.clone(),
            estimate: None,
            mode: Mode::Enforce,
            name: prioritizer.name(),
            clock: Clock::Coarse,
        }
    }

    /// The name in refusals, events and metrics; by default that of the
    /// prioritizer.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether it acts on its decisions, to begin with.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Refuses at once what would wait longer than its deadline, by what this
    /// expects.
    pub fn estimating(mut self, estimate: impl Estimate + 'static) -> Self {
        self.estimate = Some(Arc::new(estimate));
        self
    }

    /// The clock that its layers read, by default the coarse one: a tick may
    /// let in who has expired in it.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The load shedder. Nothing of this can be wrong.
    pub fn build(self) -> LoadShedder {
        LoadShedder::new(self)
    }
}

/// Knows how long a request would wait before it is served.
///
/// It is asked for each request that has a deadline, so it must be cheap, and
/// not block.
pub trait Estimate: Send + Sync + fmt::Debug {
    /// How long a request of this priority would wait that comes at `now`.
    fn wait(&self, now: Instant, priority: Priority) -> Duration;
}

impl<T: Estimate + ?Sized> Estimate for Arc<T> {
    fn wait(&self, now: Instant, priority: Priority) -> Duration {
        (**self).wait(now, priority)
    }
}
