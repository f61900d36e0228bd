//! What stands between a story and an algorithm: it counts who is in flight,
//! refuses who is too many, and makes a sample of each window.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use axiomatic_capacity::adaptive::{LimitAlgorithm, Sample};
use axiomatic_core::time::Instant;
use axiomatic_core::{Outcome, Pattern, Reason, Rejected};
use axiomatic_sim::{Call, End, Policy};

/// A window ends with the first call that ends after so long, if it has so
/// many; after ten times as long any number is enough.
const WINDOW: Duration = Duration::from_millis(100);
const FEWEST: usize = 10;
const LONGEST: Duration = Duration::from_secs(1);

/// The limits, and from when on.
pub(crate) type Log = Rc<RefCell<Vec<(Instant, u32)>>>;

pub(crate) struct Limiter {
    algorithm: Box<dyn LimitAlgorithm>,
    limit: u32,
    in_flight: u32,
    /// Of the latest window that has one.
    median: Option<Duration>,
    window: Window,
    log: Option<Log>,
}

struct Window {
    began: Option<Instant>,
    latencies: Vec<Duration>,
    failed: u64,
    dropped: u64,
    most_in_flight: u32,
    turned_away: u64,
}

pub(crate) struct Permit {
    began: Instant,
}

impl Limiter {
    pub(crate) fn new(algorithm: Box<dyn LimitAlgorithm>, log: Option<Log>) -> Self {
        Limiter {
            limit: algorithm.initial().max(1),
            algorithm,
            in_flight: 0,
            median: None,
            window: Window::new(None, 0),
            log,
        }
    }

    /// Whether what failed, or was given up, took so long that it is evidence
    /// of load.
    fn is_long(&self, took: Duration) -> bool {
        let usual = self.algorithm.baseline().map(|baseline| baseline * 2);
        usual.or(self.median).is_none_or(|usual| took > usual)
    }

    fn end_window(&mut self, now: Instant) {
        let began = self.window.began.unwrap_or(now);
        let lasted = now - began;
        let ended = self.window.latencies.len() as u64 + self.window.failed + self.window.dropped;
        let is_over = lasted >= LONGEST || lasted >= WINDOW && ended >= FEWEST as u64;
        if !is_over {
            return;
        }
        let next = Window::new(Some(now), self.in_flight);
        let window = std::mem::replace(&mut self.window, next);
        let sample = window.sample(now, self.limit);
        self.median = sample.median.or(self.median);
        let step = self.algorithm.step(&sample);
        self.limit = step.limit.max(1);
        if let Some(log) = &self.log {
            log.borrow_mut().push((now, self.limit));
        }
    }
}

impl Window {
    fn new(began: Option<Instant>, in_flight: u32) -> Self {
        Window {
            began,
            latencies: Vec::new(),
            failed: 0,
            dropped: 0,
            most_in_flight: in_flight,
            turned_away: 0,
        }
    }

    fn sample(mut self, ended: Instant, limit: u32) -> Sample {
        self.latencies.sort_unstable();
        let middle = self.latencies.len().saturating_sub(1) / 2;
        Sample {
            began: self.began.unwrap_or(ended),
            ended,
            limit,
            answered: self.latencies.len() as u64,
            shortest: self.latencies.first().copied(),
            median: self.latencies.get(middle).copied(),
            failed: self.failed,
            dropped: self.dropped,
            most_in_flight: self.most_in_flight,
            turned_away: self.turned_away,
        }
    }
}

impl Policy for Limiter {
    type Permit = Permit;

    fn admit(&mut self, _: Call, now: Instant) -> Result<Permit, Rejected> {
        self.window.began.get_or_insert(now);
        if self.in_flight >= self.limit {
            self.window.turned_away += 1;
            return Err(Rejected::new(Pattern::AdaptiveLimit, Reason::Full));
        }
        self.in_flight += 1;
        self.window.most_in_flight = self.window.most_in_flight.max(self.in_flight);
        Ok(Permit { began: now })
    }

    fn record(&mut self, permit: Permit, now: Instant, end: End) {
        self.in_flight -= 1;
        let took = now - permit.began;
        match end.outcome() {
            Outcome::Success | Outcome::Permanent => self.window.latencies.push(took),
            Outcome::Throttled { .. } => self.window.dropped += 1,
            Outcome::Transient if self.is_long(took) => self.window.dropped += 1,
            Outcome::Transient => self.window.failed += 1,
            Outcome::Ignored => return,
        }
        self.end_window(now);
    }
}
