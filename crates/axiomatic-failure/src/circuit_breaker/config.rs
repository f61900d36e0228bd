use std::time::Duration;

use axiomatic_core::time::Clock;
use axiomatic_core::window::{CountWindow, DueWindow, TimeWindow};
use axiomatic_core::{Mode, Name, Ratio};

use super::{
    Adaptive, CircuitBreaker, ConfigError, HalfOpen, OpenFor, Ramp, ThrottledCounts, TripWhen,
};

/// What a breaker is: its window, when it trips, how long it stays open and
/// how it comes back.
///
/// The defaults suit a remote call of some tens of milliseconds: of at least
/// 20 calls in the last 10 s, half failed; open for 1 s, doubling to 5 s
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
    pub(super) sees_in_flight: bool,
    pub(super) throttled: ThrottledCounts,
    pub(super) open_for: OpenFor,
    pub(super) half_open: HalfOpen,
    pub(super) ramp: Option<Ramp>,
    pub(super) adaptive: Option<Adaptive>,
    /// Whether it can open. One that is adaptive and nothing else does not.
    pub(super) trips: bool,
    pub(super) mode: Mode,
    pub(super) clock: Option<Clock>,
    pub(super) seed: Option<u64>,
    /// One of thousands: memory counts more than threads that meet.
    pub(super) compact: bool,
}

impl Config {
    /// A breaker that judges by this window.
    pub fn new(window: Window) -> Self {
        let sample = match window.0 {
            Shape::Calls(calls) => calls.clamp(1, 20),
            Shape::Time { .. } | Shape::Due { .. } => 20,
        };
        Config {
            name: Name::UNNAMED,
            window,
            trip_when: TripWhen::failure_rate(Ratio::percent(50), sample),
            slow_after: None,
            sees_in_flight: false,
            throttled: ThrottledCounts::AsFailure,
            open_for: OpenFor::backoff(Duration::from_secs(1), Duration::from_secs(5)),
            half_open: HalfOpen::successes(3),
            ramp: None,
            adaptive: None,
            trips: true,
            mode: Mode::Enforce,
            clock: None,
            seed: None,
            compact: false,
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

    /// From which duration on a call counts as slow, unless its
    /// [`Context`](axiomatic_core::Context::slow_after) says otherwise.
    #[must_use]
    pub fn slow_after(mut self, duration: Duration) -> Self {
        self.slow_after = Some(duration);
        self
    }

    /// A call counts as slow as soon as it is, and not only when it ends: so
    /// a dependency that hangs trips the breaker at the slow threshold, and
    /// not at the timeout. It is counted once, whatever becomes of it later;
    /// its failure still counts. A probe that is slow fails as soon as it is,
    /// if slowness is judged.
    ///
    /// The window then holds the calls that began in its span. It has to be one
    /// of time, and at least twice as long as the threshold; it slides in steps of up
    /// to a quarter of the threshold, or a 64th of the window if that is
    /// longer, and that is how late a hanging call is seen. A call costs one
    /// atomic step more.
    #[must_use]
    pub fn slow_in_flight(mut self) -> Self {
        self.window.0 = match self.window.0 {
            Shape::Time { span, .. } => Shape::Due { span },
            shape => shape,
        };
        self.sees_in_flight = true;
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

    /// How it gives the load back once the probes were good; by default all
    /// at once.
    #[must_use]
    pub fn ramp(mut self, ramp: Ramp) -> Self {
        self.ramp = Some(ramp);
        self
    }

    /// It refuses a share of the calls, as large as the failures ask for, and
    /// never opens by itself: what trips it otherwise does not count.
    #[must_use]
    pub fn adaptive(mut self, adaptive: Adaptive) -> Self {
        self.adaptive = Some(adaptive);
        self.trips = false;
        self
    }

    /// Both: it refuses a share while a part fails, and opens when
    /// [`trip_when`](Config::trip_when) is met.
    #[must_use]
    pub fn dual(mut self, adaptive: Adaptive) -> Self {
        self.adaptive = Some(adaptive);
        self.trips = true;
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
        if self.trips {
            self.trip_when.check(self.window)?;
            if self.trip_when.judges_slowness() && self.slow_after.is_none() {
                return Err(ConfigError::SlowWithoutThreshold);
            }
        }
        if self.sees_in_flight {
            let fits = matches!(
                (self.window.0, self.slow_after),
                (Shape::Due { span }, Some(threshold))
                    if !threshold.is_zero()
                        && threshold <= span / 2
                        && threshold / 4 <= TimeWindow::LONGEST_BUCKET
            );
            if !fits {
                return Err(ConfigError::SlowInFlight);
            }
        }
        self.open_for.check()?;
        self.half_open.check()?;
        self.ramp.as_ref().map_or(Ok(()), Ramp::check)?;
        match &self.adaptive {
            None => Ok(()),
            Some(_) if matches!(self.window.0, Shape::Calls(_)) => Err(ConfigError::Adaptive),
            Some(adaptive) => adaptive.check(),
        }
    }

    /// Whether a slow call is evidence, and not only counted.
    pub(super) fn judges_slowness(&self) -> bool {
        let adapts = self.adaptive.is_some() && self.slow_after.is_some();
        adapts || self.trips && self.trip_when.judges_slowness()
    }
}

/// What a store of breakers by key makes of it.
#[cfg(feature = "keyed")]
impl Config {
    /// For one of the breakers of many keys: small, and in the mode of all.
    pub(super) fn compact(self) -> Self {
        Config {
            mode: Mode::Enforce,
            compact: true,
            ..self
        }
    }

    /// The same with what a breaker keeps from its construction.
    pub(super) fn of_the_kind_of(self, other: &Config) -> Self {
        Config {
            name: other.name,
            mode: other.mode,
            clock: other.clock.clone(),
            seed: other.seed,
            compact: other.compact,
            ..self
        }
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
    Time {
        span: Duration,
        buckets: u32,
    },
    /// The same, by when calls were due.
    Due {
        span: Duration,
    },
    Calls(u32),
}

impl Window {
    /// The calls of the last `span`, sliding by a tenth of it. Prefer this:
    /// each thread counts on a cache line of its own. A window of more than
    /// ten minutes needs more steps, since none may last over a minute.
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
            Shape::Due { .. } | Shape::Calls(_) => self,
        }
    }

    fn check(self) -> Result<(), ConfigError> {
        let fits = match self.0 {
            Shape::Calls(calls) => (1..=CountWindow::MOST).contains(&calls),
            Shape::Time { span, buckets } => {
                (1..=TimeWindow::MOST_BUCKETS).contains(&buckets)
                    && (TimeWindow::SHORTEST_BUCKET..=TimeWindow::LONGEST_BUCKET)
                        .contains(&(span / buckets))
            }
            Shape::Due { span } => (TimeWindow::SHORTEST_BUCKET..=TimeWindow::LONGEST_BUCKET)
                .contains(&(span / DueWindow::MOST_STEPS)),
        };
        if fits {
            Ok(())
        } else {
            Err(ConfigError::Window)
        }
    }
}
