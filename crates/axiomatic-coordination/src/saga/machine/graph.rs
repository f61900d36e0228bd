//! The steps of a saga and what each depends on, without what they do.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::backoff::Backoff;

/// A step of a [`Graph`], by its number in the order of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StepNo(pub(crate) u16);

impl StepNo {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The steps, each behind all that it depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) steps: Vec<Spec>,
}

/// What is known of a step without running it.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) name: Arc<str>,
    pub(crate) class: Class,
    pub(crate) work: Work,
    /// What must be done before, without repetitions.
    pub(crate) after: Vec<StepNo>,
    /// What depends on it.
    pub(crate) before: Vec<StepNo>,
    /// It has an undo.
    pub(crate) undo: Undo,
    pub(crate) has_probe: bool,
    pub(crate) retry: Retry,
    pub(crate) undo_retry: Retry,
    /// How long an attempt, or an undo, may take.
    pub(crate) timeout: Duration,
}

/// What becomes of a step when the saga turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// It can be undone.
    Compensatable,
    /// When it is done there is no way back.
    Pivot,
    /// It is tried until it is done.
    Retriable,
}

/// Where a step's effect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// Elsewhere.
    Foreign,
    /// In the saga's database: it commits with the log.
    Local,
    /// Nowhere: it waits for a time.
    Sleep(Duration),
    /// Nowhere: it waits for a signal of its name.
    Signal(Option<Duration>),
    /// In the saga's database, where it stands in line for locks.
    Lock,
    /// Elsewhere, for each item of a list, so many at once.
    Each(u32),
}

/// Whether a step is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Undo {
    /// There is nothing to undo.
    Nothing,
    /// If it was done, or may have been.
    Effects,
    /// Also if it is known to have failed.
    EvenFailed,
}

/// How often something is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    /// At most; for ever if 0.
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
}

impl Work {
    /// It has no effect.
    pub(crate) const fn only_waits(self) -> bool {
        matches!(self, Work::Sleep(_) | Work::Signal(_))
    }

    /// It ends at a time.
    pub(crate) const fn minds_time(self) -> bool {
        matches!(self, Work::Sleep(_) | Work::Signal(Some(_)))
    }
}

impl Graph {
    pub(crate) fn spec(&self, step: StepNo) -> &Spec {
        &self.steps[step.index()]
    }

    pub(crate) fn numbers(&self) -> impl DoubleEndedIterator<Item = StepNo> + use<> {
        // A builder refuses more.
        (0..self.steps.len() as u16).map(StepNo)
    }

    pub(crate) fn find(&self, name: &str) -> Option<StepNo> {
        let at = self.steps.iter().position(|spec| &*spec.name == name)?;
        Some(StepNo(at as u16))
    }
}

impl Retry {
    /// Whether this many attempts were all.
    pub(crate) const fn is_exhausted(&self, attempts: u32) -> bool {
        self.attempts != 0 && attempts >= self.attempts
    }

    /// How long to wait after this attempt, the first being 1: the same
    /// whenever it is asked with this seed.
    pub(crate) fn pause(&self, attempt: u32, seed: u64) -> Duration {
        // Backoffs reach their longest wait long before.
        let nth = attempt.clamp(1, 64) as usize - 1;
        let mut delays = self.backoff.seeded(seed ^ u64::from(attempt));
        delays.nth(nth).unwrap_or(Duration::ZERO)
    }
}
