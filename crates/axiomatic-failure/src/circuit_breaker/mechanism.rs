//! The breaker behind its handles: what is decided, in the order in which it
//! happens to a call. It is one file because admission, verdict and
//! transition share every field; the pure decision is in `state`, each atomic
//! in a cell.
//!
//! The path of a call that a closed breaker lets through and that works is
//! inlined whole, `inline(always)`, into its caller, and everything else is
//! kept out of it: 14 ns a call instead of 27, measured.

use std::sync::{Mutex, PoisonError};
use std::thread::LocalKey;
use std::time::Duration;

use axiomatic_core::hash::entropy;
use axiomatic_core::shared::{Stash, Stashed};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::window::Observation;
use axiomatic_core::{Mode, Name, Outcome, Pattern, Reason, Rejected};

use super::cell::{Cell, Word};
use super::counter_cell::{Origin, Reopenings, Statistic};
use super::evidence::Evidence;
use super::lease_cell::Leases;
use super::settings_cell::{CallSettings, Settings};
use super::state::{self, Answer, Event, Generation, Phase, Rules, Stance, State, Verdict};
use super::telemetry::Telemetry;
use super::ticket::{Admission, Ticket};
use super::{Config, Snapshot, UpdateError, Window};

/// What the handles share.
pub(super) struct Core {
    front: Front,
    evidence: Evidence,
    leases: Leases,
    settings: Settings,
    reopenings: Reopenings,
    /// One update at a time: their words must not interleave.
    updating: Mutex<()>,
    window: Window,
    seed: u64,
    late: Statistic,
    would_refuse: Statistic,
    telemetry: Telemetry,
}

/// What every call looks at: one cache line, written only by transitions.
#[repr(align(64))]
struct Front {
    cell: Cell,
    call: CallSettings,
    name: Name,
    clock: Option<Clock>,
    origin: Origin,
}

// The claim of one line, held. (Loom's atomics are larger.)
#[cfg(not(axiomatic_loom))]
const _: () = assert!(size_of::<Front>() == 64);

impl Stashed for Core {
    #[inline(always)]
    fn stash() -> &'static LocalKey<Stash<Self>> {
        thread_local!(static STASH: Stash<Core> = const { Stash::new() });
        &STASH
    }
}

impl Core {
    pub(super) fn new(config: &Config) -> Self {
        let now = config.clock.clone().unwrap_or(Clock::Coarse).now();
        let begun = Generation::beginning(Origin::BEGINNING);
        Core {
            front: Front {
                cell: Cell::new(Phase::closed(begun)),
                call: CallSettings::new(config),
                name: config.name,
                clock: config.clock.clone(),
                origin: Origin::new(now),
            },
            evidence: Evidence::new(config.window),
            leases: Leases::new(config.half_open.concurrent),
            settings: Settings::new(config),
            reopenings: Reopenings::new(),
            updating: Mutex::new(()),
            window: config.window,
            seed: config.seed.unwrap_or_else(entropy),
            late: Statistic::new(),
            would_refuse: Statistic::new(),
            telemetry: Telemetry::new(config.name),
        }
    }

    #[inline(always)]
    pub(super) fn now(&self) -> Instant {
        match &self.front.clock {
            None if !self.front.call.flags().needs_precise_clock() => Clock::Coarse.now(),
            None => Clock::Precise.now(),
            Some(clock) => clock.now(),
        }
    }

    /// An instant in the breaker's own time, in which its phases are dated.
    #[inline]
    fn local(&self, now: Instant) -> Instant {
        self.front.origin.local(now)
    }

    // --- Admission ------------------------------------------------------

    /// Asks. The clock is read only if the answer depends on the time.
    #[inline(always)]
    pub(super) fn admit(&self, now: impl Fn() -> Instant) -> Ticket {
        if self.front.call.mode.is_off() {
            return Ticket::UNRECORDED;
        }
        let word = self.front.cell.look();
        if word.is_closed() {
            let admitted = self.front.call.measures_slowness().then(now);
            return Ticket::call(word, admitted);
        }
        self.admit_unless_closed(word, &now)
    }

    #[inline(never)]
    fn admit_unless_closed(&self, word: Word, now: &dyn Fn() -> Instant) -> Ticket {
        let mut ticket = self.still_open(word, now);
        if !ticket.is_refused() {
            ticket = self.ask(word.phase(), now);
        }
        if ticket.is_refused() && self.front.call.mode.load() == Mode::Shadow {
            self.would_refuse.count();
            self.telemetry.would_refuse();
            return Ticket::UNRECORDED;
        }
        ticket
    }

    /// The common answer of an open breaker, without entering the loop:
    /// refusing is a look.
    #[inline(always)]
    fn still_open(&self, word: Word, clock: impl Fn() -> Instant) -> Ticket {
        let Some(end) = word.open_until() else {
            return Ticket::UNRECORDED;
        };
        let now = self.local(clock());
        if now < end {
            Ticket::refused_until(end, now)
        } else {
            Ticket::UNRECORDED
        }
    }

