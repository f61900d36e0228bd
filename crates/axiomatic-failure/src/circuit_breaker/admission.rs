//! How a call is let in, or not.

use std::time::Duration;

use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Pattern, Ratio, Reason, Rejected};

use super::cell::Word;
use super::mechanism::Core;
use super::state::{Answer, Event, Phase, Stance};
use super::ticket::Ticket;

impl Core {
    /// Asks, for a call with a slow threshold of its own or without. The
    /// clock is read only if the answer depends on the time.
    #[inline(always)]
    pub(super) fn admit(&self, now: impl Fn() -> Instant, own: Option<Duration>) -> Ticket {
        if self.front.call.mode.is_off() {
            return Ticket::UNRECORDED;
        }
        let word = self.front.cell.look();
        if !word.is_closed() {
            return self.admit_unless_closed(word, &now, own);
        }
        if !self.measures_slowness() {
            return Ticket::call(word, None, None);
        }
        let now = now();
        let due = self.due(now, own);
        if !self.front.call.flags().sees_in_flight() {
            return Ticket::call(word, None, Some(due));
        }
        self.admit_seen(word, now, due, own)
    }

    /// Lets a call pass that is watched while it is under way.
    #[inline(never)]
    fn admit_seen(&self, word: Word, now: Instant, due: Instant, own: Option<Duration>) -> Ticket {
        let generation = word.generation();
        if self.evidence.begins_step(generation, now) {
            return self.admit_after_looking(word, now, own);
        }
        let seat = self.evidence.begin(generation, now, due);
        Ticket::call(word, seat, Some(due))
    }

    #[cold]
    fn admit_after_looking(&self, word: Word, now: Instant, own: Option<Duration>) -> Ticket {
        self.time_has_passed(word.generation(), now);
        self.admit_unless_closed(self.front.cell.look(), &|| now, own)
    }

    /// Whether calls are slow from some time on.
    #[inline(always)]
    pub(super) fn measures_slowness(&self) -> bool {
        self.front.call.measures_slowness()
    }

    /// From when on a call that begins now is slow.
    #[inline(always)]
    fn due(&self, now: Instant, own: Option<Duration>) -> Instant {
        match own {
            Some(threshold) => now + threshold,
            None => {
                let threshold = self.front.call.slow_after();
                Instant::from_nanos(now.as_nanos().saturating_add(threshold))
            }
        }
    }

    #[inline(never)]
    fn admit_unless_closed(
        &self,
        word: Word,
        now: &dyn Fn() -> Instant,
        own: Option<Duration>,
    ) -> Ticket {
        let ticket = match self.still_open(word, now) {
            Some(refused) => refused,
            None => self.ask(word.phase(), now, own),
        };
        if ticket.is_refused() && self.front.call.mode.load() == Mode::Shadow {
            self.would_refuse();
            return Ticket::UNRECORDED;
        }
        ticket
    }

    pub(super) fn would_refuse(&self) {
        self.would_refuse.count();
        self.telemetry.would_refuse();
    }

    /// The common answer of an open breaker, without entering the loop:
    /// refusing is a look.
    #[inline(always)]
    fn still_open(&self, word: Word, clock: impl Fn() -> Instant) -> Option<Ticket> {
        let end = word.open_until()?;
        let now = self.local(clock());
        (now < end).then(|| Ticket::refused_until(end, now))
    }

    #[inline(never)]
    fn ask(&self, phase: Phase, clock: &dyn Fn() -> Instant, own: Option<Duration>) -> Ticket {
        if phase.stance == Stance::ForcedOpen {
            return Ticket::refused(None);
        }
        let now = clock();
        if self.evidence.begins_step(phase.generation, now) {
            self.time_has_passed(phase.generation, now);
        } else if matches!(phase.stance, Stance::Thinning(_)) {
            self.steer(phase, now);
        }
        let (phase, answer) = self.step(now, None, |phase| Event::Asked {
            lease_ran_out: matches!(phase.stance, Stance::HalfOpen(_))
                && self.leases.ran_out(phase.generation, self.local(now)),
        });
        let due = self.measures_slowness().then(|| self.due(now, own));
        match answer {
            Answer::Probe => {
                let lease_ends = self.local(now) + self.lease(now, due);
                let slot = self.leases.claim(phase.generation, lease_ends);
                Ticket::probe(phase.generation, slot, due)
            }
            Answer::Refuse(wait) => Ticket::refused(wait),
            _ if phase.stance == Stance::ForcedClosed => Ticket::forced(phase.generation, due),
            _ if !self.is_in_turn(phase, now) => Ticket::refused(self.wait_in(phase, now)),
            _ => {
                let seat = due.and_then(|due| self.evidence.begin(phase.generation, now, due));
                Ticket::call(Word::of(phase), seat, due)
            }
        }
    }

