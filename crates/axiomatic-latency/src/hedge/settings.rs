use axiomatic_core::Mode;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{Setting, Tally};
use axiomatic_core::time::saturating_nanos;

use super::Delay;
use super::delay::Source;

/// The settings of a hedge, which change live, one word at a time: a call that
/// races with an update may see some of the old and some of the new.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) mode: ModeCell,
    /// In nanoseconds, as the others; what is learned instead is [`LEARNED`].
    fixed: Setting,
    shortest: Setting,
    longest: Setting,
}

const LEARNED: u64 = u64::MAX;

impl Settings {
    pub(super) fn new(delay: &Delay) -> Self {
        let settings = Settings {
            mode: ModeCell::new(Mode::Enforce),
            fixed: Setting::new(LEARNED),
            shortest: Setting::new(0),
            longest: Setting::new(0),
        };
        settings.store(delay);
        settings
    }

    pub(super) fn store(&self, delay: &Delay) {
        if let Source::Fixed(fixed) = delay.source {
            self.fixed.store(saturating_nanos(fixed).min(LEARNED - 1));
        }
        self.shortest.store(saturating_nanos(delay.bounds.shortest));
        self.longest.store(saturating_nanos(delay.bounds.longest));
    }

    /// The delay, if it is fixed or something was learned.
    #[inline(always)]
    pub(super) fn delay(&self, learned: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let delay = match self.fixed.load() {
            LEARNED => learned()?,
            fixed => fixed,
        };
        // Not by `clamp`, which panics if an update is seen by halves.
        Some(delay.min(self.longest.load()).max(self.shortest.load()))
    }
}

/// Counts for the operator, apart from what every call reads.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Counts {
    pub(super) hedged: Tally,
    pub(super) won: Tally,
    pub(super) refused: Tally,
    pub(super) would_hedge: Tally,
}

impl Counts {
    pub(super) fn new() -> Self {
        Counts {
            hedged: Tally::new(),
            won: Tally::new(),
            refused: Tally::new(),
            would_hedge: Tally::new(),
        }
    }
}
