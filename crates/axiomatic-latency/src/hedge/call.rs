use std::fmt;
use std::time::Duration;

use axiomatic_core::budget::{Budget, Call as _, Class, Deposits, RetryBudget, Spent, Token};
use axiomatic_core::shared::Lent;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Outcome};

use super::hedge::Core;

/// One call, with both of its attempts.
///
/// It is told what becomes of each, once. Dropped, it has ended.
#[must_use = "it wants to know how the first attempt ends"]
pub struct Call<Bu: Budget = RetryBudget<Deposits>> {
    core: Lent<Core<Bu>>,
    budget: Bu::Call,
    began: Instant,
    /// In nanoseconds; [`NEVER`] if there is to be no second attempt.
    delay: u64,
}

/// Leave to send a second attempt. Dropped, it goes back to the budget.
#[must_use = "a permit that is dropped is returned: `send` it as the attempt is sent"]
pub struct Permit<Bu: Budget = RetryBudget<Deposits>> {
    core: Lent<Core<Bu>>,
    token: Bu::Token,
    class: Class,
    after: Duration,
}

/// A second attempt under way. Dropped, it has ended, and nobody knows how.
#[must_use = "it wants to know how the attempt ends"]
pub struct Attempt<Bu: Budget = RetryBudget<Deposits>> {
    core: Lent<Core<Bu>>,
    spent: <Bu::Token as Token>::Spent,
    sent: Instant,
}

const NEVER: u64 = u64::MAX;

impl<Bu: Budget> Call<Bu> {
    #[inline(always)]
    pub(super) fn begin(core: Lent<Core<Bu>>, now: Instant) -> Self {
        let budget = core.budget.begin(now);
        let delay = if core.budget.is_drained(now) {
            None
        } else {
            core.delay()
        };
        Call {
            budget,
            began: now,
            delay: delay.unwrap_or(NEVER),
            core,
        }
    }

    /// When it began.
    #[inline(always)]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// When the first attempt is slow, and a second may be asked for. None
    /// while too little is known of the latencies, and while the budget has
    /// nothing left: then neither need anything be prepared for one.
    #[inline(always)]
    pub fn fires_at(&self) -> Option<Instant> {
        let at = self.began.as_nanos().saturating_add(self.delay);
        (self.delay != NEVER).then(|| Instant::from_nanos(at))
    }

    /// Asks for a second attempt: [`Class::Hedge`] says that the first is
    /// slow, another class how it failed. None if the budget has nothing
    /// left, or the hedge does not act on its decisions, which it counts.
    #[cold]
    pub fn admit(&self, now: Instant, class: Class) -> Option<Permit<Bu>> {
        let core = &*self.core;
        match core.settings.mode.load() {
            Mode::Off => None,
            Mode::Shadow => {
                core.would_hedge.count();
                core.telemetry.would_hedge(class, now - self.began);
                None
            }
            Mode::Enforce => match core.budget.try_extra(now, class) {
                Ok(token) => Some(Permit {
                    core: self.core.clone(),
                    token,
                    class,
                    after: now - self.began,
                }),
                Err(_) => {
                    core.refused.count();
                    core.telemetry.refused();
                    None
                }
            },
        }
    }

    /// Tells how the first attempt ended.
    #[inline(always)]
    pub fn record(&mut self, now: Instant, outcome: Outcome) {
        self.budget.record(now, outcome);
        self.core.learn(now, now - self.began, outcome);
    }

    /// Tells that the first attempt was dropped without an answer: it takes
    /// at least as long as it took until now.
    #[cold]
    pub fn lost(&mut self, now: Instant) {
        self.core.learn_at_least(now, now - self.began);
    }

    #[cfg(feature = "tokio")]
    #[inline(always)]
    pub(super) fn core(&self) -> &Core<Bu> {
        &self.core
    }

    /// Whether it matters when the first attempt ended, which was pending or
    /// not.
    #[cfg(feature = "tokio")]
    #[inline(always)]
    pub(super) fn is_timed(&self, was_pending: bool) -> bool {
        <Bu::Call as axiomatic_core::budget::Call>::IS_DATED
            || was_pending && self.core.latencies.is_some()
    }
}

impl<Bu: Budget> Permit<Bu> {
    /// The attempt is sent.
    pub fn send(self, now: Instant) -> Attempt<Bu> {
        self.core.hedged.count();
        self.core.telemetry.hedged(self.class, self.after);
        Attempt {
            core: self.core,
            spent: self.token.spend(),
            sent: now,
        }
    }
}

impl<Bu: Budget> Attempt<Bu> {
    /// Tells how the attempt ended.
    pub fn record(self, now: Instant, outcome: Outcome) {
        if matches!(outcome, Outcome::Success | Outcome::Permanent) {
            self.core.won.count();
            self.core.telemetry.won();
        }
        self.spent.record(now, outcome);
        self.core.learn(now, now - self.sent, outcome);
    }

    /// Tells that the attempt was dropped without an answer.
    pub fn lost(self, now: Instant) {
        self.core.learn_at_least(now, now - self.sent);
    }
}

impl<Bu> Core<Bu> {
    /// How long an answer took. A failure is none: an answer would have taken
    /// at least as long. A refusal says nothing.
    #[inline(always)]
    fn learn(&self, now: Instant, took: Duration, outcome: Outcome) {
        match outcome {
            Outcome::Success | Outcome::Permanent => {
                if let Some(latencies) = &self.latencies {
                    latencies.record(now, took);
                }
            }
            Outcome::Transient | Outcome::Throttled { .. } => self.learn_at_least(now, took),
            Outcome::Ignored => {}
        }
    }

    fn learn_at_least(&self, now: Instant, elapsed: Duration) {
        if let Some(latencies) = &self.latencies {
            latencies.record_at_least(now, elapsed);
        }
    }
}

impl<Bu: Budget> fmt::Debug for Call<Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("hedge", &self.core.name)
            .field("fires_at", &self.fires_at())
            .finish_non_exhaustive()
    }
}

impl<Bu: Budget> fmt::Debug for Permit<Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("hedge", &self.core.name)
            .finish_non_exhaustive()
    }
}

impl<Bu: Budget> fmt::Debug for Attempt<Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("hedge", &self.core.name)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
