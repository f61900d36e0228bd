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
use axiomatic_core::window::{Counts, Observation, Seat};
use axiomatic_core::{Mode, Name, Outcome, Pattern, Ratio, Reason, Rejected};

use super::cell::{Cell, Word};
use super::counter_cell::{Origin, Reopenings, Statistic, Turns};
use super::evidence::{Call, Evidence};
use super::lease_cell::Leases;
use super::settings_cell::{CallSettings, Settings};
use super::state::{
    self, Answer, Event, Generation, Phase, Rules, Stance, State, Thinned, Verdict,
};
use super::steering::Steering;
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
    turns: Turns,
    steering: Option<Box<Steering>>,
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
            evidence: Evidence::new(config),
            leases: Leases::new(config.half_open.concurrent),
            settings: Settings::new(config),
            reopenings: Reopenings::new(),
            turns: Turns::new(),
            steering: config.adaptive.map(|_| Box::new(Steering::new(config))),
            updating: Mutex::new(()),
            window: config.window,
            seed: config.seed.unwrap_or_else(entropy),
            late: Statistic::new(),
            would_refuse: Statistic::new(),
            telemetry: Telemetry::new(config),
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
    #[inline(always)]
    fn admit_seen(&self, word: Word, now: Instant, due: Instant, own: Option<Duration>) -> Ticket {
        let generation = word.generation();
        if self.evidence.begins_step(generation, now) {
            return self.admit_after_looking(word, now, own);
        }
        let seat = self.evidence.begin(generation, now, due);
        Ticket::call(word, seat, Some(due))
    }

    #[inline(never)]
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
        let mut ticket = self.still_open(word, now);
        if !ticket.is_refused() {
            ticket = self.ask(word.phase(), now, own);
        }
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
            stage_is_proven: matches!(phase.stance, Stance::Ramping(_))
                && self.wait_in(phase, now) == Some(Duration::ZERO)
                && self.stage_is_proven(phase.generation, now),
        });
        let due = self.measures_slowness().then(|| self.due(now, own));
        match answer {
            Answer::Probe => {
                let lease_ends = self.local(now) + self.settings.half_open().lease;
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

    /// Whether this call is one of the share that passes.
    fn is_in_turn(&self, phase: Phase, now: Instant) -> bool {
        let share = phase.admitting();
        if share == Ratio::ONE || self.turns.take(phase.generation, share) {
            return true;
        }
        match &self.steering {
            Some(steering) if matches!(phase.stance, Stance::Thinning(_)) => {
                if steering.mode() == Mode::Enforce {
                    steering.refused(phase.generation, now);
                    return false;
                }
                self.would_refuse();
                true
            }
            _ => false,
        }
    }

    /// How long a call that is not in turn should wait: the rest of a ramp's
    /// stage, nothing if the ramp was switched off. Nobody knows how long a
    /// controller will go on.
    fn wait_in(&self, phase: Phase, now: Instant) -> Option<Duration> {
        let stage = self
            .settings
            .ramp()
            .map_or(Duration::ZERO, |ramp| ramp.stage);
        let is_ramping = matches!(phase.stance, Stance::Ramping(_));
        is_ramping.then(|| phase.generation.began() + stage - self.local(now))
    }

    /// Whether a stage of a ramp has shown what it should.
    fn stage_is_proven(&self, generation: Generation, now: Instant) -> bool {
        let counts = self.evidence.counts(generation, now);
        counts.total() > self.bad_of(&counts)
    }

    fn bad_of(&self, counts: &Counts) -> u64 {
        if self.front.call.flags().judges_slowness() {
            counts.failed_or_slow()
        } else {
            counts.failed()
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
            // Whose turn it is shows when it asks.
            Stance::Closed
            | Stance::Ramping(_)
            | Stance::Thinning(_)
            | Stance::ForcedClosed
            | Stance::Open(_) => Ticket::UNRECORDED,
            Stance::ForcedOpen => Ticket::refused(None),
            Stance::HalfOpen(probes) if probes.in_flight < self.settings.half_open().concurrent => {
                Ticket::UNRECORDED
            }
            Stance::HalfOpen(_) if !is_due(phase.generation) => Ticket::refused(None),
            // Asking takes a place away from whoever is overdue. Should that
            // give it to us, we give it back: we only looked.
            Stance::HalfOpen(_) => {
                let ticket = self.ask(phase, &|| self.now(), None);
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
        let is_fine = is_good && ticket.is_call_of(word) && !ticket.is_slow(now);
        match ticket.seat() {
            _ if !is_fine => self.settle_unless_fine(ticket, now, outcome),
            None => self.evidence.fine(word.generation(), now),
            Some(seat) => self.settle_seen(word.generation(), seat, ticket.due(), now),
        }
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
        if observation == Observation::Fine {
            return;
        }
        let failed = observation.is_failed();
        let flags = self.front.call.flags();
        let suffices = match phase.stance {
            Stance::Ramping(_) => self.is_over_guard(call.generation, now),
            _ => self
                .evidence
                .suffices(call.generation, now, failed, flags, &self.settings),
        };
        self.conclude(phase, now, suffices, hint);
    }

    /// Calls that are under way may have become slow: judges by what is known
    /// at `now`.
    #[inline(never)]
    fn time_has_passed(&self, generation: Generation, now: Instant) {
        let phase = self.front.cell.load();
        if phase.generation != generation {
            return;
        }
        let suffices = match phase.stance {
            Stance::Ramping(_) => self.is_over_guard(generation, now),
            _ => self
                .evidence
                .suffices_by_now(generation, now, &self.settings),
        };
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

    /// Whether more failed in this stage of a ramp than its guard forgives.
    fn is_over_guard(&self, generation: Generation, now: Instant) -> bool {
        let counts = self.evidence.counts(generation, now);
        let bad = self.bad_of(&counts);
        let guard = self.settings.ramp();
        guard.is_some_and(|ramp| ramp.is_over_guard(&counts, bad))
    }

    /// A step of the controller, if there is one and its time has come.
    fn steer(&self, phase: Phase, now: Instant) {
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

    // --- Transitions ----------------------------------------------------

    /// Applies an event at `now` to whatever phase it finds, and says which
    /// phase that led to.
    fn step(
        &self,
        now: Instant,
        hint: Option<Duration>,
        event: impl Fn(Phase) -> Event,
    ) -> (Phase, Answer) {
        self.step_at(self.local(now), hint, event)
    }

    /// The same in the breaker's own time.
    ///
    /// Linearises at the cell's exchange; a lost race judges the event anew,
    /// in the phase that won.
    fn step_at(
        &self,
        now: Instant,
        hint: Option<Duration>,
        event: impl Fn(Phase) -> Event,
    ) -> (Phase, Answer) {
        let half_open = self.settings.half_open();
        let open_for = self.settings.open_for();
        let ramp = self.settings.ramp();
        let mut from = self.front.cell.load();
        loop {
            let was_stable = matches!(from.stance, Stance::Closed | Stance::Thinning(_))
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
                stage: ramp.map(|ramp| ramp.stage),
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
                    if to.generation != from.generation || to.state() != from.state() {
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

    pub(super) fn set_adaptive_mode(&self, mode: Mode) {
        if let Some(steering) = &self.steering {
            steering.set_mode(mode);
        }
    }

    /// Closed, with an empty window, and for so long that it has forgotten
    /// how often it was open.
    pub(super) fn is_as_new(&self, now: Instant) -> bool {
        let phase = self.front.cell.load();
        let closed_for = self.local(now) - phase.generation.began();
        let was_open = self.reopenings.load() > 0;
        phase.stance == Stance::Closed
            && (!was_open || closed_for >= self.settings.open_for().stable_after)
            && self.evidence.counts(phase.generation, now).total() == 0
    }

    #[cfg(feature = "subscribe")]
    pub(super) fn subscribe(&self) -> super::subscription::Transitions {
        self.telemetry.subscribe()
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
        if config.adaptive.is_some() != self.steering.is_some() {
            return Err(UpdateError::AdaptiveIsFixed);
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
            admitting: phase.admitting(),
            reopenings: self.reopenings.load(),
            late: self.late.load(),
            would_refuse: self.would_refuse.load(),
            taken: now,
        }
    }
}
