use std::time::Duration;

use axiomatic_core::hash::entropy;
use axiomatic_core::time::Clock;
use axiomatic_core::window::TimeWindow;
use axiomatic_core::{Mode, Name, Ratio};

use super::{ConfigError, Rule, Throttler};
use crate::load_shed::Prioritizer;

/// What a throttler is made by.
///
/// ```
/// use axiomatic_capacity::load_shed::throttle::{Config, Rule};
/// use axiomatic_core::Ratio;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), axiomatic_capacity::load_shed::throttle::ConfigError> {
/// let throttler = Config::accepting(Ratio::percent(150))
///     .named("search")
///     .window(Duration::from_secs(30), 30)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) rule: Rule,
    pub(super) most_refused: Ratio,
    pub(super) least_rate: u32,
    pub(super) probe: Duration,
    pub(super) span: Duration,
    pub(super) buckets: u32,
    pub(super) refresh: Option<Duration>,
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) clock: Clock,
    pub(super) seed: Option<u64>,
    pub(super) prioritizer: Option<Prioritizer>,
}

impl Config {
    /// The shortest time after which the probability is computed again.
    pub const SHORTEST_REFRESH: Duration = Duration::from_micros(10);

    /// By the rule of Google's *Site Reliability Engineering*: so many times
    /// as many calls are sent as are accepted, in the last two minutes; at
    /// most 95 % are refused. The book's own multiple is 200 %, that of
    /// [`Config::default`].
    pub const fn accepting(multiple: Ratio) -> Self {
        Self::by(
            Rule::accepting(multiple),
            Duration::from_secs(120),
            60,
            Ratio::percent(95),
        )
    }

    /// By the rule of Envoy's admission control: once fewer than this share of
    /// the calls that were made in the last 30 seconds are accepted, calls are
    /// refused, at most 80 % of them. Envoy's own threshold is 95 %.
    pub const fn success_rate(threshold: Ratio) -> Self {
        Self::by(
            Rule::success_rate(threshold),
            Duration::from_secs(30),
            30,
            Ratio::percent(80),
        )
    }

    const fn by(rule: Rule, span: Duration, buckets: u32, most_refused: Ratio) -> Self {
        Config {
            rule,
            most_refused,
            least_rate: 0,
            probe: Duration::from_secs(1),
            span,
            buckets,
            refresh: None,
            name: Name::UNNAMED,
            mode: Mode::Enforce,
            clock: Clock::Coarse,
            seed: None,
            prioritizer: None,
        }
    }

    /// How steeply refusals rise when calls begin to fail, as
    /// [`Rule::aggression`] tells. Of a throttler by
    /// [`success_rate`](Config::success_rate) only.
    pub const fn aggression(mut self, aggression: Ratio) -> Self {
        self.rule = self.rule.aggression(aggression);
        self
    }

    /// The most that is refused, whatever the formula says: above 0 and below
    /// 100 %.
    pub const fn most_refused(mut self, share: Ratio) -> Self {
        self.most_refused = share;
        self
    }

    /// Nothing is refused while there were fewer requests than so many a
    /// second, on the average of the window. By default none are too few.
    pub const fn least_rate(mut self, per_second: u32) -> Self {
        self.least_rate = per_second;
        self
    }

    /// How long it may be that calls come and none passes: then the next one
    /// does. A second by default.
    pub const fn probe_every(mut self, interval: Duration) -> Self {
        self.probe = interval;
        self
    }

    /// The window in which calls are counted, and the buckets by which it
    /// slides.
    pub const fn window(mut self, span: Duration, buckets: u32) -> Self {
        self.span = span;
        self.buckets = buckets;
        self
    }

    /// How often the probability is computed: by the first call that comes
    /// after so long, rounded down to a power of two of nanoseconds. A
    /// hundredth of the window by default, at least 10 ms and at most a
    /// second.
    pub const fn refresh_every(mut self, interval: Duration) -> Self {
        self.refresh = Some(interval);
        self
    }

    /// Refuses what matters least first, by the requests that this prioritizer
    /// has seen of late, and what it sheds itself. It sees those that are asked
    /// for here. Without one, all that comes is refused alike.
    pub fn prioritizer(mut self, prioritizer: &Prioritizer) -> Self {
        self.prioritizer = Some(prioritizer.clone());
        self
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

    /// The clock that layers read: the coarse one by default, whose ticks are
    /// nothing to a window of seconds.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Whose turn it is to be refused follows from this number, and from
    /// chance by default.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The throttler.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn build(self) -> Result<Throttler, ConfigError> {
        self.check()?;
        Ok(Throttler::from_checked(&self))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.rule.check()?;
        if self.most_refused == Ratio::ZERO || self.most_refused >= Ratio::ONE {
            return Err(ConfigError::MostRefused(self.most_refused));
        }
        let bucket = self.span.checked_div(self.buckets);
        let is_good = |bucket: &Duration| {
            (TimeWindow::SHORTEST_BUCKET..=TimeWindow::LONGEST_BUCKET).contains(bucket)
        };
        if bucket.filter(is_good).is_none() || self.buckets > TimeWindow::MOST_BUCKETS {
            return Err(ConfigError::Window);
        }
        let refresh = self.refresh_interval();
        if refresh < Self::SHORTEST_REFRESH || refresh > self.span {
            return Err(ConfigError::Refresh(refresh));
        }
        if self.probe.is_zero() {
            return Err(ConfigError::Probe);
        }
        Ok(())
    }

    pub(super) fn refresh_interval(&self) -> Duration {
        const SHORTEST: Duration = Duration::from_millis(10);
        const LONGEST: Duration = Duration::from_secs(1);
        // Of a window that is shorter than all that, as long as it lasts.
        let usual = || (self.span / 100).clamp(SHORTEST, LONGEST).min(self.span);
        self.refresh.unwrap_or_else(usual)
    }

    pub(super) fn seed_or_chance(&self) -> u64 {
        self.seed.unwrap_or_else(entropy)
    }
}

impl Default for Config {
    /// The rule of the book, as it is there.
    fn default() -> Self {
        Config::accepting(Ratio::percent(200))
    }
}
