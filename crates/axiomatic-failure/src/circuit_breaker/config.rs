use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::time::Clock;
use axiomatic_core::window::{CountWindow, TimeWindow};
use axiomatic_core::{Mode, Name, Ratio};

use super::CircuitBreaker;

/// What a breaker is: its window, when it trips, how long it stays open and
/// how it comes back.
///
/// The defaults suit a remote call of some tens of milliseconds: of at least
/// 20 calls in the last 10 s, half failed; open for 1 s, doubling to 60 s
/// while probes fail; closed again after 3 good probes.
///
/// ```
/// use axiomatic_core::Ratio;
/// use axiomatic_failure::circuit_breaker::{Config, HalfOpen, OpenFor, TripWhen, Window};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), axiomatic_failure::circuit_breaker::ConfigError> {
/// let breaker = Config::new(Window::last(Duration::from_secs(30)))
///     .named("payment")
///     .trip_when(
///         TripWhen::failure_rate(Ratio::percent(20), 50)
///             .or(TripWhen::consecutive_failures(10))
///             .or(TripWhen::slow_rate(Ratio::percent(80), 50)),
///     )
///     .slow_after(Duration::from_millis(800))
///     .open_for(OpenFor::backoff(Duration::from_secs(2), Duration::from_secs(30)))
///     .half_open(HalfOpen::successes(5).concurrent(2).allowing_failures(1))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) name: Name,
    pub(super) window: Window,
    pub(super) trip_when: TripWhen,
    pub(super) slow_after: Option<Duration>,
    pub(super) throttled: ThrottledCounts,
    pub(super) open_for: OpenFor,
    pub(super) half_open: HalfOpen,
    pub(super) mode: Mode,
    pub(super) clock: Option<Clock>,
    pub(super) seed: Option<u64>,
}

impl Config {
    /// A breaker that judges by this window.
    pub fn new(window: Window) -> Self {
        let sample = match window.0 {
            Shape::Calls(calls) => calls.clamp(1, 20),
            Shape::Time { .. } => 20,
        };
        Config {
            name: Name::UNNAMED,
            window,
            trip_when: TripWhen::failure_rate(Ratio::percent(50), sample),
            slow_after: None,
            throttled: ThrottledCounts::AsFailure,
            open_for: OpenFor::backoff(Duration::from_secs(1), Duration::from_secs(60)),
            half_open: HalfOpen::successes(3),
            mode: Mode::Enforce,
            clock: None,
            seed: None,
        }
    }

    /// The name in refusals, events and metrics.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// What trips it.
    #[must_use]
    pub fn trip_when(mut self, trip_when: TripWhen) -> Self {
        self.trip_when = trip_when;
        self
    }

    /// From which duration on a call counts as slow.
    #[must_use]
    pub fn slow_after(mut self, duration: Duration) -> Self {
        self.slow_after = Some(duration);
        self
    }

    /// What a throttled call counts as.
    #[must_use]
    pub fn throttled_counts(mut self, throttled: ThrottledCounts) -> Self {
        self.throttled = throttled;
        self
    }

    /// How long it stays open.
    #[must_use]
    pub fn open_for(mut self, open_for: OpenFor) -> Self {
        self.open_for = open_for;
        self
    }

    /// How it finds out that the dependency is back.
    #[must_use]
    pub fn half_open(mut self, half_open: HalfOpen) -> Self {
        self.half_open = half_open;
        self
    }

    /// Whether it acts on its decisions; it can be switched later.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Which clock its adapters read. By default the coarse one, or the
    /// precise one where a slow threshold is under 50 of its ticks.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The seed of the jitter, random by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Checks the configuration and makes the breaker.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn build(self) -> Result<CircuitBreaker, ConfigError> {
        self.check()?;
        Ok(CircuitBreaker::from_checked(&self))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.window.check()?;
        self.trip_when.check(self.window)?;
        if self.trip_when.judges_slowness() && self.slow_after.is_none() {
            return Err(ConfigError::SlowWithoutThreshold);
        }
        self.open_for.check()?;
        self.half_open.check()
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::new(Window::last(Duration::from_secs(10)))
    }
}

/// The calls that a rate is taken over.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Window(pub(super) Shape);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Time { span: Duration, buckets: u32 },
    Calls(u32),
}

impl Window {
    /// The calls of the last `span`, sliding by a tenth of it. Prefer this:
    /// each thread counts on a cache line of its own.
    pub const fn last(span: Duration) -> Self {
        Window(Shape::Time { span, buckets: 10 })
    }

    /// The last `calls` calls, however long they took. All threads write one
    /// cache line, and at night they may be yesterday's.
    pub const fn calls(calls: u32) -> Self {
        Window(Shape::Calls(calls))
    }

    /// A window of time that slides in so many steps; on a window of calls
    /// it has no effect.
    #[must_use]
    pub const fn in_buckets(self, buckets: u32) -> Self {
        match self.0 {
            Shape::Time { span, .. } => Window(Shape::Time { span, buckets }),
            Shape::Calls(_) => self,
        }
    }

