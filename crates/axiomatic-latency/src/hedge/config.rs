use std::time::Duration;

use axiomatic_core::budget::{Budget, Deposits, RetryBudget};
use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::time::Clock;
use axiomatic_core::{Name, Ratio};

use super::delay::Source;
use super::{ConfigError, Delay, Hedge, Sharing};

/// What a [`Hedge`] does, before it is built.
///
/// ```
/// use axiomatic_core::Ratio;
/// use axiomatic_core::budget::{Budget, Deposits, RetryBudget};
/// use axiomatic_latency::hedge::{Config, Delay};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let millis = Duration::from_millis;
/// // The budget of the retry around it, for what both of them add.
/// let extras = RetryBudget::new("catalogue", Deposits::default())?;
/// let hedge = Config::new(Delay::quantile(Ratio::percent(95)).between(millis(5), millis(500)))
///     .named("catalogue")
///     .sharing(extras.clone())
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config<Bu = OwnBudget> {
    pub(super) delay: Delay,
    pub(super) half_life: Duration,
    pub(super) name: Name,
    pub(super) clock: Clock,
    pub(super) avoids: bool,
    budget: Bu,
}

/// The budget of a hedge that is given none.
///
/// With [`Delay::adding_at_most`] it is what that says: deposits of that share
/// and no floor. Otherwise it is 5 % of the calls and one a second. Without
/// that one, a client of less than two calls a second would never hedge, since
/// its deposits are gone before they add up to a token; beside a hundred calls
/// a second it is one percent more.
#[derive(Copy, Clone, Debug, Default)]
pub struct OwnBudget(());

impl Config {
    /// A hedge after this delay, with a budget of its own.
    pub fn new(delay: Delay) -> Self {
        Config {
            delay,
            half_life: Duration::from_secs(10),
            name: Name::UNNAMED,
            clock: Clock::Precise,
            avoids: false,
            budget: OwnBudget(()),
        }
    }

    /// Spends from this budget, in which its calls deposit. Other hedges may
    /// have the same.
    #[must_use]
    pub fn budget<Bu: Budget>(self, budget: Bu) -> Config<Bu> {
        self.with_budget(budget)
    }

    /// Spends from this budget, which is that of a retry further out. The retry
    /// has begun the calls with it, and so they do not deposit here once more:
    /// or else both together would add twice what the budget says. What became
    /// of a call the retry tells as well, once: where a budget counts outcomes,
    /// a failure that the second attempt makes good is none.
    #[must_use]
    pub fn sharing<Bu: Budget>(self, budget: Bu) -> Config<Sharing<Bu>> {
        self.with_budget(Sharing(budget))
    }

    /// The hedge.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what cannot work.
    pub fn build(self) -> Result<Hedge, ConfigError> {
        self.check()?;
        let model = match self.delay.source {
            Source::Adding(share) => Deposits::of(share).floor(0),
            Source::Fixed(_) | Source::Quantile(_) => Deposits::of(Ratio::percent(5)).floor(1),
        };
        let budget = RetryBudget::new(self.name, model).map_err(ConfigError::Budget)?;
        self.with_budget(budget).build()
    }
}

impl<Bu> Config<Bu> {
    /// The name in events and metrics.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// In which time half of what was learned about the latencies is
    /// forgotten, 10 s by default. A delay that is [fixed](Delay::fixed)
    /// learns nothing.
    #[must_use]
    pub fn half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life;
        self
    }

    /// Where instants come from, by default the precise clock. Another one
    /// must show the time of tokio's timers, if the hedge is a layer.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The second attempt avoids the endpoint of the first also while that
    /// one has not answered: its context has a place in which a balancer
    /// further in says which one it chose, at the price of an allocation for
    /// each call that may be hedged. What an answer says of where it came from
    /// is avoided in any case.
    #[must_use]
    pub fn avoiding_endpoints(mut self) -> Self {
        self.avoids = true;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.delay.check()?;
        let half_lives = LatencyHistogram::SHORTEST..=LatencyHistogram::LONGEST;
        if !half_lives.contains(&self.half_life) {
            return Err(ConfigError::HalfLife(self.half_life));
        }
        Ok(())
    }

    fn with_budget<Other>(self, budget: Other) -> Config<Other> {
        Config {
            delay: self.delay,
            half_life: self.half_life,
            name: self.name,
            clock: self.clock,
            avoids: self.avoids,
            budget,
        }
    }
}

impl<Bu: Budget> Config<Bu> {
    /// The hedge.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what cannot work.
    pub fn build(self) -> Result<Hedge<Bu>, ConfigError> {
        self.check()?;
        let budget = self.budget.clone();
        Ok(Hedge::from_checked(&self, budget))
    }
}

impl Default for Config {
    /// At most 5 % more calls.
    fn default() -> Self {
        Config::new(Delay::adding_at_most(Ratio::percent(5)))
    }
}
