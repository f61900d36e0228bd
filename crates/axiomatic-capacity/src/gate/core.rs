use std::fmt;
use std::thread::LocalKey;
use std::time::Duration;

use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{Setting, SpreadTally, Tally};
use axiomatic_core::shared::{Held, Shared, Stash, Stashed};
use axiomatic_core::time::{Clock, Instant, saturating_nanos};
use axiomatic_core::{Mode, Name, Reason, Rejected};

use super::excess_cell::Excess;
use super::telemetry::Telemetry;
use super::{Admission, Ask, Meter, OwnedPermit, Token, Waiting};
use crate::load_shed::prioritizer::Reports;
use crate::queue::Waiter;
use crate::slots::{Joined, MOST_SLOTS, Plan, Slots, Taken};

/// What a bulkhead and an adaptive limit share: slots, who waits for them,
/// a mode, counts for the operator. They differ in what they measure.
#[expect(
    unnameable_types,
    reason = "the inside of `Bulkhead` and `AdaptiveLimit`"
)]
pub struct Core<M> {
    pub(crate) slots: Slots,
    pub(crate) mode: ModeCell,
    pub(crate) name: Name,
    /// In nanoseconds.
    pub(crate) max_wait: Setting,
    pub(crate) excess: Excess,
    pub(crate) refused: SpreadTally,
    pub(crate) would_refuse: Tally,
    pub(crate) telemetry: Telemetry,
    pub(crate) meter: M,
    reports: Reports,
    clock: Clock,
}

/// What cores are made by.
pub(crate) struct Parts {
    pub(crate) name: Name,
    pub(crate) mode: Mode,
    pub(crate) plan: Plan,
    pub(crate) max_wait: Duration,
    pub(crate) reports: Reports,
    /// One of thousands, on one line of memory.
    pub(crate) compact: bool,
}

impl<M: Meter> Core<M> {
    pub(crate) fn new(parts: &Parts, meter: M) -> Self {
        Core {
            slots: Slots::new(&parts.plan),
            mode: ModeCell::new(parts.mode),
            name: parts.name,
            max_wait: Setting::new(saturating_nanos(parts.max_wait)),
            excess: Excess::new(),
            refused: if parts.compact {
                SpreadTally::compact()
            } else {
                SpreadTally::new()
            },
            would_refuse: Tally::new(),
            telemetry: Telemetry::new(M::PATTERN, parts.name, parts.plan.limit, !parts.compact),
            meter,
            reports: parts.reports.clone(),
            clock: parts.plan.clock.clone(),
        }
    }

    /// Asks for slots that are free.
    #[inline(always)]
    pub(crate) fn admit(&self, line: u16, weight: u32) -> Result<Token, Rejected> {
        if self.mode.load() != Mode::Enforce {
            return Ok(self.admit_unenforced(line, weight));
        }
        match self.slots.try_take(line, weight) {
            Some(taken) => Ok(Token::of(taken)),
            None => Err(self.turn_away(Reason::Full)),
        }
    }

    /// In shadow, who would be refused is let in and counted apart.
    #[cold]
    fn admit_unenforced(&self, line: u16, weight: u32) -> Token {
        if self.mode.is_off() {
            return Token::NOTHING;
        }
        match self.slots.try_take(line, weight) {
            Some(taken) => Token::of(taken),
            None => self.would_refuse(weight),
        }
    }

    /// In shadow: lets in, and counts apart.
    pub(crate) fn would_refuse(&self, weight: u32) -> Token {
        self.meter.turned_away();
        self.would_refuse.count();
        self.telemetry.would_refuse();
        self.excess.begin(weight);
        Token::excess(weight)
    }

