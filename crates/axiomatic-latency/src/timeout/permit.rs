use axiomatic_core::context::{Context, Deadline};
use axiomatic_core::shared::Held;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Name, Outcome, Pattern, Reason, Rejected};

use super::adaptive::Observed;

/// Leave to wait for one call until a deadline.
///
/// What became of the call it has to be told only if the timeout is adaptive,
/// and then in any case: [`record`](Permit::record),
/// [`cancelled`](Permit::cancelled), or [`elapsed`](Permit::elapsed). Of one
/// that is dropped instead, nothing is learnt.
#[must_use = "a permit says until when to wait"]
#[derive(Debug)]
pub struct Permit {
    pub(super) deadline: Deadline,
    pub(super) origin: Origin,
    pub(super) needs_timer: bool,
    pub(super) mode: Mode,
    pub(super) name: Name,
    pub(super) observation: Option<Observation>,
}

/// A call whose latency is wanted.
#[derive(Debug)]
pub(super) struct Observation {
    pub(super) began: Instant,
    pub(super) by: Held<Observed>,
}

/// Where a deadline comes from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From further out, where it is as early.
    Inherited,
    /// From this timeout.
    Own,
    /// The same, in place of one that has passed and is not believed.
    Instead,
}

impl Permit {
    /// Until when.
    #[inline]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Whether it takes a timer of its own: not if a layer further out
    /// enforces a deadline as early, and not if the timeout was off.
    #[inline]
    pub fn needs_timer(&self) -> bool {
        self.needs_timer
    }

    /// Whether the deadline is to be handed inward: it was made here, or
    /// begins to be enforced here.
    #[inline]
    pub fn changes_context(&self) -> bool {
        self.needs_timer && self.mode == Mode::Enforce
    }

    /// The context that is to be handed inward, of the one that came.
    #[inline]
    pub fn hand_inward(&self, context: Context) -> Context {
        if !self.changes_context() {
            return context;
        }
        let context = match self.origin {
            Origin::Inherited | Origin::Own => context,
            Origin::Instead => context.without_deadline(),
        };
        context.with_deadline(self.deadline.armed())
    }

    /// Tells that the deadline has passed.
    ///
    /// # Errors
    ///
    /// [`Reason::Elapsed`], the answer of a call that is given up; none in
    /// shadow, where the call goes on, nor off, where it is not even reported.
    pub fn elapsed(&mut self) -> Result<(), Rejected> {
        if self.mode == Mode::Off {
            return Ok(());
        }
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "axiomatic::timeout",
            name = self.name.as_str(),
            mode = %self.mode,
            "elapsed"
        );
        match self.mode {
            Mode::Enforce => {
                self.cut_short(self.deadline.instant());
                Err(Rejected::new(Pattern::Timeout, Reason::Elapsed).with_name(self.name))
            }
            Mode::Shadow | Mode::Off => Ok(()),
        }
    }

    /// Tells what became of the call, and when.
    #[inline]
    pub fn record(mut self, now: Instant, outcome: Outcome) {
        self.settle(now, outcome);
    }

    /// Tells that nobody waits for the call any more.
    #[inline]
    pub fn cancelled(mut self, now: Instant) {
        self.cut_short(now);
    }

    /// Whether anybody wants to know what becomes of the call.
    #[cfg(feature = "tokio")]
    #[inline(always)]
    pub(super) fn is_observed(&self) -> bool {
        self.observation.is_some()
    }

    #[inline]
    pub(super) fn settle(&mut self, now: Instant, outcome: Outcome) {
        if let Some(Observation { began, by }) = self.observation.take() {
            by.record(began, now, outcome);
        }
    }

    #[inline]
    pub(super) fn cut_short(&mut self, now: Instant) {
        if let Some(Observation { began, by }) = self.observation.take() {
            by.cut_short(began, now);
        }
    }
}
