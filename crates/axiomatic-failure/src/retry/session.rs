use std::fmt;
use std::time::Duration;

use axiomatic_core::backoff;
use axiomatic_core::budget::{Budget, Call, Class, Spent, Token};
use axiomatic_core::shared::Lent;
use axiomatic_core::time::Instant;
use axiomatic_core::{Context, Mode, Outcome};

use super::config::Settings;
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
    core: Lent<Core<Bu>>,
    call: Bu::Call,
    paid: Paid<Bu>,
    waits: backoff::Session,
    /// Until when there is time; the end of time if nobody said.
    deadline: Instant,
    /// When the attempt began, of a call that is measured.
    began: Option<Instant>,
    attempt: u32,
    was_unsent: bool,
    repeats: Repeats,
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
    Drained,
}

/// What stands for the present attempt in the budget.
enum Paid<Bu: Budget> {
    /// The first one is the call's own.
    First,
    /// There may be another.
    Token(Bu::Token),
    /// It is under way.
    Spent(<Bu::Token as Token>::Spent),
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
    #[inline]
    pub(super) fn begin(core: Lent<Core<Bu>>, context: &Context, now: Instant) -> Self {
        let deadline = context.deadline();
        Session {
            call: core.budget.begin(now),
            paid: Paid::First,
            waits: core.waits(),
            deadline: deadline.map_or(NEVER, |deadline| deadline.instant()),
            began: deadline.is_some().then_some(now),
            attempt: 1,
            was_unsent: false,
            repeats: match context.retried_by() {
                None => Repeats::Yes,
                Some(_) => Repeats::ByAnother,
            },
            core,
        }
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The context of this attempt: with its number, and with the name of
    /// this retry for those further in, which then leave the call alone.
    pub fn mark(&self, context: Context) -> Context {
        context
            .with_attempt(self.attempt)
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
    pub fn is_anothers(&self) -> bool {
        self.repeats == Repeats::ByAnother
    }

    /// Tells how the attempt ended.
    pub fn record(&mut self, now: Instant, ended: &Ended) -> Verdict {
        self.record_reading(|_| now, ended)
    }

    /// The same, with a clock that is read only if the answer depends on it.
    #[inline]
    pub(super) fn record_reading(
        &mut self,
        now: impl Fn(&Core<Bu>) -> Instant,
        ended: &Ended,
    ) -> Verdict {
        if ended.outcome == Outcome::Success && self.attempt == 1 {
            let now = if self.began.is_some() || <Bu::Call as Call>::IS_DATED {
                now(&self.core)
            } else {
                NEVER
            };
            self.measure(now);
            self.call.record(now, Outcome::Success);
            return Verdict::Return;
        }
        let now = now(&self.core);
        self.judge(now, ended)
    }

    #[cold]
    fn judge(&mut self, now: Instant, ended: &Ended) -> Verdict {
        match std::mem::replace(&mut self.paid, Paid::First) {
            Paid::Spent(spent) => spent.record(now, ended.outcome),
            Paid::First | Paid::Token(_) => self.call.record(now, ended.outcome),
        }
        if ended.outcome == Outcome::Success {
            self.measure(now);
            self.core.tallies.recovered.count();
            self.core.telemetry.recovered();
        }
        if self.is_anothers() {
            return Verdict::Return;
        }
        let settings = self.core.settings();
        let progress = Progress {
            made: self.attempt,
            was_unsent: self.was_unsent,
        };
        let step = step(ended, progress, &settings);
        let (class, after) = match (step, self.repeats) {
            (Step::Return, _) => return Verdict::Return,
            (Step::GiveUp(why), _) => return self.give_up(why),
            (_, Repeats::Drained) => return self.give_up(GaveUp::Budget),
            (_, Repeats::Unrepeatable | Repeats::ByAnother) => {
                return self.give_up(GaveUp::Unrepeatable);
            }
            (Step::AtOnce, Repeats::Yes) => {
                self.was_unsent = true;
                (Class::Unsent, Duration::ZERO)
            }
            (Step::Again(class, hint), Repeats::Yes) => {
                (class, settings.backoff.wait(&mut self.waits, hint))
            }
        };
        self.ask(now, class, after, &settings)
    }

    /// Whether there is time, and then, whether the budget grants it.
    fn ask(&mut self, now: Instant, class: Class, after: Duration, settings: &Settings) -> Verdict {
        if !is_in_time(
            self.deadline - now,
            after,
            self.core.least_attempt(settings),
        ) {
            return self.give_up(GaveUp::Deadline);
        }
        match self.core.mode.load() {
            Mode::Enforce => {}
            Mode::Off => return Verdict::Return,
            Mode::Shadow => {
                self.core.tallies.would_retry.count();
                self.core.telemetry.would_retry();
                return Verdict::Return;
            }
        }
        match self.core.budget.try_extra(now, class) {
            Ok(token) => {
                self.paid = Paid::Token(token);
                self.core.telemetry.again(class, self.attempt, after);
                Verdict::Again { after }
            }
            Err(_) => self.give_up(GaveUp::Budget),
        }
    }

    fn give_up(&self, why: GaveUp) -> Verdict {
        self.core.gave_up(why, self.attempt);
        Verdict::GiveUp(why)
    }

    /// Starts the attempt that [`record`](Session::record) allowed, if there
    /// is still time for it once it can be sent.
    pub fn start_attempt(&mut self, now: Instant) -> bool {
        let Paid::Token(token) = std::mem::replace(&mut self.paid, Paid::First) else {
            return false;
        };
        let least = self.core.least_attempt(&self.core.settings());
        if !is_in_time(self.deadline - now, Duration::ZERO, least) {
            drop(token);
            self.core.gave_up(GaveUp::Deadline, self.attempt);
            return false;
        }
        self.paid = Paid::Spent(token.spend());
        self.attempt += 1;
        self.began = self.began.map(|_| now);
        self.core.tallies.retried.count();
        true
    }

    /// A good attempt has ended.
    #[inline]
    fn measure(&self, now: Instant) {
        if let Some(began) = self.began {
            self.core.typical.record(now, now - began);
        }
    }

    pub(super) fn core(&self) -> &Core<Bu> {
        &self.core
    }
}

const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl<Bu: Budget> fmt::Debug for Session<Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("retry", &self.core.name)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