    #[inline(never)]
    fn ask(&self, phase: Phase, clock: &dyn Fn() -> Instant) -> Ticket {
        if phase.stance == Stance::ForcedOpen {
            return Ticket::refused(None);
        }
        let now = clock();
        let (phase, answer) = self.step(now, None, |phase| Event::Asked {
            lease_ran_out: matches!(phase.stance, Stance::HalfOpen(_))
                && self.leases.ran_out(phase.generation, self.local(now)),
        });
        match answer {
            Answer::Probe => {
                let due = self.local(now) + self.settings.half_open().lease;
                let slot = self.leases.claim(phase.generation, due);
                Ticket::probe(phase.generation, slot, now)
            }
            Answer::Refuse(wait) => Ticket::refused(wait),
            _ if phase.stance == Stance::ForcedClosed => Ticket::forced(phase.generation, now),
            _ => Ticket::call(Word::of(phase), Some(now)),
        }
    }

    /// The refusal that a call would meet now, without asking for one.
    #[inline(always)]
    pub(super) fn look(&self) -> Option<Ticket> {
        let word = self.front.cell.look();
        if word.is_closed() {
            return None;
        }
        let refusal = self.look_unless_closed(word);
        refusal.is_refused().then_some(refusal)
    }

    #[inline(never)]
    fn look_unless_closed(&self, word: Word) -> Ticket {
        if self.front.call.mode.load() != Mode::Enforce {
            return Ticket::UNRECORDED;
        }
        let refused = self.still_open(word, || self.now());
        if refused.is_refused() {
            return refused;
        }
        self.look_unless_open(word.phase())
    }

