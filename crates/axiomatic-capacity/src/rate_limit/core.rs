//! What the handles share, and how a call is asked for. What was granted is given
//! back in `returns`, and the quota changes in `changes`.

use std::num::NonZeroU32;

use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{Setting, SpreadTally};
use axiomatic_core::sync::Mutex;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Pattern, Reason, Rejected};

use super::changes::Quotas;
use super::holes::Holes;
use super::line::Grant;
use super::rule::{Ask, Rule, Verdict, steady};
use super::telemetry::Telemetry;
use super::terms::{Flow, Terms};
use super::word_cell::{Answer, Look, Step, Word};
use super::{Quota, Standing, WhenLimited};
use crate::load_shed::prioritizer::Reports;

#[derive(Debug)]
pub(crate) struct Core {
    pub(super) word: Word,
    pub(super) rule: Rule,
    pub(crate) mode: ModeCell,
    pub(crate) name: Name,
    pub(crate) clock: Clock,
    pub(crate) when_limited: WhenLimited,
    pub(crate) refused: SpreadTally,
    pub(crate) would_refuse: SpreadTally,
    pub(super) telemetry: Telemetry,
    reports: Reports,
    /// Taken by whoever changes terms, and by nobody who asks.
    pub(super) quota: Mutex<Quotas>,
    /// The quota that was heard last, so that the lock is left alone by who
    /// hears the same once more.
    pub(super) heard: Setting,
    /// Taken by whoever gives back, and while there are any by whoever finds
    /// nothing left.
    pub(super) holes: Mutex<Holes>,
    /// Whether there may be any.
    pub(super) has_holes: Setting,
}

/// What was granted, to be given back.
#[expect(unnameable_types, reason = "what a gate takes is nobody's business")]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub(super) grant: Grant,
    /// From when on it is good.
    pub(crate) due: Instant,
    pub(crate) cells: u32,
    /// None of what was let in without a grant: in shadow, or switched off.
    pub(super) generation: Option<u8>,
}

const STEADY: Rule = Rule::Line(Flow::Steady);

/// Why there is no grant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Lack {
    Until(Instant),
    Forever,
}

/// What a refusal has to say. It comes in registers, and is told in words where
/// it is looked at: to read as a whole what was just written to memory in parts
/// takes longer than all the rest.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// For so many nanoseconds, if nobody else comes.
    For(u64),
    Forever,
}

impl Core {
    pub(crate) fn new(
        name: Name,
        quota: Quota,
        rule: Rule,
        when_limited: WhenLimited,
        mode: Mode,
        clock: Clock,
        reports: Reports,
    ) -> Self {
        Core {
            word: Word::new(&rule.first_terms(&quota), 0),
            rule,
            mode: ModeCell::new(mode),
            name,
            clock,
            when_limited,
            refused: SpreadTally::new(),
            would_refuse: SpreadTally::new(),
            telemetry: Telemetry::new(name, &quota),
            reports,
            quota: Mutex::new(Quotas::new(quota)),
            heard: Setting::new(0),
            holes: Mutex::new(Holes::new()),
            has_holes: Setting::new(0),
        }
    }

    /// Takes so much, if it is there.
    #[inline(always)]
    pub(crate) fn admit(&self, now: Instant, cells: u32) -> Result<Taken, Rejected> {
        if self.mode.is_off() {
            return Ok(Taken::nothing(now, cells));
        }
        if self.rule == STEADY {
            match self.word.grant(|terms| steady(terms, now, cells)) {
                Answer::Granted(generation, grant) => {
                    return Ok(Taken::at_once(now, cells, generation, grant));
                }
                Answer::TooLong(look, end) => {
                    if let Some(wait) = self.wait_at_end(now, look, end) {
                        let rejected = self.turn_away(self.reason());
                        return Err(rejected.with_retry_after_nanos(wait));
                    }
                }
                Answer::Unclear => {}
            }
        }
        self.admit_otherwise(now, cells)
            .map_err(|refusal| self.told(refusal))
    }

