use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::time::Clock;
use axiomatic_core::{Mode, Name};

use super::core::Core;
use super::rule::Rule;
use super::sliding;
use super::terms::{Flow, Ramp};
use super::{ConfigError, Quota, RateLimiter};
use crate::load_shed::Prioritizer;
use crate::load_shed::prioritizer::Reports;

/// What a rate limiter is made by.
///
/// ```
/// use axiomatic_capacity::rate_limit::{Config, Quota, WhenLimited};
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hundred = NonZeroU32::new(100).ok_or("nothing")?;
/// let limiter = Config::new(Quota::per_second(hundred))
///     .named("search")
///     .when_limited(WhenLimited::Wait {
///         max_wait: Duration::from_millis(200),
///         max_waiting: hundred,
///     })
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    quota: Quota,
    name: Name,
    algorithm: Algorithm,
    when_limited: WhenLimited,
    mode: Mode,
    clock: Clock,
    reports: Reports,
}

/// How a quota is kept.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// What was used comes back at the quota's rate, evenly: the generic cell
    /// rate algorithm, which is the token bucket told from the other side.
    /// Within any time there are never more than a burst and what the rate
    /// makes of that time.
    #[default]
    Gcra,
    /// A bucket that is filled up by the quota's count at the end of each
    /// period, and holds a burst.
    TokenBucket,
    /// The quota's count in each period, all of which are counted by
    /// themselves: simple, and around their ends there may be twice as many.
    FixedWindow,
    /// The quota's count in this period, together with as much of the last
    /// one's as its share of the time that is looked back on.
    SlidingWindow,
    /// As [`Gcra`](Algorithm::Gcra), but what was idle begins slowly: for a
    /// dependency whose caches are cold then.
    WarmUp {
        /// How long it takes to the full rate.
        length: Duration,
        /// The rate begins at one part in so many, and with no burst.
        cold_factor: NonZeroU16,
        /// Idle for so long since a whole burst was there, it is cold; and for
        /// longer while it was getting warm, by as much as its rate was lower.
        cools_after: Duration,
    },
}

impl Algorithm {
    /// The most that a sliding window counts.
    pub const MOST_IN_WINDOW: u32 = sliding::MOST as u32;
}

/// What becomes of a call for which nothing is left.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum WhenLimited {
    /// It is refused: with [`Reason::Limited`](axiomatic_core::Reason::Limited),
    /// which tells its caller that it asks too much.
    #[default]
    Reject,
    /// It is shed: with [`Reason::Shed`](axiomatic_core::Reason::Shed), which
    /// says that there is too much of everybody's.
    Shed,
    /// It waits until it is due, through the
    /// [waiting layer](RateLimiter::waiting_layer) or by
    /// [`wait`](RateLimiter::wait); by [`admit`](RateLimiter::admit) and
    /// [`layer`](RateLimiter::layer) it is refused all the same.
    Wait {
        /// How long each may wait.
        max_wait: Duration,
        /// How many may wait: calls that cost one, or as few that cost more.
        max_waiting: NonZeroU32,
    },
}

impl Config {
    /// By a quota; what is beyond it is refused.
    pub fn new(quota: Quota) -> Self {
        Config {
            quota,
            name: Name::UNNAMED,
            algorithm: Algorithm::Gcra,
            when_limited: WhenLimited::Reject,
            mode: Mode::Enforce,
            clock: Clock::Precise,
            reports: Reports::default(),
        }
    }

    /// The name in rejections, events and metrics.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// How the quota is kept.
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// What becomes of a call for which nothing is left.
    pub const fn when_limited(mut self, when_limited: WhenLimited) -> Self {
        self.when_limited = when_limited;
        self
    }

    /// Whether it acts on its decisions, to begin with.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Tells this prioritizer of each call that is refused. Whoever sheds load
    /// by it further out sheds as many, and what matters least, from its next
    /// period on.
    pub fn reporting_to(mut self, prioritizer: &Prioritizer) -> Self {
        self.reports = Reports::to(prioritizer);
        self
    }

    /// The clock that layers read. The coarse one saves 20 ns a call, and makes
    /// 250 a second of 1,000 that are paced, since nothing comes between its
    /// ticks of some milliseconds: it is for quotas whose burst lasts longer
    /// than a few of those.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The limiter.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn build(self) -> Result<RateLimiter, ConfigError> {
        let rule = self.algorithm.rule()?;
        rule.check(&self.quota)?;
        if let WhenLimited::Wait {
            max_wait,
            max_waiting: _,
        } = self.when_limited
        {
            if rule == Rule::Sliding {
                return Err(ConfigError::WindowWait);
            }
            if max_wait.is_zero() {
                return Err(ConfigError::Wait);
            }
        }
        Ok(RateLimiter(Arc::new(Core::new(
            self.name,
            self.quota,
            rule,
            self.when_limited,
            self.mode,
            self.clock,
            self.reports,
        ))))
    }
}

impl Algorithm {
    fn rule(self) -> Result<Rule, ConfigError> {
        Ok(match self {
            Algorithm::Gcra => Rule::Line(Flow::Steady),
            Algorithm::TokenBucket => Rule::Line(Flow::Stepped),
            Algorithm::FixedWindow => Rule::Fixed,
            Algorithm::SlidingWindow => Rule::Sliding,
            Algorithm::WarmUp {
                length,
                cold_factor,
                cools_after,
            } => {
                if length.is_zero() || length > Quota::LONGEST {
                    return Err(ConfigError::WarmUp(length));
                }
                let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                Rule::Line(Flow::Warming(Ramp {
                    length: nanos(length),
                    cold_factor: u64::from(cold_factor.get()),
                    cools_after: nanos(cools_after),
                }))
            }
        })
    }
}
