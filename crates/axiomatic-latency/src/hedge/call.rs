use std::fmt;
use std::time::Duration;

use axiomatic_core::budget::{Budget, Call as _, Class, Deposits, RetryBudget, Spent, Token};
use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::shared::Held;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Outcome};

use super::hedge::Core;

/// One call, with both of its attempts.
///
/// It is told what becomes of each, once. Dropped, it has ended.
#[must_use = "it wants to know how the first attempt ends"]
pub struct Call<Bu: Budget = RetryBudget<Deposits>> {
    core: Held<Core>,
    budget: Bu::Call,
    began: Instant,
    /// In nanoseconds; [`NEVER`] if there is to be no second attempt.
    delay: u64,
}

/// Leave to send a second attempt. Dropped, it goes back to the budget.
#[must_use = "a permit that is dropped is returned: `send` it as the attempt is sent"]
pub struct Permit<Bu: Budget = RetryBudget<Deposits>> {
    core: Held<Core>,
    token: Bu::Token,
    class: Class,
    after: Duration,
}

/// A second attempt under way. Dropped, it has ended, and nobody knows how.
#[must_use = "it wants to know how the attempt ends"]
pub struct Attempt<Bu: Budget = RetryBudget<Deposits>> {
    core: Held<Core>,
    spent: <Bu::Token as Token>::Spent,
    sent: Instant,
}

const NEVER: u64 = u64::MAX;

impl<Bu: Budget> Call<Bu> {
    #[inline(always)]
    pub(super) fn begin(core: Held<Core>, budget: &Bu, now: Instant) -> Self {
        let call = budget.begin(now);
        let delay = if budget.is_drained(now) {
            None
        } else {
            core.delay()
        };
        Call {
            budget: call,
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
                core.counts.would_hedge.count();
                core.telemetry.would_hedge(class, now - self.began);
                None
            }
            Mode::Enforce => match core.budget::<Bu>().try_extra(now, class) {
                Ok(token) => Some(Permit {
                    core: self.core.clone(),
                    token,
                    class,
                    after: now - self.began,
                }),
                Err(_) => {
                    core.counts.refused.count();
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
        self.core.learn(self.began, now, outcome);
    }

    /// Tells that the first attempt was dropped without an answer: it takes
    /// at least as long as it took until now.
    #[cold]
    pub fn lost(&mut self, now: Instant) {
        self.core.learn_at_least(self.began, now);
    }

    #[cfg(feature = "tokio")]
    #[inline(always)]
    pub(super) fn core(&self) -> &Core {
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
        self.core.counts.hedged.count();
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
        let is_answer = matches!(outcome, Outcome::Success | Outcome::Permanent);
        self.ended(now, outcome, is_answer);
    }

    /// The same, of an attempt of which is known whether the caller gets it.
    pub(super) fn ended(self, now: Instant, outcome: Outcome, is_answer: bool) {
        if is_answer {
            self.core.counts.won.count();
            self.core.telemetry.won();
        }
        self.spent.record(now, outcome);
        self.core.learn(self.sent, now, outcome);
    }

    /// Tells that the attempt was dropped without an answer.
    pub fn lost(self, now: Instant) {
        self.core.learn_at_least(self.sent, now);
    }
}

impl Core {
    /// How long an answer took. A failure is none: an answer would have taken
    /// at least as long. One that is quicker than what is known says nothing,
    /// or an outage of quick failures would be all there is to learn from. Nor
    /// does a refusal.
    #[inline(always)]
    fn learn(&self, began: Instant, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Success | Outcome::Permanent => {
                if let Some(latencies) = &self.latencies {
                    latencies.record_nanos(now, nanos_between(began, now));
                }
            }
            Outcome::Transient | Outcome::Throttled { .. } => {
                let known = self
                    .latencies
                    .as_ref()
                    .and_then(LatencyHistogram::watched_nanos);
                if known.is_some_and(|known| nanos_between(began, now) >= known) {
                    self.learn_at_least(began, now);
                }
            }
            Outcome::Ignored => {}
        }
    }

    #[cold]
    fn learn_at_least(&self, began: Instant, now: Instant) {
        if let Some(latencies) = &self.latencies {
            latencies.record_at_least(now, now - began);
        }
    }
}

/// Without a `Duration`, which costs a division.
#[inline(always)]
fn nanos_between(began: Instant, now: Instant) -> u64 {
    now.as_nanos().saturating_sub(began.as_nanos())
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
