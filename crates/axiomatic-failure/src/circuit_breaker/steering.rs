//! What an adaptive breaker needs to see beside the window: its own refusals,
//! and whose turn it is to take a step.

use std::time::Duration;

use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::time::Instant;
use axiomatic_core::window::{Counts, Observation, TimeWindow};
use axiomatic_core::{Mode, Ratio};

use super::adaptive::Seen;
use super::config::Shape;
use super::generation::Generation;
use super::state::Phase;
use super::turns_cell::Pace;
use super::{Adaptive, Config};

pub(super) struct Steering {
    refusals: TimeWindow,
    pace: Pace,
    mode: ModeCell,
}

impl Steering {
    pub(super) fn new(config: &Config) -> Self {
        let (span, buckets) = match config.window.0 {
            Shape::Time { span, buckets } => (span, buckets),
            // A configuration with a window of calls does not get here.
            Shape::Due { span } => (span, 10),
            Shape::Calls(_) => (Duration::ZERO, 1),
        };
        Steering {
            refusals: if config.compact {
                TimeWindow::compact(span, buckets)
            } else {
                TimeWindow::last(span, buckets)
            },
            pace: Pace::new(),
            mode: ModeCell::new(Mode::Enforce),
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode.load()
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.mode.store(mode);
    }

    /// A call was refused for the sake of the share.
    pub(super) fn refused(&self, generation: Generation, now: Instant) {
        self.refusals
            .record(generation.number(), now, Observation::Fine);
    }

    pub(super) fn is_due(&self, now: Instant, every: Duration) -> bool {
        self.pace.is_due(now, every)
    }

    /// The share to refuse from now on.
    pub(super) fn next(
        &self,
        adaptive: &Adaptive,
        phase: Phase,
        counts: &Counts,
        bad: u64,
        now: Instant,
    ) -> Ratio {
        if self.mode.is_off() {
            return Ratio::ZERO;
        }
        let refusals = self.refusals.counts(phase.generation.number(), now);
        adaptive.next(&Seen {
            calls: counts.total(),
            bad,
            refused: refusals.total(),
            refusing: phase.thinned(),
        })
    }
}
