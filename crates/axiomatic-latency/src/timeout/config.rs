use std::time::Duration;

use axiomatic_core::{Name, Ratio};

use super::{Adaptive, ConfigError, Timeout};

/// What a timeout does besides giving up after a fixed time.
///
/// ```
/// use axiomatic_core::Ratio;
/// use axiomatic_latency::timeout::{Adaptive, Config, Expired};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), axiomatic_latency::timeout::ConfigError> {
/// let timeout = Config::after(Duration::from_secs(2))
///     .named("inventory")
///     .expired(Expired::RefuseAtMost(Ratio::percent(20)))
///     .adaptive(Adaptive::of(Ratio::percent(99)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) name: Name,
    pub(super) after: Duration,
    pub(super) expired: Expired,
    pub(super) adaptive: Option<Adaptive>,
}

/// What becomes of calls whose deadline has passed when they arrive.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Expired {
    /// Nobody waits for them: they are refused.
    #[default]
    Refuse,
    /// They are refused as long as those are no more than this share of the
    /// calls of the last ten seconds, in steps of 0.1 %; beyond it they are
    /// served. When all callers' clocks are wrong, or ours, this share is
    /// what it costs.
    RefuseAtMost(Ratio),
    /// They are served, all of them.
    Serve,
}

impl Config {
    /// Calls may take this long, and no longer whatever else is said.
    pub fn after(duration: Duration) -> Self {
        Config {
            name: Name::UNNAMED,
            after: duration,
            expired: Expired::Refuse,
            adaptive: None,
        }
    }

    /// The name in rejections, events and metrics.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// What becomes of calls that arrive expired. Those that are served have
    /// the timeout's own time, and are told so.
    pub const fn expired(mut self, expired: Expired) -> Self {
        self.expired = expired;
        self
    }

    /// Gives up earlier than after the whole time, by what calls take of
    /// late.
    pub const fn adaptive(mut self, adaptive: Adaptive) -> Self {
        self.adaptive = Some(adaptive);
        self
    }

    /// The timeout.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which setting cannot work.
    pub fn build(self) -> Result<Timeout, ConfigError> {
        Timeout::from_config(self)
    }
}
