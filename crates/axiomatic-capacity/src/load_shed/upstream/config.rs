use std::time::Duration;

use axiomatic_core::time::Clock;
use axiomatic_core::{Mode, Name, Ratio};

use super::Upstream;
use crate::load_shed::ConfigError;

/// How an [`Upstream`] is believed.
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until it is built"]
pub struct Config {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) believed: Duration,
    pub(super) probes: Ratio,
    pub(super) seed: u64,
    pub(super) clock: Clock,
}

impl Config {
    /// One that believes a level for a second after it was last heard, and lets
    /// one in a hundred through of what it keeps back.
    pub fn new() -> Self {
        Config {
            name: Name::UNNAMED,
            mode: Mode::Enforce,
            believed: Duration::from_secs(1),
            probes: Ratio::percent(1),
            seed: 0,
            clock: Clock::Coarse,
        }
    }

    /// The name in refusals, events and metrics.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether it acts on what it heard, to begin with.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// For how long a level is believed that is not heard again.
    pub const fn believed_for(mut self, time: Duration) -> Self {
        self.believed = time;
        self
    }

    /// What share of what is kept back is sent all the same, so that something
    /// is heard.
    pub const fn probes(mut self, share: Ratio) -> Self {
        self.probes = share;
        self
    }

    /// Which of those that are kept back are sent all the same: other ones for
    /// each seed.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The clock that its layers read, by default the coarse one.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What is known of the other side: nothing yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Believed`].
    pub fn build(self) -> Result<Upstream, ConfigError> {
        if self.believed.is_zero() {
            return Err(ConfigError::Believed);
        }
        Ok(Upstream::new(self))
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}