    fn check(self) -> Result<(), ConfigError> {
        let fits = match self.0 {
            Shape::Calls(calls) => (1..=CountWindow::MOST).contains(&calls),
            Shape::Time { span, buckets } => {
                (1..=TimeWindow::MOST_BUCKETS).contains(&buckets)
                    && span / buckets >= TimeWindow::SHORTEST_BUCKET
            }
        };
        if fits {
            Ok(())
        } else {
            Err(ConfigError::Window)
        }
    }
}

/// What trips a breaker: one condition or several, any of which suffices.
///
/// Conditions are looked at when a call failed or was slow. A success never
/// trips a breaker, not even the one that makes a sample large enough.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TripWhen {
    conditions: [Option<Condition>; TripWhen::MOST],
    too_many: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Consecutive(u32),
    Rate {
        of: Share,
        at_least: Ratio,
        sample: u32,
    },
}

/// Which calls a rate is the rate of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    Failed,
    Slow,
    FailedOrSlow,
}

impl TripWhen {
    /// How many conditions can be combined.
    pub const MOST: usize = 4;

    /// So many failures in a row, with no success between them.
    pub const fn consecutive_failures(failures: u32) -> Self {
        Self::one(Condition::Consecutive(failures))
    }

    /// This share of the window's calls failed, if it holds at least
    /// `sample` of them.
    pub const fn failure_rate(at_least: Ratio, sample: u32) -> Self {
        Self::rate(Share::Failed, at_least, sample)
    }

    /// This share of the window's calls was slow, failed or not.
    pub const fn slow_rate(at_least: Ratio, sample: u32) -> Self {
        Self::rate(Share::Slow, at_least, sample)
    }

    /// This share of the window's calls failed or was slow, each counted
    /// once.
    pub const fn failure_or_slow_rate(at_least: Ratio, sample: u32) -> Self {
        Self::rate(Share::FailedOrSlow, at_least, sample)
    }

