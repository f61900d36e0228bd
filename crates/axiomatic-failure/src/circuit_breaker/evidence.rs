//! What is known of the present generation, and whether it suffices to open.

use axiomatic_core::time::Instant;
use axiomatic_core::window::{CountWindow, Counts, DueWindow, Observation, Seat, TimeWindow};

use super::Config;
use super::config::Shape;
use super::counter_cell::Streak;
use super::generation::Generation;
use super::patience_cell::Patience;
use super::policy::{Condition, Share};
use super::settings_cell::{Flags, Settings};

pub(super) struct Evidence {
    window: Record,
    streak: Streak,
    patience: Patience,
}

/// The window, in any of its kinds. The generation is its era.
enum Record {
    Time(TimeWindow),
    Due(DueWindow),
    Calls(CountWindow),
}

/// A call as its window knows it.
#[derive(Copy, Clone)]
pub(super) struct Call {
    pub(super) generation: Generation,
    /// Where it is watched while under way.
    pub(super) seat: Option<Seat>,
    pub(super) due: Instant,
}

impl Evidence {
    pub(super) fn new(config: &Config) -> Self {
        Evidence {
            window: match config.window.0 {
                Shape::Time { span, buckets } if config.compact => {
                    Record::Time(TimeWindow::compact(span, buckets))
                }
                Shape::Time { span, buckets } => Record::Time(TimeWindow::last(span, buckets)),
                Shape::Due { span } => {
                    let usual = config.slow_after.unwrap_or_default();
                    Record::Due(if config.compact {
                        DueWindow::compact(span, usual)
                    } else {
                        DueWindow::last(span, usual)
                    })
                }
                Shape::Calls(calls) => Record::Calls(CountWindow::last(calls)),
            },
            streak: Streak::new(),
            patience: Patience::new(),
        }
    }

    /// A call begins. Where it is watched, if it is.
    #[inline(always)]
    pub(super) fn begin(&self, generation: Generation, now: Instant, due: Instant) -> Option<Seat> {
        match &self.window {
            Record::Due(window) => window.begin(generation.number(), now, due),
            Record::Time(_) | Record::Calls(_) => None,
        }
    }

    /// Whether calls under way may have become slow since anybody asked.
    #[inline(always)]
    pub(super) fn begins_step(&self, generation: Generation, now: Instant) -> bool {
        match &self.window {
            Record::Due(window) => window.begins_step(generation.number(), now),
            Record::Time(_) | Record::Calls(_) => false,
        }
    }

    /// A call ends without a verdict.
    pub(super) fn forget(&self, call: Call) {
        if let (Record::Due(window), Some(seat)) = (&self.window, call.seat) {
            window.forget(call.generation.number(), seat, call.due);
        }
    }

    /// A call worked, in time: nothing to decide.
    #[inline(always)]
    pub(super) fn fine(&self, generation: Generation, now: Instant) {
        self.streak.succeeded(generation);
        let era = generation.number();
        match &self.window {
            Record::Time(window) => window.record(era, now, Observation::Fine),
            Record::Due(window) => window.record(era, now, false, false),
            Record::Calls(window) => window.record(era, Observation::Fine),
        }
    }

    /// The same, of a call that was watched.
    #[inline(always)]
    pub(super) fn fine_seen(&self, generation: Generation, seat: Seat, due: Instant, now: Instant) {
        self.streak.succeeded(generation);
        if let Record::Due(window) = &self.window {
            window.end(generation.number(), seat, due, now, false);
        }
    }

    /// A call worked, though not in time: no streak of failures any more.
    pub(super) fn ends_streak(&self, generation: Generation) {
        self.streak.succeeded(generation);
    }

    /// Records a call whatever became of it.
    pub(super) fn record(&self, call: Call, now: Instant, observation: Observation) {
        let era = call.generation.number();
        let (failed, slow) = (observation.is_failed(), observation.is_slow());
        match (&self.window, call.seat) {
            (Record::Time(window), _) => window.record(era, now, observation),
            (Record::Due(window), Some(seat)) => window.end(era, seat, call.due, now, failed),
            (Record::Due(window), None) => window.record(era, now, failed, slow),
            (Record::Calls(window), _) => window.record(era, observation),
        }
    }

    /// Whether the evidence suffices to open, now that a call that
    /// failed or was slow was recorded.
    pub(super) fn suffices(
        &self,
        generation: Generation,
        now: Instant,
        failed: bool,
        flags: Flags,
        settings: &Settings,
    ) -> bool {
        let streak = if failed {
            self.streak.failed(generation)
        } else {
            0
        };
        let is_streak = |condition| match condition {
            Condition::Consecutive(failures) => streak >= u64::from(failures),
            Condition::Rate { .. } => false,
        };
        streak > 0 && settings.conditions().any(is_streak)
            || flags.judges_rates() && self.rate_is_reached(generation, now, settings)
    }

    /// Whether a rate is reached because time has passed: calls under way
    /// have become slow, and nobody numbered them.
    pub(super) fn suffices_by_now(
        &self,
        generation: Generation,
        now: Instant,
        settings: &Settings,
    ) -> bool {
        let counts = self.counts(generation, now);
        settings
            .conditions()
            .any(|condition| condition.to_go(&counts) == Some(0))
    }

    /// Whether a rate is reached. The window is read only where that can be,
    /// so that a failure costs the same whatever the window holds.
    fn rate_is_reached(&self, generation: Generation, now: Instant, settings: &Settings) -> bool {
        let number = self.patience.number();
        // The window is read at this time, if it is: so it is the present.
        self.begins_step(generation, now);
        let stretch = self.window.stretch(generation, now);
        let Err(numbered) = self.patience.is_due(number, stretch, settings.version()) else {
            return false;
        };
        let counts = self.counts(generation, now);
        let to_go = settings
            .conditions()
            .filter_map(|condition| condition.to_go(&counts))
            .min();
        match to_go {
            Some(0) => true,
            to_go => {
                self.patience.wait_for(numbered, to_go.unwrap_or(u64::MAX));
                false
            }
        }
    }

    /// The conditions were changed: the next bad result is judged by them.
    pub(super) fn conditions_changed(&self) {
        self.patience.clear();
    }

    pub(super) fn counts(&self, generation: Generation, now: Instant) -> Counts {
        match &self.window {
            Record::Time(window) => window.counts(generation.number(), now),
            Record::Due(window) => window.counts(generation.number(), now),
            Record::Calls(window) => window.counts(generation.number()),
        }
    }
}

impl Condition {
    /// How many more bad calls it takes at least, as long as the window's
    /// total does not shrink; none if a rate is reached.
    fn to_go(self, counts: &Counts) -> Option<u64> {
        let Condition::Rate {
            of,
            at_least,
            sample,
        } = self
        else {
            return None;
        };
        let part = match of {
            Share::Failed => counts.failed(),
            Share::Slow => counts.slow(),
            Share::FailedOrSlow => counts.failed_or_slow(),
        };
        let sample = u64::from(sample);
        let needed = at_least.ceil_of(counts.total().max(sample));
        let to_go = needed.saturating_sub(part);
        // The part is large enough, the sample is not yet.
        Some(to_go.max(u64::from(counts.total() < sample)))
    }
}

impl Record {
    /// Names a stretch in which the window's total does not shrink: in a
    /// window of calls, a call leaves only when another comes.
    fn stretch(&self, generation: Generation, now: Instant) -> u64 {
        match self {
            Record::Time(window) => window.stretch(generation.number(), now),
            Record::Due(window) => window.stretch(generation.number(), now),
            Record::Calls(_) => generation.number(),
        }
    }
}
