//! What is known of the present generation, and whether it suffices to open.

use axiomatic_core::time::Instant;
use axiomatic_core::window::{CountWindow, Counts, Observation, TimeWindow};

use super::Window;
use super::config::Shape;
use super::counter_cell::{Patience, Streak};
use super::policy::{Condition, Share};
use super::settings_cell::{Flags, Settings};
use super::state::Generation;

pub(super) struct Evidence {
    window: Record,
    streak: Streak,
    patience: Patience,
}

/// The window, in either of its kinds. The generation is its era.
enum Record {
    Time(TimeWindow),
    Calls(CountWindow),
}

impl Evidence {
    pub(super) fn new(window: Window) -> Self {
        Evidence {
            window: match window.0 {
                Shape::Time { span, buckets } => Record::Time(TimeWindow::last(span, buckets)),
                Shape::Calls(calls) => Record::Calls(CountWindow::last(calls)),
            },
            streak: Streak::new(),
            patience: Patience::new(),
        }
    }

    /// A call worked, in time: nothing to decide.
    #[inline(always)]
    pub(super) fn fine(&self, generation: Generation, now: Instant) {
        self.streak.succeeded(generation);
        self.window.record(generation, now, Observation::Fine);
    }

    /// A call worked, though not in time: no streak of failures any more.
    pub(super) fn ends_streak(&self, generation: Generation) {
        self.streak.succeeded(generation);
    }

    /// Records a call that failed or was slow, and says whether the evidence
    /// suffices now.
    pub(super) fn suffices_with(
        &self,
        generation: Generation,
        now: Instant,
        observation: Observation,
        flags: Flags,
        settings: &Settings,
    ) -> bool {
        self.window.record(generation, now, observation);
        let streak = if observation.is_failed() {
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

    /// Whether a rate is reached. The window is read only where that can be,
    /// so that a failure costs the same whatever the window holds.
    fn rate_is_reached(&self, generation: Generation, now: Instant, settings: &Settings) -> bool {
        let number = self.patience.number();
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
    #[inline(always)]
    fn record(&self, generation: Generation, now: Instant, observation: Observation) {
        match self {
            Record::Time(window) => window.record(generation.number(), now, observation),
            Record::Calls(window) => window.record(generation.number(), observation),
        }
    }

    /// Names a stretch in which the window's total does not shrink: in a
    /// window of calls, a call leaves only when another comes.
    fn stretch(&self, generation: Generation, now: Instant) -> u64 {
        match self {
            Record::Time(window) => window.stretch(generation.number(), now),
            Record::Calls(_) => generation.number(),
        }
    }
}
