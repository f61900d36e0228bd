//! The breaker behind its handles: what is decided, in the order in which it
//! happens to a call. It is one file because admission, verdict and
//! transition share every field; the pure decision is in `state`, each atomic
//! in `cell`.

use std::time::Duration;

use axiomatic_core::hash::entropy;
use axiomatic_core::time::{Clock, Instant, saturating_nanos};
use axiomatic_core::window::{CountWindow, Counts, Observation, TimeWindow};
use axiomatic_core::{Mode, Name, Outcome, Pattern, Reason, Rejected};

use super::cell::{Cell, Claim, Leases, ModeCell, Reopenings, Statistic, Streak};
use super::config::Shape;
use super::policy::{Condition, Share};
use super::settings_cell::{CallSettings, Settings};
use super::state::{self, Answer, Event, Generation, Phase, Rules, Stance, State, Verdict};
use super::telemetry::Telemetry;
use super::{Config, Snapshot, UpdateError, Window};

/// What the handles share.
pub(super) struct Core {
    front: Front,
    streak: Streak,
    record: Record,
    shape: Window,
    leases: Leases,
    settings: Settings,
    reopenings: Reopenings,
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
    mode: ModeCell,
}

/// The window, in either of its kinds.
enum Record {
    Time(TimeWindow),
    Calls(CountWindow),
}

/// What a permit remembers of its admission.
#[derive(Copy, Clone, Debug)]
pub(super) struct Ticket {
    kind: Kind,
    generation: Generation,
    /// When the call was admitted. A call whose slowness is not measured may
    /// carry a zero: nobody will ask.
    admitted: Instant,
}

#[derive(Copy, Clone, Debug)]
enum Kind {
    Call,
    Probe(Option<Claim>),
    /// The breaker stood aside, or would have refused in shadow.
    Unrecorded,
}

impl Ticket {
    const UNRECORDED: Ticket = Ticket {
        kind: Kind::Unrecorded,
        generation: Generation::from_number(0),
        admitted: Instant::from_nanos(0),
    };
}

impl Front {
    fn rejected(&self, wait: Option<Duration>) -> Rejected {
        let rejected = Rejected::new(Pattern::CircuitBreaker, Reason::Open).with_name(self.name);
        match wait {
            Some(wait) => rejected.with_retry_after(wait),
            None => rejected,
        }
    }
}