    /// Either of the two.
    #[must_use]
    pub fn or(mut self, other: TripWhen) -> Self {
        self.too_many |= other.too_many;
        for condition in other.conditions() {
            match self.conditions.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = Some(condition),
                None => self.too_many = true,
            }
        }
        self
    }

    const fn rate(of: Share, at_least: Ratio, sample: u32) -> Self {
        Self::one(Condition::Rate {
            of,
            at_least,
            sample,
        })
    }

    const fn one(condition: Condition) -> Self {
        let mut conditions = [None; TripWhen::MOST];
        conditions[0] = Some(condition);
        TripWhen {
            conditions,
            too_many: false,
        }
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.conditions.into_iter().flatten()
    }

    pub(super) fn counts_streaks(&self) -> bool {
        self.conditions()
            .any(|condition| matches!(condition, Condition::Consecutive(_)))
    }

    pub(super) fn judges_slowness(&self) -> bool {
        self.conditions().any(|condition| {
            matches!(
                condition,
                Condition::Rate {
                    of: Share::Slow | Share::FailedOrSlow,
                    ..
                }
            )
        })
    }

    fn check(&self, window: Window) -> Result<(), ConfigError> {
        if self.too_many {
            return Err(ConfigError::TooManyConditions);
        }
        for condition in self.conditions() {
            match condition {
                Condition::Consecutive(0) => return Err(ConfigError::NoFailures),
                Condition::Consecutive(_) => {}
                Condition::Rate {
                    at_least, sample, ..
                } => {
                    if at_least == Ratio::ZERO || at_least > Ratio::ONE {
                        return Err(ConfigError::Rate(at_least));
                    }
                    let unreachable = matches!(window.0, Shape::Calls(calls) if sample > calls);
                    if sample == 0 || unreachable {
                        return Err(ConfigError::Sample(sample));
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a [`Throttled`](axiomatic_core::Outcome::Throttled) call counts as.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ThrottledCounts {
    /// A failure: the dependency does not do what it was asked.
    #[default]
    AsFailure,
    /// Nothing: the limit is ours to keep, by another pattern.
    AsNothing,
}

/// How long a breaker stays open.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct OpenFor {
    pub(super) first: Duration,
    pub(super) longest: Duration,
    pub(super) jitter: Ratio,
    pub(super) stable_after: Duration,
    pub(super) longest_hint: Duration,
}

impl OpenFor {
    /// The longest that a breaker can stay open by itself: 4 hours.
    pub const LONGEST: Duration = Duration::from_secs(4 * 3600);

    /// Always as long.
    pub const fn fixed(duration: Duration) -> Self {
        OpenFor {
            first: duration,
            longest: duration,
            jitter: Ratio::ZERO,
            stable_after: Duration::ZERO,
            longest_hint: Duration::from_secs(60),
        }
    }

    /// `first`, then twice as long each time that it opens again, up to
    /// `longest`; back to `first` once it was closed for `longest`. Each is
    /// shortened at random by up to a tenth, so that a fleet does not probe
    /// in step.
    pub const fn backoff(first: Duration, longest: Duration) -> Self {
        OpenFor {
            first,
            longest,
            jitter: Ratio::percent(10),
            stable_after: longest,
            longest_hint: Duration::from_secs(60),
        }
    }

    /// Shortened at random by up to this share.
    #[must_use]
    pub const fn jittered(mut self, share: Ratio) -> Self {
        self.jitter = share;
        self
    }

    /// How long it has to be closed before the next opening counts as the
    /// first.
    #[must_use]
    pub const fn stable_after(mut self, duration: Duration) -> Self {
        self.stable_after = duration;
        self
    }

    /// How far a server's `Retry-After`, on the call that opens the breaker,
    /// can prolong the opening; zero ignores it, 60 s is the default.
    #[must_use]
    pub const fn retry_after_up_to(mut self, longest: Duration) -> Self {
        self.longest_hint = longest;
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        let longest = self.longest.max(self.longest_hint);
        if self.first.is_zero() || self.first > self.longest || longest > Self::LONGEST {
            return Err(ConfigError::OpenFor);
        }
        if self.jitter > Ratio::ONE {
            return Err(ConfigError::Rate(self.jitter));
        }
        Ok(())
    }
}

/// How a breaker finds out that the dependency is back: it lets probes
/// through, a few at a time, and counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct HalfOpen {
    pub(super) required: u8,
    pub(super) allowed: u8,
    pub(super) concurrent: u8,
    pub(super) lease: Duration,
}

impl HalfOpen {
    /// Closes after so many good probes; opens again at the first bad one.
    pub const fn successes(required: u8) -> Self {
        HalfOpen {
            required,
            allowed: 0,
            concurrent: required,
            lease: Duration::from_secs(30),
        }
    }

    /// Closes when this share of `probes` probes was good, and opens again as
    /// soon as it can no longer be.
    pub const fn success_rate(at_least: Ratio, probes: u8) -> Self {
        let required = at_least.ceil_of(probes as u64);
        // A share above one asks for more than all; `check` refuses it as
        // zero required probes.
        let required = if required > probes as u64 {
            0
        } else {
            required
        };
        HalfOpen {
            required: required as u8,
            allowed: probes - required as u8,
            concurrent: probes,
            lease: Duration::from_secs(30),
        }
    }

    /// How many probes may be under way at a time; by default as many as are
    /// needed.
    #[must_use]
    pub const fn concurrent(mut self, probes: u8) -> Self {
        self.concurrent = probes;
        self
    }

    /// How many bad probes are forgiven.
    #[must_use]
    pub const fn allowing_failures(mut self, probes: u8) -> Self {
        self.allowed = probes;
        self
    }

    /// How long a probe may take before it counts as failed, 30 s by
    /// default: whatever becomes of a probe, the breaker moves on.
    #[must_use]
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.required == 0 || self.concurrent == 0 || self.lease.is_zero() {
            return Err(ConfigError::HalfOpen);
        }
        Ok(())
    }
}

/// Why a configuration cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The window holds no call, or more than [`CountWindow::MOST`], or has
    /// no bucket, more than [`TimeWindow::MOST_BUCKETS`], or shorter ones
    /// than [`TimeWindow::SHORTEST_BUCKET`].
    Window,
    /// More than [`TripWhen::MOST`] conditions.
    TooManyConditions,
    /// A streak of no failures would trip at rest.
    NoFailures,
    /// A rate has to lie above 0 and at most at 100 %.
    Rate(Ratio),
    /// A sample has to hold a call, and no more than the window of calls.
    Sample(u32),
    /// A condition on slow calls needs [`Config::slow_after`].
    SlowWithoutThreshold,
    /// An open duration has to lie above zero and at most at
    /// [`OpenFor::LONGEST`], the first at most at the longest.
    OpenFor,
    /// A half-open breaker needs a probe, a place for it and a lease.
    HalfOpen,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Window => write!(
                f,
                "a window has 1 to {} calls, or 1 to {} buckets of at least {:?}",
                CountWindow::MOST,
                TimeWindow::MOST_BUCKETS,
                TimeWindow::SHORTEST_BUCKET
            ),
            ConfigError::TooManyConditions => {
                write!(f, "at most {} conditions can be combined", TripWhen::MOST)
            }
            ConfigError::NoFailures => {
                write!(f, "a streak of 0 failures would trip at rest")
            }
            ConfigError::Rate(rate) => {
                write!(f, "a rate of {rate} is not above 0 % and at most 100 %")
            }
            ConfigError::Sample(sample) => write!(
                f,
                "a sample of {sample} calls is none, or more than the window holds"
            ),
            ConfigError::SlowWithoutThreshold => {
                write!(f, "a condition on slow calls needs `slow_after`")
            }
            ConfigError::OpenFor => write!(
                f,
                "open durations lie above zero and at most at {:?}, the first at most at the longest",
                OpenFor::LONGEST
            ),
            ConfigError::HalfOpen => write!(
                f,
                "a half-open breaker needs a required probe, a place for it and a lease"
            ),
        }
    }
}

impl Error for ConfigError {}
