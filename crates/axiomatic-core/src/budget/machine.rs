use std::fmt;
use std::thread::LocalKey;

use super::{Call, Class, ConfigError, Level, Spent, Token, UpdateError};
use crate::mode_cell::ModeCell;
use crate::number_cell::{Setting, Tally};
use crate::shared::{Held, Shared, Stash, Stashed};
use crate::time::Instant;
use crate::{Name, Outcome};

/// What a budget counts by: [`Deposits`](super::Deposits),
/// [`InFlight`](super::InFlight), [`Throttle`](super::Throttle) or
/// [`Costs`](super::Costs), each by its settings.
pub trait Model: Machine {}

/// How a model works. Sealed: whoever has a model of their own implements
/// [`Budget`](super::Budget).
#[expect(unnameable_types, reason = "it seals `Model`")]
pub trait Machine: Copy + fmt::Debug + Send + Sync + Sized + 'static {
    type Cells: fmt::Debug + Send + Sync;
    type Call: Call + Send + Sync + 'static;

    fn check(&self) -> Result<(), ConfigError>;
    fn cells(&self) -> Self::Cells;
    fn update(&self, cells: &Self::Cells) -> Result<(), UpdateError>;

    fn begin(core: &Shared<Core<Self>>, now: Instant) -> Self::Call;
    /// A call has ended.
    fn end(_: &Self::Cells) {}
    /// What the first attempt of a call did.
    fn first(_: &Self::Cells, _: Outcome) {}
    /// What an extra attempt did for which `taken` was taken.
    fn extra(_: &Self::Cells, _: Outcome, _taken: u32, _: Class) {}

    /// Takes what an extra attempt costs.
    fn take(cells: &Self::Cells, now: Instant, class: Class) -> Option<u32>;
    /// Whether it would be refused now, as far as can be told at the price of
    /// a load or two. `was_refused` says that somebody was, a moment ago.
    fn is_drained(cells: &Self::Cells, was_refused: bool) -> bool;
    /// Returns what was taken for an attempt that was not sent.
    fn give_back(cells: &Self::Cells, taken: u32);
    /// An extra attempt has ended.
    fn extra_ended(_: &Self::Cells) {}

    fn level(cells: &Self::Cells, now: Instant) -> Level;
    fn stash() -> &'static LocalKey<Stash<Core<Self>>>;
}

/// What the handles of a budget share.
#[expect(unnameable_types, reason = "the inside of `RetryBudget`")]
#[derive(Debug)]
pub struct Core<M: Machine> {
    pub(super) cells: M::Cells,
    pub(super) name: Name,
    pub(super) mode: ModeCell,
    /// Until when it counts as drained.
    pub(super) drained: Setting,
    pub(super) counts: Counts,
}

/// Counts for the operator, apart from what every call reads.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Counts {
    pub(super) granted: Tally,
    pub(super) returned: Tally,
    pub(super) refused: Tally,
    pub(super) would_refuse: Tally,
}

impl<M: Machine> Stashed for Core<M> {
    fn stash() -> &'static LocalKey<Stash<Self>> {
        M::stash()
    }
}

/// A call that deposited at its beginning, and needs nothing at its end.
#[derive(Debug)]
pub struct Deposited(pub(super) ());

impl Call for Deposited {
    const IS_DATED: bool = false;

    #[inline(always)]
    fn record(&mut self, _: Instant, _: Outcome) {}
}

/// A call under way, of a model that learns how it ends.
#[derive(Debug)]
#[must_use = "a call that is dropped has ended"]
pub struct UnderWay<M: Machine>(pub(super) Held<Core<M>>);

impl<M: Machine> Call for UnderWay<M> {
    // No model asks when.
    const IS_DATED: bool = false;

    #[inline]
    fn record(&mut self, _: Instant, outcome: Outcome) {
        M::first(&self.0.cells, outcome);
    }
}

impl<M: Machine> Drop for UnderWay<M> {
    #[inline]
    fn drop(&mut self) {
        M::end(&self.0.cells);
    }
}

/// The right to one extra attempt. Dropped, it is returned.
#[derive(Debug)]
#[must_use = "a token that is dropped is returned: `spend` it as the attempt is sent"]
pub struct ExtraToken<M: Machine>(Option<Stake<M>>);

/// An extra attempt under way. Dropped, it has ended, and nobody knows how.
#[derive(Debug)]
#[must_use = "it stands for the attempt: hold it until that has ended"]
pub struct SpentToken<M: Machine>(Option<Stake<M>>);

/// What was taken, if anything was.
#[derive(Debug)]
struct Stake<M: Machine> {
    core: Held<Core<M>>,
    taken: u32,
    class: Class,
}

impl<M: Machine> ExtraToken<M> {
    pub(super) fn free() -> Self {
        ExtraToken(None)
    }

    pub(super) fn new(core: Held<Core<M>>, taken: u32, class: Class) -> Self {
        ExtraToken(Some(Stake { core, taken, class }))
    }
}

impl<M: Machine> Token for ExtraToken<M> {
    type Spent = SpentToken<M>;

    fn spend(mut self) -> SpentToken<M> {
        SpentToken(self.0.take())
    }
}

impl<M: Machine> Drop for ExtraToken<M> {
    fn drop(&mut self) {
        if let Some(stake) = self.0.take() {
            M::give_back(&stake.core.cells, stake.taken);
            stake.core.counts.returned.count();
        }
    }
}

impl<M: Machine> Spent for SpentToken<M> {
    fn record(self, _: Instant, outcome: Outcome) {
        if let Some(stake) = &self.0 {
            M::extra(&stake.core.cells, outcome, stake.taken, stake.class);
        }
    }
}

impl<M: Machine> Drop for SpentToken<M> {
    fn drop(&mut self) {
        if let Some(stake) = &self.0 {
            M::extra_ended(&stake.core.cells);
        }
    }
}
