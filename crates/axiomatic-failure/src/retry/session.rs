use std::fmt;
use std::time::Duration;

use axiomatic_core::backoff;
use axiomatic_core::budget::{Budget, Call, Class, Spent, Token};
use axiomatic_core::shared::Held;
use axiomatic_core::time::Instant;
use axiomatic_core::{Context, Mode, Outcome};

use super::retry::Core;
use super::step::{Progress, Step, is_in_time, step};
use super::{Ended, GaveUp};

/// One call, with all of its attempts.
///
/// It decides and counts; whoever holds it makes the attempts and waits.
/// Dropped at any point, what it took from the budget and did not use is
/// returned.
#[must_use = "it wants to know how the attempts end"]
pub struct Session<Bu: Budget> {
    core: Held<Core>,
    call: Bu::Call,
    /// When the present attempt began.
    began: Instant,
    /// Until when there is time; the end of time if nobody said, and then the
    /// call is not measured either.
    deadline: Instant,
    repeats: Repeats,
    /// None before an attempt has failed, which most calls never see; in a box,
    /// so that they do not carry its room about.
    extra: Option<Box<Extra<Bu>>>,
}

/// Whether there may be another attempt at all.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Repeats {
    Yes,
    /// A retry further out makes it.
    ByAnother,
    /// The request cannot be sent once more.
    Unrepeatable,
    /// The budget had nothing left when the request might have been kept.
    #[cfg(feature = "tokio")]
    Drained,
}

/// How a call goes on that failed once.
struct Extra<Bu: Budget> {
    paid: Paid<Bu>,
    waits: backoff::Session,
    attempt: u32,
    was_unsent: bool,
}

impl<Bu: Budget> Extra<Bu> {
    fn new() -> Self {
        Extra {
            paid: Paid::Ended,
            waits: backoff::Session::new(),
            attempt: 1,
            was_unsent: false,
        }
    }
}

/// What stands for an attempt that is not the first in the budget.
enum Paid<Bu: Budget> {
    /// There may be another.
    Token(Bu::Token),
    /// It is under way.
    Spent(<Bu::Token as Token>::Spent),
    /// It has ended.
    Ended,
}

/// What to do now that an attempt has ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[must_use = "it says whether to try again"]
pub enum Verdict {
    /// Return the result: it is good, or another attempt would change
    /// nothing.
    Return,
    /// Return the result: it is bad, and there is no other attempt.
    GiveUp(GaveUp),
    /// Wait, then start another attempt.
    Again {
        /// For how long.
        after: Duration,
    },
}

impl<Bu: Budget> Session<Bu> {
    #[inline(always)]
    pub(super) fn begin(core: Held<Core>, budget: &Bu, context: &Context, now: Instant) -> Self {
        Session {
            call: budget.begin(now),
            core,
            began: now,
            deadline: match context.deadline() {
                None => NEVER,
                Some(deadline) => deadline.instant(),
            },
            repeats: match context.retried_by() {
                None => Repeats::Yes,
                Some(_) => Repeats::ByAnother,
            },
            extra: None,
        }
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.extra.as_ref().map_or(1, |extra| extra.attempt)
    }

    /// The context of this attempt: with its number, and with the name of
    /// this retry for those further in, which then leave the call alone.
    pub fn mark(&self, context: Context) -> Context {
        context
            .with_attempt(self.attempt())
            .with_retried_by(self.core.name)
    }

    /// The request cannot be sent once more: however the attempt ends, there
    /// is no other.
    pub fn only_once(&mut self) {
        if self.repeats == Repeats::Yes {
            self.repeats = Repeats::Unrepeatable;
        }
    }

    /// The same, because nothing in the budget was left to keep the request
    /// for.
    #[cfg(feature = "tokio")]
    pub(super) fn forgo(&mut self) {
        self.repeats = Repeats::Drained;
    }

    /// Whether a retry further out repeats the call.
    #[inline]
    pub fn is_anothers(&self) -> bool {
        self.repeats == Repeats::ByAnother
    }

