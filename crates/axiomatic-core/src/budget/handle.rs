use std::fmt;

use super::machine::{Core, Counts, ExtraToken, Model};
use super::{Budget, Class, ConfigError, Deposits, Exhausted, Snapshot, UpdateError};
use crate::mode_cell::ModeCell;
use crate::number_cell::{Setting, Tally};
use crate::shared::Shared;
use crate::time::Instant;
use crate::{Mode, Name};

/// A handle to a budget of one of the four models: clone it into every layer
/// that spends from it.
///
/// ```
/// use axiomatic_core::Ratio;
/// use axiomatic_core::budget::{Budget, Class, Deposits, RetryBudget};
/// use axiomatic_core::time::Instant;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let budget = RetryBudget::new("payment", Deposits::of(Ratio::percent(50)).floor(0))?;
/// let now = Instant::from_nanos(50_000_000_000);
/// for _ in 0..2 {
///     let _call = budget.begin(now);
/// }
/// drop(budget.try_extra(now, Class::Transient)?); // not sent: returned
/// assert_eq!(
///     budget.snapshot(now).to_string(),
///     "retry budget payment: 1 of 1 deposited; 1 granted, 1 returned, 0 refused"
/// );
/// # Ok(())
/// # }
/// ```
pub struct RetryBudget<M: Model>(Shared<Core<M>>);

impl<M: Model> RetryBudget<M> {
    /// A budget of its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which setting cannot work.
    pub fn new(name: impl Into<Name>, model: M) -> Result<Self, ConfigError> {
        model.check()?;
        Ok(Self::from_checked(name.into(), model))
    }

    fn from_checked(name: Name, model: M) -> Self {
        RetryBudget(Shared::new(Core {
            cells: model.cells(),
            name,
            mode: ModeCell::new(Mode::Enforce),
            drained: Setting::new(0),
            counts: Counts {
                granted: Tally::new(),
                returned: Tally::new(),
                refused: Tally::new(),
                would_refuse: Tally::new(),
            },
        }))
    }

    /// What it is called.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.0.mode.load()
    }

    /// Switches. Calls are counted in every mode, so that a budget that is
    /// switched on knows what there is.
    pub fn set_mode(&self, mode: Mode) {
        self.0.mode.store(mode);
    }

    /// Changes the settings, for the calls from now on; what was deposited or
    /// taken before stays as it was, up to a new cap.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if they cannot work, or change what is fixed. Then
    /// nothing was changed.
    pub fn update(&self, model: M) -> Result<(), UpdateError> {
        model.check()?;
        model.update(&self.0.cells)
    }

    /// What the budget is like at a moment.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let core = &*self.0;
        Snapshot {
            name: core.name,
            mode: core.mode.load(),
            level: M::level(&core.cells, now),
            granted: core.counts.granted.load(),
            returned: core.counts.returned.load(),
            refused: core.counts.refused.load(),
            would_refuse: core.counts.would_refuse.load(),
        }
    }

    /// Whether two handles share one budget.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }
}

impl<M: Model> Budget for RetryBudget<M> {
    type Call = M::Call;
    type Token = ExtraToken<M>;

    #[inline(always)]
    fn begin(&self, now: Instant) -> M::Call {
        M::begin(&self.0, now)
    }

    fn try_extra(&self, now: Instant, class: Class) -> Result<ExtraToken<M>, Exhausted> {
        let core = &*self.0;
        let mode = core.mode.load();
        if mode == Mode::Off || class == Class::Unsent {
            return Ok(ExtraToken::free());
        }
        if let Some(taken) = M::take(&core.cells, now, class) {
            core.counts.granted.count();
            return Ok(ExtraToken::new(self.0.hold(), taken, class));
        }
        if mode == Mode::Shadow {
            core.counts.would_refuse.count();
            return Ok(ExtraToken::free());
        }
        core.counts.refused.count();
        core.drained
            .store(now.as_nanos().saturating_add(DRAINED_FOR));
        Err(Exhausted::of(core.name))
    }

    #[inline]
    fn is_drained(&self, now: Instant) -> bool {
        // Who asks by the coarse clock is some milliseconds behind whoever was
        // refused; time that stepped back by more finds an end that is too
        // far.
        let after = now.as_nanos().wrapping_add(1);
        let was_refused = self.0.drained.load().wrapping_sub(after) < DRAINED_FOR + TICK;
        self.0.mode.load() == Mode::Enforce && M::is_drained(&self.0.cells, was_refused)
    }
}

/// For so many nanoseconds a refusal is remembered, for the models that can
/// make something of it; by a
/// coarse clock, until its next tick but one at most. What is deposited
/// meanwhile is spent afterwards, so mostly the moment of extra attempts
/// changes, and not their number. Longer, and a burst that begins with a
/// failure would be over before its deposits count: with 10 ms, 500 calls on
/// loopback of which 50 failed had one retry of 50 (`examples/retry.rs`).
const DRAINED_FOR: u64 = 2_000_000;

/// The longest tick of a coarse clock: Linux at 100 Hz.
const TICK: u64 = 10_000_000;

impl Default for RetryBudget<Deposits> {
    /// A budget of its own of 20 %, as [`Deposits::default`] says, without a
    /// name.
    fn default() -> Self {
        // A test checks the default settings as `new` would.
        Self::from_checked(Name::UNNAMED, Deposits::default())
    }
}

impl<M: Model> Clone for RetryBudget<M> {
    fn clone(&self) -> Self {
        RetryBudget(self.0.clone())
    }
}

impl<M: Model> fmt::Debug for RetryBudget<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RetryBudget").field(&*self.0).finish()
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use crate::budget::machine::Machine;

    #[test]
    fn the_default_settings_can_work() {
        assert_eq!(Deposits::default().check(), Ok(()));
    }
}