impl Core {
    pub(super) fn new(config: &Config) -> Self {
        let begun = Generation::beginning(config.clock.clone().unwrap_or(Clock::Coarse).now());
        Core {
            front: Front {
                cell: Cell::new(Phase::closed(begun)),
                call: CallSettings::new(config),
                name: config.name,
                mode: ModeCell::new(config.mode),
                clock: config.clock.clone(),
            },
            streak: Streak::new(),
            record: match config.window.0 {
                Shape::Time { span, buckets } => Record::Time(TimeWindow::last(span, buckets)),
                Shape::Calls(calls) => Record::Calls(CountWindow::last(calls)),
            },
            shape: config.window,
            leases: Leases::new(config.half_open.concurrent),
            settings: Settings::new(config),
            reopenings: Reopenings::new(),
            seed: config.seed.unwrap_or_else(entropy),
            late: Statistic::new(),
            would_refuse: Statistic::new(),
            telemetry: Telemetry::new(config.name),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> Instant {
        match &self.front.clock {
            Some(clock) => clock.now(),
            None if self.front.call.flags().needs_precise_clock() => Clock::Precise.now(),
            None => Clock::Coarse.now(),
        }
    }

    /// Asks. The clock is read only if the answer depends on the time.
    #[inline]
    pub(super) fn admit(&self, now: impl Fn() -> Instant) -> Result<Ticket, Rejected> {
        let mode = self.front.mode.load();
        if mode == Mode::Off {
            return Ok(Ticket::UNRECORDED);
        }
        let phase = self.front.cell.load();
        if let Stance::Closed | Stance::ForcedClosed = phase.stance {
            return Ok(self.call(phase.generation, now));
        }
        match self.admit_unless_closed(phase, &now) {
            Err(_) if mode == Mode::Shadow => {
                self.would_refuse.count();
                Ok(Ticket::UNRECORDED)
            }
            answer => answer,
        }
    }

    #[inline]
    fn call(&self, generation: Generation, now: impl Fn() -> Instant) -> Ticket {
        Ticket {
            kind: Kind::Call,
            generation,
            admitted: if self.front.call.measures_slowness() {
                now()
            } else {
                Instant::from_nanos(0)
            },
        }
    }

    fn admit_unless_closed(
        &self,
        phase: Phase,
        clock: &impl Fn() -> Instant,
    ) -> Result<Ticket, Rejected> {
        let now = match phase.stance {
            Stance::ForcedOpen => return Err(self.refused(None)),
            _ => clock(),
        };
        // Refusing is a look: the common answer of an open breaker is given
        // without entering the loop.
        if let Stance::Open(span) = phase.stance {
            let end = span.end(phase.generation);
            if now < end {
                return Err(self.refused(Some(end - now)));
            }
        }
        let (phase, answer) = self.step(now, None, |phase| Event::Asked {
            lease_ran_out: matches!(phase.stance, Stance::HalfOpen(_))
                && self.leases.ran_out(phase.generation, now),
        });
        match answer {
            Answer::Probe => {
                let due = now + self.settings.half_open().lease;
                Ok(Ticket {
                    kind: Kind::Probe(self.leases.claim(phase.generation, due)),
                    generation: phase.generation,
                    admitted: now,
                })
            }
            Answer::Refuse(wait) => Err(self.refused(wait)),
            Answer::Pass | Answer::Noted | Answer::Late => Ok(self.call(phase.generation, || now)),
        }
    }

    pub(super) fn refused(&self, wait: Option<Duration>) -> Rejected {
        self.telemetry.refused();
        self.front.rejected(wait)
    }

    /// The refusal that a call would meet now, without asking for one.
    #[inline]
    pub(super) fn look(&self) -> Option<Rejected> {
        let phase = self.front.cell.load();
        match phase.stance {
            Stance::Closed | Stance::ForcedClosed => None,
            _ if self.front.mode.load() != Mode::Enforce => None,
            Stance::ForcedOpen => Some(self.refused(None)),
            Stance::Open(span) => {
                let (now, end) = (self.now(), span.end(phase.generation));
                (now < end).then(|| self.refused(Some(end - now)))
            }
            Stance::HalfOpen(probes) => {
                if probes.in_flight < self.settings.half_open().concurrent {
                    return None;
                }
                // No place is free. Asking decides whether one has to be
                // given up; should that give us a place, we only looked.
                self.admit_unless_closed(phase, &|| self.now())
                    .map(|ticket| self.forget(ticket))
                    .err()
            }
        }
    }

    /// Takes the verdict of a call.
    #[inline]
    pub(super) fn settle(&self, ticket: Ticket, now: Instant, outcome: Outcome) {
        let (failed, hint) = match outcome {
            Outcome::Success | Outcome::Permanent => (false, None),
            Outcome::Transient => (true, None),
            Outcome::Throttled { retry_after } if self.front.call.flags().throttled_fails() => {
                (true, retry_after)
            }
            Outcome::Throttled { .. } | Outcome::Ignored => return self.forget(ticket),
        };
        self.observe(ticket, now, failed, hint);
    }

    /// Gives a permit back without a verdict. There is no clock here, and
    /// none is needed: nothing is decided.
    pub(super) fn forget(&self, ticket: Ticket) {
        if let Kind::Probe(claim) = ticket.kind {
            self.settle_probe(ticket, claim, ticket.admitted, Verdict::Neutral, None);
        }
    }

    /// The caller stopped waiting. If that took longer than a slow call does,
    /// it was one.
    pub(super) fn cancelled(&self, ticket: Ticket, now: Instant) {
        if !self.is_slow(ticket, now) {
            return self.forget(ticket);
        }
        match ticket.kind {
            // It was no success, so it ends no streak either.
            Kind::Call => self.settle_call(ticket.generation, now, Observation::Slow, None),
            Kind::Probe(claim) if self.front.call.flags().judges_slowness() => {
                self.settle_probe(ticket, claim, now, Verdict::Bad, None);
            }
            Kind::Probe(_) | Kind::Unrecorded => self.forget(ticket),
        }
    }

    #[inline]
    fn is_slow(&self, ticket: Ticket, now: Instant) -> bool {
        let slow_after = self.front.call.slow_after();
        slow_after != u64::MAX && saturating_nanos(now - ticket.admitted) >= slow_after
    }

    #[inline]
    fn observe(&self, ticket: Ticket, now: Instant, failed: bool, hint: Option<Duration>) {
        let slow = self.is_slow(ticket, now);
        match ticket.kind {
            Kind::Call => {
                if !failed && self.front.call.flags().counts_streaks() {
                    self.streak.succeeded(ticket.generation);
                }
                let observation = Observation::of(failed, slow);
                self.settle_call(ticket.generation, now, observation, hint);
            }
            Kind::Probe(claim) => {
                let bad = failed || slow && self.front.call.flags().judges_slowness();
                let verdict = if bad { Verdict::Bad } else { Verdict::Good };
                self.settle_probe(ticket, claim, now, verdict, hint);
            }
            Kind::Unrecorded => {}
        }
    }

    #[inline]
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
        self.record.record(generation, now, observation);
        if observation != Observation::Fine {
            let counts_streaks = self.front.call.flags().counts_streaks();
            let streak = if counts_streaks && observation.is_failed() {
                self.streak.failed(generation)
            } else {
                0
            };
            if phase.stance == Stance::Closed && self.suffices(generation, now, streak) {
                self.step(now, hint, |_| Event::Tripped(generation));
            }
        }
    }

    fn settle_probe(
        &self,
        ticket: Ticket,
        claim: Option<Claim>,
        now: Instant,
        verdict: Verdict,
        hint: Option<Duration>,
    ) {
        // The slot before the place: whoever is given the place finds it.
        if let Some(claim) = claim {
            self.leases.release(claim);
        }
        let settled = Event::Settled(ticket.generation, verdict);
        if let (_, Answer::Late) = self.step(now, hint, |_| settled) {
            self.late.count();
        }
    }

    /// Whether any condition is met.
    fn suffices(&self, generation: Generation, now: Instant, streak: u64) -> bool {
        let mut counts = None;
        self.settings.conditions().any(|condition| match condition {
            Condition::Consecutive(failures) => streak >= u64::from(failures),
            Condition::Rate {
                of,
                at_least,
                sample,
            } => {
                let counts = counts.get_or_insert_with(|| self.record.counts(generation, now));
                let part = match of {
                    Share::Failed => counts.failed(),
                    Share::Slow => counts.slow(),
                    Share::FailedOrSlow => counts.failed_or_slow(),
                };
                counts.total() >= u64::from(sample) && at_least.is_reached_by(part, counts.total())
            }
        })
    }

    /// Applies an event to whatever phase it finds, and says which phase that
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
        let half_open = self.settings.half_open();
        let mut from = self.front.cell.load();
        loop {
            let reopenings = self.reopenings_at(from, now);
            let rules = Rules {
                required: half_open.required,
                allowed: half_open.allowed,
                concurrent: half_open.concurrent,
                open_for: self.settings.open_for().duration(
                    reopenings,
                    hint,
                    self.seed,
                    from.generation,
                ),
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

    pub(super) fn state(&self) -> State {
        self.front.cell.load().state()
    }

    pub(super) fn name(&self) -> Name {
        self.front.name
    }

    pub(super) fn mode(&self) -> Mode {
        self.front.mode.load()
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.front.mode.store(mode);
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
        if config.window != self.shape {
            return Err(UpdateError::WindowIsFixed);
        }
        let leases = self.leases.slots();
        if config.half_open.concurrent > leases {
            return Err(UpdateError::LeasesAreFixed { leases });
        }
        self.settings.store(config);
        self.front.call.store(config);
        self.front.mode.store(config.mode);
        Ok(())
    }

    /// How many openings in a row precede one that happens now.
    fn reopenings_at(&self, from: Phase, now: Instant) -> u32 {
        let was_stable = from.stance == Stance::Closed
            && now - from.generation.began() >= self.settings.open_for().stable_after;
        if was_stable {
            0
        } else {
            self.reopenings.load()
        }
    }

    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        let phase = self.front.cell.load();
        Snapshot {
            name: self.front.name,
            state: phase.state(),
            mode: self.front.mode.load(),
            since: phase.generation.began(),
            until: match phase.stance {
                Stance::Open(span) => Some(span.end(phase.generation)),
                _ => None,
            },
            probes: match phase.stance {
                Stance::HalfOpen(probes) => probes.in_flight,
                _ => 0,
            },
            counts: self.record.counts(phase.generation, now),
            reopenings: self.reopenings.load(),
            late: self.late.load(),
            would_refuse: self.would_refuse.load(),
            taken: now,
        }
    }
}

impl Record {
    #[inline]
    fn record(&self, generation: Generation, now: Instant, observation: Observation) {
        match self {
            Record::Time(window) => window.record(generation.number(), now, observation),
            Record::Calls(window) => window.record(generation.number(), observation),
        }
    }

    fn counts(&self, generation: Generation, now: Instant) -> Counts {
        match self {
            Record::Time(window) => window.counts(generation.number(), now),
            Record::Calls(window) => window.counts(generation.number()),
        }
    }
}
