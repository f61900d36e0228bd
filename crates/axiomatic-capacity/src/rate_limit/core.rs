//! What the handles share.

use std::num::NonZeroU32;
use std::sync::PoisonError;

use axiomatic_core::hash::mix;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{Setting, SpreadTally};
use axiomatic_core::sync::{Mutex, MutexGuard};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Pattern, Reason, Rejected};

use super::holes::Holes;
use super::line::{self, Grant};
use super::rule::{Ask, Rule, Verdict, steady};
use super::telemetry::Telemetry;
use super::terms::{Flow, Terms};
use super::word_cell::{Step, Word};
use super::{ConfigError, Inheritance, Quota, Standing, WhenLimited};

#[derive(Debug)]
pub(crate) struct Core {
    word: Word,
    rule: Rule,
    pub(crate) mode: ModeCell,
    pub(crate) name: Name,
    pub(crate) clock: Clock,
    pub(crate) when_limited: WhenLimited,
    pub(crate) refused: SpreadTally,
    pub(crate) would_refuse: SpreadTally,
    telemetry: Telemetry,
    /// Taken by whoever changes terms, and by nobody who asks.
    quota: Mutex<Quotas>,
    /// The quota that was heard last, so that the lock is left alone by who
    /// hears the same once more.
    heard: Setting,
    /// Taken by whoever gives back, and while there are any by whoever finds
    /// nothing left.
    holes: Mutex<Holes>,
    /// Whether there may be any.
    has_holes: Setting,
}

/// The quota that is kept, and what nobody else may raise it above.
#[derive(Debug)]
struct Quotas {
    kept: Quota,
    most: Quota,
}

/// What was granted, to be given back.
#[expect(unnameable_types, reason = "what a gate takes is nobody's business")]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    grant: Grant,
    /// From when on it is good.
    pub(crate) due: Instant,
    pub(crate) cells: u32,
    /// None of what was let in without a grant: in shadow, or switched off.
    generation: Option<u8>,
}

const STEADY: Rule = Rule::Line(Flow::Steady);