    /// For how long a steady line refuses that would end there. None, if it does
    /// not, or not by these terms.
    #[inline(never)]
    fn wait_at_end(&self, now: Instant, look: Look, end: u64) -> Option<u64> {
        if self.has_holes.load() > 0 || self.mode.load() != Mode::Enforce {
            return None;
        }
        let due = |terms: &Terms| terms.steady_when(end.saturating_sub(terms.burst));
        let due = self.word.confirm(look, due)?;
        Some(due.as_nanos().saturating_sub(now.as_nanos()))
    }

    /// By another algorithm, or where terms change.
    #[inline(never)]
    fn admit_otherwise(&self, now: Instant, cells: u32) -> Result<Taken, Refusal> {
        let rule = self.rule;
        self.decide(now, cells, |terms, state| {
            rule.take(terms, state, now, cells)
        })
        .or_else(|lack| self.lacks(now, &Ask::at_once(now, cells), lack))
    }

    /// Takes so much, now or for later.
    #[inline]
    pub(crate) fn reserve(&self, now: Instant, ask: &Ask) -> Result<Taken, Rejected> {
        if self.mode.is_off() {
            return Ok(Taken::nothing(now, ask.cells));
        }
        if self.mode.load() == Mode::Shadow {
            // Nobody waits in shadow.
            return self.admit(now, ask.cells);
        }
        if self.rule == STEADY
            && self.has_holes.load() == 0
            && let Answer::Granted(generation, grant) =
                self.word.grant(|terms| steady(terms, now, ask.cells))
        {
            return Ok(Taken::at_once(now, ask.cells, generation, grant));
        }
        self.reserve_otherwise(now, ask)
    }

    /// By another algorithm, for later, or in a place that was given up.
    #[inline(never)]
    fn reserve_otherwise(&self, now: Instant, ask: &Ask) -> Result<Taken, Rejected> {
        // What others left is sooner than what is behind everybody.
        if let Some(taken) = self.fill(now, ask) {
            return Ok(taken);
        }
        let rule = self.rule;
        self.decide(now, ask.cells, |terms, state| {
            rule.reserve(terms, state, now, ask)
        })
        .or_else(|lack| self.lacks(now, ask, lack))
        .map_err(|refusal| self.told(refusal))
    }

    /// What may be put off as far as the limit is configured to, and no further
    /// than `until`.
    #[inline]
    pub(crate) fn ask(&self, now: Instant, until: Option<Instant>, cost: NonZeroU32) -> Ask {
        let (most, most_ahead) = match self.when_limited {
            WhenLimited::Wait {
                max_wait,
                max_waiting,
            } => (now + max_wait, max_waiting.get()),
            WhenLimited::Reject | WhenLimited::Shed => (now, 0),
        };
        Ask {
            cells: cost.get(),
            until: until.map_or(most, |until| until.min(most)),
            most_ahead,
        }
    }

    /// Whether there is something, without taking it.
    pub(crate) fn peek(&self, now: Instant, cells: u32) -> Result<(), Rejected> {
        // Whether a place is long enough that somebody gave up, who takes it
        // finds out.
        if self.mode.load() != Mode::Enforce || self.has_holes.load() > 0 {
            return Ok(());
        }
        loop {
            let (terms, state) = self.word.look();
            let lack = match self.rule.take(&terms, state, now, cells) {
                Verdict::Granted(..) => return Ok(()),
                Verdict::Spent(due) => Lack::Until(due),
                Verdict::TooMuch => Lack::Forever,
                Verdict::Renew => {
                    self.renew(now);
                    continue;
                }
            };
            return Err(self.told(self.refuse(now, lack)));
        }
    }