    /// Asks for slots, and has a place in the queue if there are none. In
    /// shadow nobody waits.
    #[inline(always)]
    pub(crate) fn admit_or_wait(
        this: &Shared<Self>,
        line: u16,
        ask: Ask,
    ) -> Result<Admission<M>, Rejected> {
        let weight = ask.weight.get();
        let token = if this.mode.load() != Mode::Enforce {
            this.admit_unenforced(line, weight)
        } else {
            match this.slots.try_take(line, weight) {
                Some(taken) => Token::of(taken),
                None => return Self::wait(this, line, ask),
            }
        };
        Ok(Admission::Admitted(OwnedPermit::begin(this.hold(), token)))
    }

    #[inline(never)]
    fn wait(this: &Shared<Self>, line: u16, ask: Ask) -> Result<Admission<M>, Rejected> {
        let now = this.clock.now();
        let patience = now.as_nanos().saturating_add(this.max_wait.load());
        let mut waiter = Waiter {
            line,
            level: ask.priority.as_u8(),
            weight: ask.weight.get(),
            until: Instant::from_nanos(patience),
            too_late: Reason::WaitedTooLong,
        };
        if let Some(deadline) = ask.deadline.filter(|it| it.instant() < waiter.until) {
            waiter.until = deadline.instant();
            waiter.too_late = Reason::Expired;
        }
        match this.slots.join(waiter, now) {
            Joined::Granted(taken) => {
                let permit = OwnedPermit::begin(this.hold(), Token::of(taken));
                Ok(Admission::Admitted(permit))
            }
            Joined::Refused(reason) => Err(this.turn_away(reason)),
            Joined::Waiting(ticket) => {
                this.meter.turned_away();
                Ok(Admission::Waiting(Waiting::new(
                    this.hold(),
                    ticket,
                    waiter,
                )))
            }
        }
    }

    /// A slot came for one who waited until then: too late, perhaps.
    pub(crate) fn granted(&self, taken: Taken, waiter: &Waiter) -> Result<Token, Rejected> {
        if self.clock.now() < waiter.until {
            return Ok(Token::of(taken));
        }
        self.slots.give_back(taken);
        Err(self.refuse(waiter.too_late))
    }

    /// Refuses a call that found no slot.
    #[inline(always)]
    pub(crate) fn turn_away(&self, reason: Reason) -> Rejected {
        self.meter.turned_away();
        self.refuse(reason)
    }

    /// Refuses a call, and counts it.
    #[inline]
    pub(crate) fn refuse(&self, reason: Reason) -> Rejected {
        self.refused.count();
        self.reports.turned_away();
        self.telemetry.refused(reason);
        self.rejected(reason)
    }

    /// A refusal in words.
    #[inline]
    pub(crate) fn rejected(&self, reason: Reason) -> Rejected {
        Rejected::new(M::PATTERN, reason).with_name(self.name)
    }

    /// Whether a call would be refused now that does not wait.
    #[inline(always)]
    pub(crate) fn is_full(&self, line: u16) -> bool {
        self.mode.load() == Mode::Enforce && self.slots.is_full(line)
    }

    /// Gives back what a call had.
    #[inline(always)]
    pub(crate) fn give_back(&self, token: Token) {
        match token.taken() {
            Some(taken) => self.slots.give_back(taken),
            None => self.forget(token),
        }
    }

    #[cold]
    fn forget(&self, token: Token) {
        self.excess.end(token.excess_weight());
    }

    /// Changes the limit, to what there can be at most, and says why.
    pub(crate) fn resize(&self, limit: u32, why: &'static str) {
        let limit = limit.clamp(1, MOST_SLOTS);
        self.slots.resize(limit);
        self.telemetry.resized(limit, why);
    }
}

impl<M: Meter> Stashed for Core<M> {
    fn stash() -> &'static LocalKey<Stash<Self>> {
        M::stash()
    }
}

impl<M: Meter> fmt::Debug for Core<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("name", &self.name)
            .field("limit", &self.slots.limit())
            .field("taken", &self.slots.taken())
            .finish_non_exhaustive()
    }
}

/// A reference to a core for the time of a call.
pub(crate) type HeldCore<M> = Held<Core<M>>;