    /// Whether it is for this retry to repeat the call, and for none further
    /// in: also while there is nothing to do so with, since others should not
    /// add to the load then either.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.repeats, Repeats::Yes | Repeats::Drained)
    }

    /// Tells how the attempt ended.
    pub fn record(&mut self, now: Instant, ended: &Ended) -> Verdict {
        self.record_reading(|_| now, ended)
    }

    /// The same, with a clock that is read only if the answer depends on it.
    #[inline(always)]
    pub(super) fn record_reading(
        &mut self,
        now: impl Fn(&Core) -> Instant,
        ended: &Ended,
    ) -> Verdict {
        let is_dated = <Bu::Call as Call>::IS_DATED || self.deadline != NEVER;
        let may_be_first = self.extra.is_none();
        if may_be_first && ended.outcome == Outcome::Success {
            let now = if is_dated {
                now(&self.core)
            } else {
                self.began
            };
            self.measure(now);
            self.call.record(now, Outcome::Success);
            return Verdict::Return;
        }
        if may_be_first && !is_dated && self.repeats != Repeats::Yes {
            return self.judge(self.began, ended);
        }
        let now = now(&self.core);
        self.judge(now, ended)
    }

    #[inline(never)]
    fn judge(&mut self, now: Instant, ended: &Ended) -> Verdict {
        self.tell(now, ended.outcome);
        if self.is_anothers() || self.core.mode.load() == Mode::Off {
            return Verdict::Return;
        }
        let progress = Progress {
            made: self.attempt(),
            most: self.core.settings().attempts(),
            was_unsent: self.extra.as_ref().is_some_and(|extra| extra.was_unsent),
        };
        let step = step(ended, progress, self.core.settings().refusals());
        match (step, self.repeats) {
            (Step::Return, _) => Verdict::Return,
            (Step::GiveUp(why), _) => self.give_up(why),
            #[cfg(feature = "tokio")]
            (_, Repeats::Drained) => self.give_up(GaveUp::Budget),
            (_, Repeats::Unrepeatable | Repeats::ByAnother) => self.give_up(GaveUp::Unrepeatable),
            (Step::AtOnce, Repeats::Yes) => self.ask(now, Class::Unsent, None),
            (Step::Again(class, hint), Repeats::Yes) => self.ask(now, class, hint),
        }
    }

    /// Tells the budget what became of the attempt, and what a good one is
    /// worth beyond that.
    fn tell(&mut self, now: Instant, outcome: Outcome) {
        let Some(extra) = &mut self.extra else {
            return self.call.record(now, outcome);
        };
        match std::mem::replace(&mut extra.paid, Paid::Ended) {
            Paid::Spent(spent) => spent.record(now, outcome),
            Paid::Token(_) | Paid::Ended => {}
        }
        if outcome == Outcome::Success {
            self.measure(now);
            self.core.tallies.recovered.count();
            self.core.telemetry.recovered();
        }
    }

    /// Asks for another attempt: whether there is time, and then, whether the
    /// budget grants it.
    fn ask(&mut self, now: Instant, class: Class, hint: Option<Duration>) -> Verdict {
        // Into the box only once there is another attempt to keep them for.
        let mut waits = match &mut self.extra {
            Some(extra) => std::mem::take(&mut extra.waits),
            None => self.core.waits(),
        };
        let after = match class {
            Class::Unsent => Duration::ZERO,
            _ => self.core.settings().backoff().wait(&mut waits, hint),
        };
        if !is_in_time(self.deadline - now, after, self.core.least_attempt()) {
            return self.give_up(GaveUp::Deadline);
        }
        if self.core.mode.load() == Mode::Shadow {
            self.core.tallies.would_retry.count();
            self.core.telemetry.would_retry();
            return Verdict::Return;
        }
        let Ok(token) = self.core.budget::<Bu>().try_extra(now, class) else {
            return self.give_up(GaveUp::Budget);
        };
        self.core.telemetry.again(class, self.attempt(), after);
        let extra = self.extra.get_or_insert_with(|| Box::new(Extra::new()));
        extra.paid = Paid::Token(token);
        extra.waits = waits;
        extra.was_unsent |= class == Class::Unsent;
        Verdict::Again { after }
    }

    fn give_up(&self, why: GaveUp) -> Verdict {
        self.core.gave_up(why, self.attempt());
        Verdict::GiveUp(why)
    }

    /// Starts the attempt that [`record`](Session::record) allowed, if by now
    /// there still is time for it, and [a request](Session::only_once).
    pub fn start_attempt(&mut self, now: Instant) -> bool {
        let Some(extra) = &mut self.extra else {
            return false;
        };
        let token = match std::mem::replace(&mut extra.paid, Paid::Ended) {
            Paid::Token(token) => token,
            other => {
                extra.paid = other;
                return false;
            }
        };
        let least = self.core.least_attempt();
        let why = if self.repeats != Repeats::Yes {
            Some(GaveUp::Unrepeatable)
        } else if !is_in_time(self.deadline - now, Duration::ZERO, least) {
            Some(GaveUp::Deadline)
        } else {
            None
        };
        if let Some(why) = why {
            drop(token);
            self.core.gave_up(why, self.attempt());
            return false;
        }
        extra.paid = Paid::Spent(token.spend());
        extra.attempt += 1;
        self.began = now;
        self.core.tallies.retried.count();
        true
    }

    /// A good attempt has ended.
    #[inline(always)]
    fn measure(&self, now: Instant) {
        if self.deadline != NEVER {
            self.core.typical.record(now, now - self.began);
        }
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// Whether the call may be tried once more after this attempt.
    #[cfg(feature = "tokio")]
    pub(super) fn has_more(&self) -> bool {
        self.attempt() < self.core.settings().attempts()
    }
}

const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl<Bu: Budget> fmt::Debug for Session<Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("retry", &self.core.name)
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