    #[inline(always)]
    fn decide(
        &self,
        now: Instant,
        cells: u32,
        verdict: impl Fn(&Terms, u64) -> Verdict,
    ) -> Result<Taken, Lack> {
        loop {
            let decided =
                self.word
                    .decide(|generation, terms, state| match verdict(terms, state) {
                        Verdict::Granted(state, grant, due) => {
                            let taken = Taken {
                                grant,
                                due,
                                cells,
                                generation: Some(generation),
                            };
                            Step::To(state, Ok(taken))
                        }
                        Verdict::Spent(due) => Step::Stay(Err(Some(Lack::Until(due)))),
                        Verdict::TooMuch => Step::Stay(Err(Some(Lack::Forever))),
                        Verdict::Renew => Step::Stay(Err(None)),
                    });
            match decided {
                Ok(taken) => return Ok(taken),
                Err(Some(lack)) => return Err(lack),
                Err(None) => self.renew(now),
            }
        }
    }

    /// Somebody finds nothing left.
    #[cold]
    #[inline(never)]
    fn lacks(&self, now: Instant, ask: &Ask, lack: Lack) -> Result<Taken, Refusal> {
        if let Some(taken) = self.fill(now, ask) {
            return Ok(taken);
        }
        if self.mode.load() == Mode::Shadow {
            self.would_refuse.count();
            self.telemetry.would_refuse();
            return Ok(Taken::nothing(now, ask.cells));
        }
        Err(self.refuse(now, lack))
    }

    /// Refuses, and counts it.
    fn refuse(&self, now: Instant, lack: Lack) -> Refusal {
        self.count_refusal(self.reason());
        match lack {
            Lack::Until(due) => Refusal::For(due.as_nanos().saturating_sub(now.as_nanos())),
            Lack::Forever => Refusal::Forever,
        }
    }

    /// A refusal in words.
    #[inline(always)]
    fn told(&self, refusal: Refusal) -> Rejected {
        let rejected = self.rejected(self.reason());
        match refusal {
            Refusal::For(wait) => rejected.with_retry_after_nanos(wait),
            Refusal::Forever => rejected,
        }
    }

    #[inline(always)]
    fn reason(&self) -> Reason {
        match self.when_limited {
            WhenLimited::Shed => Reason::Shed,
            WhenLimited::Reject | WhenLimited::Wait { .. } => Reason::Limited,
        }
    }

    /// A refusal that is counted.
    #[inline(always)]
    pub(crate) fn turn_away(&self, reason: Reason) -> Rejected {
        self.count_refusal(reason);
        self.rejected(reason)
    }

    #[inline(always)]
    fn count_refusal(&self, reason: Reason) {
        self.refused.count();
        self.reports.turned_away();
        self.telemetry.refused(reason);
    }

    /// A refusal in words that is counted as nothing.
    #[inline(always)]
    pub(crate) fn rejected(&self, reason: Reason) -> Rejected {
        Rejected::new(Pattern::RateLimiter, reason).with_name(self.name)
    }

    /// What is left. It takes nothing.
    pub(crate) fn standing(&self, now: Instant) -> Standing {
        let quota = self.quota();
        let (terms, state) = self.word.look();
        // As it would be for who asked now.
        let renewed = self.rule.renewed(&quota, &terms, state, now);
        let (terms, state) = renewed.unwrap_or((terms, state));
        let next = match self.rule.take(&terms, state, now, 1) {
            Verdict::Spent(due) => due,
            Verdict::Granted(..) | Verdict::TooMuch | Verdict::Renew => now,
        };
        Standing {
            quota,
            available: self.rule.available(&terms, state, now),
            next_after: next - now,
            more_after: self.rule.more_at(&terms, state, now) - now,
            full_after: self.rule.full_at(&terms, state, now) - now,
        }
    }
}

impl Taken {
    #[inline(always)]
    fn at_once(now: Instant, cells: u32, generation: u8, grant: Grant) -> Self {
        Taken {
            grant,
            due: now,
            cells,
            generation: Some(generation),
        }
    }

    fn nothing(now: Instant, cells: u32) -> Self {
        Taken {
            grant: Grant { end: 0, units: 0 },
            due: now,
            cells,
            generation: None,
        }
    }
}