    /// How long a probe may take: where slow calls are seen in flight, no
    /// longer than it takes to be a bad one.
    fn lease(&self, now: Instant, due: Option<Instant>) -> Duration {
        let lease = self.settings.half_open().lease;
        let flags = self.front.call.flags();
        match due {
            Some(due) if flags.sees_in_flight() && flags.judges_slowness() => lease.min(due - now),
            _ => lease,
        }
    }

    /// Whether this call is one of the share that passes.
    fn is_in_turn(&self, phase: Phase, now: Instant) -> bool {
        let share = phase.admitting();
        if share == Ratio::ONE || self.turns.take(phase, share) {
            return true;
        }
        let Some(steering) = &self.steering else {
            return false;
        };
        if !matches!(phase.stance, Stance::Thinning(_)) {
            return false;
        }
        match steering.mode() {
            Mode::Enforce => {
                steering.refused(phase.generation, now);
                return false;
            }
            Mode::Shadow => self.would_refuse(),
            Mode::Off => {}
        }
        true
    }

    /// How long a call that is not in turn should wait: the rest of a ramp's
    /// stage. Nobody knows how long a controller will go on.
    fn wait_in(&self, phase: Phase, now: Instant) -> Option<Duration> {
        let Stance::Ramping(ramping) = phase.stance else {
            return None;
        };
        let ramp = self.settings.ramp()?;
        Some(ramping.since.instant(phase.generation) + ramp.stage - self.local(now))
    }

    /// The refusal that a call would meet now, without asking for one.
    #[inline(always)]
    pub(super) fn look(&self) -> Option<Ticket> {
        let word = self.front.cell.look();
        if word.is_closed() {
            return None;
        }
        self.look_unless_closed(word)
    }

    #[inline(never)]
    fn look_unless_closed(&self, word: Word) -> Option<Ticket> {
        if self.front.call.mode.load() != Mode::Enforce {
            return None;
        }
        self.still_open(word, || self.now())
            .or_else(|| self.look_unless_open(word.phase()))
    }

    #[inline(never)]
    fn look_unless_open(&self, phase: Phase) -> Option<Ticket> {
        let is_due = |generation| self.leases.ran_out(generation, self.local(self.now()));
        match phase.stance {
            // Whose turn it is shows when it asks.
            Stance::Closed
            | Stance::Ramping(_)
            | Stance::Thinning(_)
            | Stance::ForcedClosed
            | Stance::Open(_) => None,
            Stance::ForcedOpen => Some(Ticket::refused(None)),
            Stance::HalfOpen(probes) if probes.in_flight < self.settings.half_open().concurrent => {
                None
            }
            Stance::HalfOpen(_) if !is_due(phase.generation) => Some(Ticket::refused(None)),
            // Asking takes a place away from whoever is overdue. Should that
            // let this caller in, who only looked, the place is given back.
            Stance::HalfOpen(_) => {
                let ticket = self.ask(phase, &|| self.now(), None);
                self.forget(ticket);
                ticket.is_refused().then_some(ticket)
            }
        }
    }

    /// A refused ticket in words.
    #[inline]
    pub(super) fn rejected(&self, refused: Ticket) -> Rejected {
        self.telemetry.refused();
        let rejected =
            Rejected::new(Pattern::CircuitBreaker, Reason::Open).with_name(self.front.name);
        match refused.wait_nanos() {
            Some(wait) => rejected.with_retry_after_nanos(wait),
            None => rejected,
        }
    }
}
