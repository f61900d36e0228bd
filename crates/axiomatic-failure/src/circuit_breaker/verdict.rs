//! What becomes of a call, and what follows from it.

use std::time::Duration;

use axiomatic_core::Outcome;
use axiomatic_core::time::Instant;
use axiomatic_core::window::{Counts, Observation, Seat};

use super::evidence::Call;
use super::generation::Generation;
use super::mechanism::Core;
use super::shares::Thinned;
use super::state::{Answer, Event, Phase, Stance, Verdict};
use super::ticket::{Admission, Ticket};

impl Core {
    /// Takes the verdict of a call.
    #[inline(always)]
    pub(super) fn settle(&self, ticket: Ticket, now: Instant, outcome: Outcome) {
        let is_good = matches!(outcome, Outcome::Success | Outcome::Permanent);
        let word = self.front.cell.look();
        let is_fine = is_good && ticket.is_call_of(word) && !ticket.is_slow(now);
        match ticket.seat() {
            _ if !is_fine => return self.settle_unless_fine(ticket, now, outcome),
            None => self.evidence.fine(word.generation(), now),
            Some(seat) => self.settle_seen(word.generation(), seat, ticket.due(), now),
        }
        if word.awaits_proof() {
            self.prove(word.generation());
        }
    }

    /// A call worked, which proves a stage of a ramp.
    #[inline(never)]
    fn prove(&self, generation: Generation) {
        let proved = |_| Event::Proved(generation);
        self.step_at(generation.began(), None, proved);
    }

    /// A call that was watched worked, in time.
    #[inline(always)]
    fn settle_seen(&self, generation: Generation, seat: Seat, due: Instant, now: Instant) {
        self.evidence.fine_seen(generation, seat, due, now);
        if self.evidence.begins_step(generation, now) {
            self.time_has_passed(generation, now);
        }
    }

    #[inline(never)]
    fn settle_unless_fine(&self, ticket: Ticket, now: Instant, outcome: Outcome) {
        let flags = self.front.call.flags();
        let (failed, hint) = match outcome {
            Outcome::Success | Outcome::Permanent => (false, None),
            Outcome::Transient => (true, None),
            Outcome::Throttled { retry_after } if flags.throttled_fails() => (true, retry_after),
            Outcome::Throttled { .. } | Outcome::Ignored => return self.forget(ticket),
        };
        let slow = ticket.is_slow(now);
        match ticket.admission() {
            Admission::Call(generation, seat) => {
                if !failed {
                    self.evidence.ends_streak(generation);
                }
                let bad = failed || slow && flags.judges_slowness();
                if !bad && self.front.cell.look().awaits_proof() {
                    self.prove(generation);
                }
                let call = Call {
                    generation,
                    seat,
                    due: ticket.due(),
                };
                self.settle_call(call, now, Observation::of(failed, slow), hint);
            }
            Admission::Probe(generation, slot) => {
                let bad = failed || slow && flags.judges_slowness();
                let verdict = if bad { Verdict::Bad } else { Verdict::Good };
                self.settle_probe(generation, slot, self.local(now), verdict, hint);
            }
            Admission::Unrecorded => {}
        }
    }

    /// Gives a permit back without a verdict. There is no clock here, and
    /// none is needed: nothing is decided.
    #[inline(always)]
    pub(super) fn forget(&self, ticket: Ticket) {
        if ticket.holds() {
            self.give_back(ticket);
        }
    }

    #[inline(never)]
    fn give_back(&self, ticket: Ticket) {
        match ticket.admission() {
            Admission::Probe(generation, slot) => {
                let began = generation.began();
                self.settle_probe(generation, slot, began, Verdict::Neutral, None);
            }
            Admission::Call(generation, seat) => self.evidence.forget(Call {
                generation,
                seat,
                due: ticket.due(),
            }),
            Admission::Unrecorded => {}
        }
    }