/// Why there is no grant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Lack {
    Until(Instant),
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
            quota: Mutex::new(Quotas {
                kept: quota,
                most: quota,
            }),
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
        if self.rule == STEADY
            && let Some((generation, grant)) = self.word.grant(|terms| steady(terms, now, cells))
        {
            return Ok(Taken {
                grant,
                due: now,
                cells,
                generation: Some(generation),
            });
        }
        self.admit_otherwise(now, cells)
    }

    /// By another algorithm, or where nothing is left.
    #[inline(never)]
    fn admit_otherwise(&self, now: Instant, cells: u32) -> Result<Taken, Rejected> {
        // Said by itself, so that it is made for it: refusals are to be cheap.
        let decided = if self.rule == STEADY {
            self.decide(now, cells, |terms, state| {
                STEADY.take(terms, state, now, cells)
            })
        } else {
            let rule = self.rule;
            self.decide(now, cells, |terms, state| {
                rule.take(terms, state, now, cells)
            })
        };
        decided.or_else(|lack| {
            let ask = Ask {
                cells,
                until: now,
                most_ahead: 0,
            };
            self.lacks(now, &ask, lack)
        })
    }

    /// Takes so much, now or for later.
    pub(crate) fn reserve(&self, now: Instant, ask: &Ask) -> Result<Taken, Rejected> {
        if self.mode.is_off() {
            return Ok(Taken::nothing(now, ask.cells));
        }
        if self.mode.load() == Mode::Shadow {
            // Nobody waits in shadow.
            return self.admit(now, ask.cells);
        }
        // What others left is sooner than what is behind everybody.
        if let Some(taken) = self.fill(now, ask) {
            return Ok(taken);
        }
        let rule = self.rule;
        self.decide(now, ask.cells, |terms, state| {
            rule.reserve(terms, state, now, ask)
        })
        .or_else(|lack| self.lacks(now, ask, lack))
    }

    /// What may be put off as far as the limit is configured to, and no further
    /// than `until`.
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

    /// Takes a place that somebody gave up.
    fn fill(&self, now: Instant, ask: &Ask) -> Option<Taken> {
        if self.has_holes.load() == 0 {
            return None;
        }
        let mut holes = self.lock_holes();
        let (generation, terms) = self.enter(&mut holes);
        let time = self.rule.line_at(&terms, now)?;
        let units = terms.units_of(ask.cells);
        if units > terms.burst {
            return None;
        }
        let mut due = now;
        let end = holes.take(units, time, |end| {
            let grant = Grant { end, units };
            due = self.rule.due(&terms, now, grant);
            let ahead = grant.ready(terms.burst).saturating_sub(time);
            due <= ask.until && ahead <= terms.units_of(ask.most_ahead)
        });
        self.has_holes.store(u64::from(!holes.is_empty()));
        Some(Taken {
            grant: Grant { end: end?, units },
            due,
            cells: ask.cells,
            generation: Some(generation),
        })
    }

    fn lock_holes(&self) -> MutexGuard<'_, Holes> {
        self.holes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The terms under which these are places from now on.
    fn enter(&self, holes: &mut Holes) -> (u8, Terms) {
        let entered = self
            .word
            .decide(|generation, terms, _| Step::Stay((generation, *terms)));
        holes.enter(entered.0);
        entered
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
            return Err(self.refuse(now, lack));
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

    /// Begins the terms anew, unless another just has.
    #[cold]
    fn renew(&self, now: Instant) {
        self.renew_by(&self.lock_quotas().kept, now);
    }

    fn renew_by(&self, quota: &Quota, now: Instant) {
        let (terms, state) = self.word.look();
        let renewed = |terms: &Terms, state| self.rule.renewed(quota, terms, state, now);
        let Some((anew, _)) = renewed(&terms, state) else {
            return;
        };
        self.word.switch(&anew, |old, state| {
            // Somebody whose clock is behind may have been granted something
            // meanwhile that makes it look less idle. Nothing is left then.
            renewed(old, state)
                .map_or_else(|| self.rule.leave(&anew, 0, now, 0), |(_, state)| state)
        });
    }

    /// Somebody finds nothing left.
    #[cold]
    #[inline(never)]
    fn lacks(&self, now: Instant, ask: &Ask, lack: Lack) -> Result<Taken, Rejected> {
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

    fn refuse(&self, now: Instant, lack: Lack) -> Rejected {
        let reason = match self.when_limited {
            WhenLimited::Shed => Reason::Shed,
            WhenLimited::Reject | WhenLimited::Wait { .. } => Reason::Limited,
        };
        let rejected = self.turn_away(reason);
        match lack {
            Lack::Until(due) => {
                let wait = due.as_nanos().saturating_sub(now.as_nanos());
                rejected.with_retry_after_nanos(wait)
            }
            Lack::Forever => rejected,
        }
    }

    /// A refusal that is counted.
    pub(crate) fn turn_away(&self, reason: Reason) -> Rejected {
        self.refused.count();
        self.telemetry.refused(reason);
        self.rejected(reason)
    }

    /// A refusal in words that is counted as nothing.
    pub(crate) fn rejected(&self, reason: Reason) -> Rejected {
        Rejected::new(Pattern::RateLimiter, reason).with_name(self.name)
    }

    /// What was granted and is not used. The last in line leaves no place
    /// behind; of others it is kept for who comes next.
    pub(crate) fn give_back(&self, now: Instant, taken: Taken) {
        let Some(granted) = taken.generation else {
            return;
        };
        let mut holes = self.lock_holes();
        self.enter(&mut holes);
        let end = taken.grant.end;
        let start = taken.grant.start();
        let kept = self.word.decide(|generation, terms, state| {
            if generation != granted {
                return Step::Stay(None);
            }
            match self.rule.line_at(terms, now) {
                None if self.rule.is_over(terms, state, now) => Step::Stay(None),
                None => Step::To(self.rule.uncount(terms, state, now, taken.grant), None),
                Some(_) if state == end => Step::To(start, None),
                // Behind the end, where somebody put back more than that.
                Some(time) => Step::Stay((state > end).then_some(time)),
            }
        });
        match kept {
            Some(time) => holes.add(start, end, time),
            None => self.retreat(&mut holes, granted, start),
        }
        self.has_holes.store(u64::from(!holes.is_empty()));
    }

    /// Cuts off the place that the line now ends with, if there is one.
    fn retreat(&self, holes: &mut Holes, of: u8, end: u64) {
        let start = holes.retreat(end);
        if start == end {
            return;
        }
        let is_cut = self.word.decide(|generation, _, state| {
            if generation == of && state == end {
                Step::To(start, true)
            } else {
                Step::Stay(false)
            }
        });
        if !is_cut {
            // Somebody came behind it meanwhile.
            holes.add(start, end, 0);
        }
    }

    /// Nothing that was given up is left.
    fn forget_holes(&self) {
        if self.has_holes.load() > 0 {
            self.lock_holes().clear();
            self.has_holes.store(0);
        }
    }

    /// Puts so many back.
    pub(crate) fn refund(&self, now: Instant, cells: u32) {
        if self.rule == Rule::Sliding {
            self.put(now, |terms, state| {
                self.rule.refund(terms, state, now, cells)
            });
            return;
        }
        // What was given up is free already, and what the line no longer
        // reaches is not kept besides.
        let mut holes = self.lock_holes();
        let (entered, _) = self.enter(&mut holes);
        let end = self.word.decide(|generation, terms, state| {
            let mut units = terms.units_of(cells);
            if generation == entered {
                units = holes.behind(state, units);
            }
            let end = match self.rule.line_at(terms, now) {
                Some(time) => line::refund(state, time, units),
                None => state,
            };
            Step::To(end, end)
        });
        holes.cut(end);
        self.has_holes.store(u64::from(!holes.is_empty()));
    }

    /// Leaves at most so many.
    pub(crate) fn leave(&self, now: Instant, cells: u32) {
        self.forget_holes();
        self.put(now, |terms, state| {
            self.rule.leave(terms, state, now, cells)
        });
    }

    /// Changes the state, under terms that have room for what it becomes.
    fn put(&self, now: Instant, state_of: impl Fn(&Terms, u64) -> u64) {
        loop {
            let is_put = self.word.decide(|_, terms, state| {
                if self.rule.is_over(terms, state, now) {
                    Step::Stay(false)
                } else {
                    Step::To(state_of(terms, state), true)
                }
            });
            if is_put {
                return;
            }
            self.renew(now);
        }
    }

    /// Leaves nothing until then. The terms stay, and are of another
    /// generation: what was granted before is not given back, so that it does
    /// not end the pause.
    pub(crate) fn pause(&self, now: Instant, until: Instant) {
        let quotas = self.lock_quotas();
        self.renew_by(&quotas.kept, now);
        let (terms, _) = self.word.look();
        self.word.switch(&terms, |terms, state| {
            self.rule.pause(terms, state, now, until)
        });
    }

    /// Changes the quota.
    pub(crate) fn update(
        &self,
        now: Instant,
        quota: Quota,
        inheritance: Inheritance,
    ) -> Result<(), ConfigError> {
        self.rule.check(&quota)?;
        {
            let mut quotas = self.lock_quotas();
            quotas.most = quota;
            self.keep(&mut quotas, now, quota, inheritance);
            self.heard.store(0);
        }
        self.telemetry.updated(&quota);
        Ok(())
    }

    /// Changes it to what somebody else says, as far as that is no more than
    /// it was configured to be and can be kept.
    pub(crate) fn lower(&self, now: Instant, told: Quota) {
        // Two that are told apart are nearly never equal here, and one that is
        // missed is told again.
        let period = u64::try_from(told.period().as_nanos()).unwrap_or(u64::MAX);
        let heard = mix(mix(period) ^ u64::from(told.count().get()));
        if self.heard.load() == heard || told.check().is_err() {
            return;
        }
        let lowered = {
            let mut quotas = self.lock_quotas();
            let mut quota = told.within(&quotas.most);
            if self.rule.is_window() {
                quota = quota.as_window();
            }
            self.heard.store(heard);
            if quota == quotas.kept || self.rule.check(&quota).is_err() {
                return;
            }
            self.keep(&mut quotas, now, quota, Inheritance::AsIs);
            quota
        };
        self.telemetry.updated(&lowered);
    }

    fn keep(&self, quotas: &mut Quotas, now: Instant, quota: Quota, inheritance: Inheritance) {
        let (terms, state) = self.word.look();
        let changed = if self.rule.is_cold_at(&terms, state, now) {
            // Nobody has asked, and so it stays cold.
            Terms::asleep(&quota)
        } else {
            self.renew_by(&quotas.kept, now);
            let (terms, _) = self.word.look();
            self.rule.changed(&terms, &quota, now)
        };
        self.word.switch(&changed, |old, state| {
            self.rule
                .inherited((old, state), &changed, inheritance, now)
        });
        quotas.kept = quota;
    }

    fn lock_quotas(&self) -> MutexGuard<'_, Quotas> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn quota(&self) -> Quota {
        self.lock_quotas().kept
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
    fn nothing(now: Instant, cells: u32) -> Self {
        Taken {
            grant: Grant { end: 0, units: 0 },
            due: now,
            cells,
            generation: None,
        }
    }
}