    #[inline(never)]
    fn look_unless_open(&self, phase: Phase) -> Ticket {
        let is_due = |generation| self.leases.ran_out(generation, self.local(self.now()));
        match phase.stance {
            Stance::Closed | Stance::ForcedClosed | Stance::Open(_) => Ticket::UNRECORDED,
            Stance::ForcedOpen => Ticket::refused(None),
            Stance::HalfOpen(probes) if probes.in_flight < self.settings.half_open().concurrent => {
                Ticket::UNRECORDED
            }
            Stance::HalfOpen(_) if !is_due(phase.generation) => Ticket::refused(None),
            // Asking takes a place away from whoever is overdue. Should that
            // give it to us, we give it back: we only looked.
            Stance::HalfOpen(_) => {
                let ticket = self.ask(phase, &|| self.now());
                self.forget(ticket);
                ticket
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

    // --- Verdicts -------------------------------------------------------

    /// Takes the verdict of a call.
    #[inline(always)]
    pub(super) fn settle(&self, ticket: Ticket, now: Instant, outcome: Outcome) {
        let is_good = matches!(outcome, Outcome::Success | Outcome::Permanent);
        let word = self.front.cell.look();
        if is_good && ticket.is_call_of(word) && !ticket.took(self.front.call.slow_after(), now) {
            self.evidence.fine(word.generation(), now);
        } else {
            self.settle_unless_fine(ticket, now, outcome);
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
        let slow = self.is_slow(ticket, now);
        match ticket.admission() {
            Admission::Call(generation) => {
                if !failed {
                    self.evidence.ends_streak(generation);
                }
                self.settle_call(generation, now, Observation::of(failed, slow), hint);
            }
            Admission::Probe(generation, slot) => {
                let bad = failed || slow && flags.judges_slowness();
                let verdict = if bad { Verdict::Bad } else { Verdict::Good };
                self.settle_probe(generation, slot, now, verdict, hint);
            }
            Admission::Unrecorded => {}
        }
    }

    /// Gives a permit back without a verdict. There is no clock here, and
    /// none is needed: nothing is decided.
    #[inline(always)]
    pub(super) fn forget(&self, ticket: Ticket) {
        if ticket.is_probe() {
            self.forget_probe(ticket);
        }
    }

    #[inline(never)]
    fn forget_probe(&self, ticket: Ticket) {
        if let Admission::Probe(generation, slot) = ticket.admission() {
            self.settle_probe(generation, slot, ticket.admitted(), Verdict::Neutral, None);
        }
    }

    /// The caller stopped waiting. If that took longer than a slow call does,
    /// it was one.
    pub(super) fn cancelled(&self, ticket: Ticket, now: Instant) {
        if !self.is_slow(ticket, now) {
            return self.forget(ticket);
        }
        match ticket.admission() {
            // It was no success, so it ends no streak either.
            Admission::Call(generation) => {
                self.settle_call(generation, now, Observation::Slow, None);
            }
            Admission::Probe(generation, slot) if self.front.call.flags().judges_slowness() => {
                self.settle_probe(generation, slot, now, Verdict::Bad, None);
            }
            Admission::Probe(..) | Admission::Unrecorded => self.forget(ticket),
        }
    }

    fn is_slow(&self, ticket: Ticket, now: Instant) -> bool {
        ticket.took(self.front.call.slow_after(), now)
    }

    fn settle_call(
        &self,
        generation: Generation,
        now: Instant,
        observation: Observation,
        hint: Option<Duration>,
    ) {
        // A result of an older generation is counted as late and decides
        // nothing. One that becomes old after this look is recorded in its
        // own era, which nobody reads any more.
        let phase = self.front.cell.load();
        if phase.generation != generation {
            return self.late.count();
        }
        let flags = self.front.call.flags();
        if observation == Observation::Fine {
            return self.evidence.fine(generation, now);
        }
        let suffices =
            self.evidence
                .suffices_with(generation, now, observation, flags, &self.settings);
        if suffices && phase.stance == Stance::Closed {
            self.step(now, hint, |_| Event::Tripped(generation));
        }
    }

    fn settle_probe(
        &self,
        generation: Generation,
        slot: Option<u8>,
        now: Instant,
        verdict: Verdict,
        hint: Option<Duration>,
    ) {
        // The slot before the place: whoever is given the place finds it.
        if let Some(slot) = slot {
            self.leases.release(generation, slot);
        }
        let (_, answer) = self.step(now, hint, |_| Event::Settled(generation, verdict));
        if answer == Answer::Late {
            self.late.count();
        }
    }

    // --- Transitions ----------------------------------------------------

    /// Applies an event at `now` to whatever phase it finds, and says which phase that
    /// led to.
    ///
    /// Linearises at the cell's exchange; a lost race judges the event anew,
    /// in the phase that won.
    fn step(
        &self,
        now: Instant,
        hint: Option<Duration>,
        event: impl Fn(Phase) -> Event,
    ) -> (Phase, Answer) {
        let now = self.local(now);
        let half_open = self.settings.half_open();
        let open_for = self.settings.open_for();
        let mut from = self.front.cell.load();
        loop {
            let was_stable = from.stance == Stance::Closed
                && now - from.generation.began() >= open_for.stable_after;
            let reopenings = if was_stable {
                0
            } else {
                self.reopenings.load()
            };
            let rules = Rules {
                required: half_open.required,
                allowed: half_open.allowed,
                concurrent: half_open.concurrent,
                open_for: open_for.duration(reopenings, hint, self.seed, from.generation),
            };
            let (to, answer) = state::next(from, event(from), now, &rules);
            if to == from {
                return (to, answer);
            }
            match self.front.cell.replace(from, to) {
                Ok(()) => {
                    if to.state() == State::Open {
                        self.reopenings.store(reopenings.saturating_add(1));
                    }
                    if to.generation != from.generation {
                        self.telemetry.moved(from, to, now, || self.state());
                    }
                    return (to, answer);
                }
                Err(current) => from = current,
            }
        }
    }

    // --- The operator ---------------------------------------------------

    pub(super) fn state(&self) -> State {
        self.front.cell.load().state()
    }

    pub(super) fn name(&self) -> Name {
        self.front.name
    }

    pub(super) fn mode(&self) -> Mode {
        self.front.call.mode.load()
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.front.call.mode.store(mode);
    }

    /// Does as an operator says.
    pub(super) fn apply(&self, now: Instant, event: Event) {
        self.step(now, None, |_| event);
    }

    pub(super) fn reset(&self, now: Instant) {
        self.reopenings.store(0);
        self.apply(now, Event::Reset);
    }

    pub(super) fn update(&self, config: &Config) -> Result<(), UpdateError> {
        config.check()?;
        if config.window != self.window {
            return Err(UpdateError::WindowIsFixed);
        }
        let leases = self.leases.slots();
        if config.half_open.concurrent > leases {
            return Err(UpdateError::LeasesAreFixed { leases });
        }
        let _one_at_a_time = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        self.settings.store(config);
        self.front.call.store(config);
        self.evidence.conditions_changed();
        Ok(())
    }

    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        let counts = self.evidence.counts(self.front.cell.load().generation, now);
        let now = self.local(now);
        let phase = self.front.cell.load();
        Snapshot {
            name: self.front.name,
            state: phase.state(),
            mode: self.front.call.mode.load(),
            since: phase.generation.began(),
            until: match phase.stance {
                Stance::Open(span) => Some(span.end(phase.generation)),
                _ => None,
            },
            probes: match phase.stance {
                Stance::HalfOpen(probes) => probes.in_flight,
                _ => 0,
            },
            counts,
            reopenings: self.reopenings.load(),
            late: self.late.load(),
            would_refuse: self.would_refuse.load(),
            taken: now,
        }
    }
}