    /// The caller stopped waiting. If that took longer than a slow call does,
    /// it was one.
    pub(super) fn cancelled(&self, ticket: Ticket, now: Instant) {
        if !ticket.is_slow(now) {
            return self.forget(ticket);
        }
        match ticket.admission() {
            // It was no success, so it ends no streak either.
            Admission::Call(generation, seat) => {
                let call = Call {
                    generation,
                    seat,
                    due: ticket.due(),
                };
                self.settle_call(call, now, Observation::Slow, None);
            }
            Admission::Probe(generation, slot) if self.front.call.flags().judges_slowness() => {
                self.settle_probe(generation, slot, self.local(now), Verdict::Bad, None);
            }
            Admission::Probe(..) | Admission::Unrecorded => self.forget(ticket),
        }
    }

    fn settle_call(
        &self,
        call: Call,
        now: Instant,
        observation: Observation,
        hint: Option<Duration>,
    ) {
        // A result of an older generation is counted as late and decides
        // nothing. One that becomes old after this look is recorded in its
        // own era, which nobody reads any more.
        let phase = self.front.cell.load();
        if phase.generation != call.generation {
            return self.late.count();
        }
        self.evidence.record(call, now, observation);
        let flags = self.front.call.flags();
        let failed = observation.is_failed();
        if observation == Observation::Fine {
            return;
        }
        let suffices = self.is_over_guard(phase, now).unwrap_or_else(|| {
            self.evidence
                .suffices(call.generation, now, failed, flags, &self.settings)
        });
        self.conclude(phase, now, suffices, hint);
    }

    /// Calls that are under way may have become slow: judges by what is known
    /// at `now`.
    #[inline(never)]
    pub(super) fn time_has_passed(&self, generation: Generation, now: Instant) {
        let phase = self.front.cell.load();
        if phase.generation != generation {
            return;
        }
        let suffices = self.is_over_guard(phase, now).unwrap_or_else(|| {
            self.evidence
                .suffices_by_now(generation, now, &self.settings)
        });
        self.conclude(phase, now, suffices, None);
    }

    /// Opens, if the evidence suffices; otherwise an adaptive breaker steers.
    fn conclude(&self, phase: Phase, now: Instant, suffices: bool, hint: Option<Duration>) {
        if suffices {
            let trip = |_| Event::Tripped(phase.generation);
            self.step(now, hint, trip);
        } else {
            self.steer(phase, now);
        }
    }

    /// Whether more failed in a ramp than its guard forgives. None where there
    /// is no guard to ask: outside of a ramp, or if an operator has taken it
    /// away meanwhile.
    fn is_over_guard(&self, phase: Phase, now: Instant) -> Option<bool> {
        let Stance::Ramping(_) = phase.stance else {
            return None;
        };
        let ramp = self.settings.ramp()?;
        let counts = self.evidence.counts(phase.generation, now);
        Some(ramp.is_over_guard(&counts, self.bad_of(&counts)))
    }

    /// The calls that speak against the dependency.
    pub(super) fn bad_of(&self, counts: &Counts) -> u64 {
        if self.front.call.flags().judges_slowness() {
            counts.failed_or_slow()
        } else {
            counts.failed()
        }
    }

    /// A step of the controller, if there is one and its time has come.
    pub(super) fn steer(&self, phase: Phase, now: Instant) {
        let Some(steering) = &self.steering else {
            return;
        };
        let steers = matches!(phase.stance, Stance::Closed | Stance::Thinning(_));
        let adaptive = self.settings.adaptive();
        if !steers || !steering.is_due(now, adaptive.every) {
            return;
        }
        let counts = self.evidence.counts(phase.generation, now);
        let bad = self.bad_of(&counts);
        let refused = steering.next(&adaptive, phase, &counts, bad, now);
        if refused != phase.thinned() {
            let thinned = Thinned::by(refused);
            self.step(now, None, |_| Event::Steered(phase.generation, thinned));
        }
    }

    fn settle_probe(
        &self,
        generation: Generation,
        slot: Option<u8>,
        local: Instant,
        verdict: Verdict,
        hint: Option<Duration>,
    ) {
        // The slot before the place: whoever is given the place finds it.
        if let Some(slot) = slot {
            self.leases.release(generation, slot);
        }
        let (_, answer) = self.step_at(local, hint, |_| Event::Settled(generation, verdict));
        if answer == Answer::Late {
            self.late.count();
        }
    }
}
