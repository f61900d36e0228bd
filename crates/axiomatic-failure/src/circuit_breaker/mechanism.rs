//! The breaker behind its handles: what they share, its transitions, and what
//! an operator can do. How a call is let in stands in `admission`, what
//! becomes of it in `verdict`; the pure decision is in `state`, each atomic in
//! a cell.
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
use axiomatic_core::{Mode, Name};

use super::cell::Cell;
use super::counter_cell::{Reopenings, Statistic};
use super::evidence::Evidence;
use super::generation::Generation;
use super::lease_cell::Leases;
use super::origin_cell::Origin;
use super::settings_cell::{CallSettings, Settings};
use super::state::{self, Answer, Event, Phase, Rules, Stance, State};
use super::steering::Steering;
use super::telemetry::Telemetry;
use super::turns_cell::Turns;
use super::{Config, Snapshot, UpdateError, Window};

/// What the handles share.
pub(super) struct Core {
    pub(super) front: Front,
    pub(super) evidence: Evidence,
    pub(super) leases: Leases,
    pub(super) settings: Settings,
    pub(super) reopenings: Reopenings,
    pub(super) turns: Turns,
    pub(super) steering: Option<Box<Steering>>,
    /// One update at a time: their words must not interleave.
    updating: Mutex<()>,
    window: Window,
    seed: u64,
    pub(super) late: Statistic,
    pub(super) would_refuse: Statistic,
    pub(super) telemetry: Telemetry,
}

/// What every call looks at: one cache line, written only by transitions.
#[repr(align(64))]
pub(super) struct Front {
    pub(super) cell: Cell,
    pub(super) call: CallSettings,
    pub(super) name: Name,
    pub(super) clock: Option<Clock>,
    pub(super) origin: Origin,
}

// The claim of one line, held. (Loom's atomics are larger, and so are
// shuttle's.)
#[cfg(not(any(axiomatic_loom, axiomatic_shuttle)))]
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
    pub(super) fn local(&self, now: Instant) -> Instant {
        self.front.origin.local(now)
    }

    /// Applies an event at `now` to whatever phase it finds, and says which
    /// phase that led to.
    pub(super) fn step(
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
    pub(super) fn step_at(
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
                    let is_news = to.generation != from.generation
                        || to.state() != from.state()
                        || to.state() == State::Ramping && to.admitting() != from.admitting();
                    if is_news {
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

    /// Whether it knows nothing that a new breaker would not know: closed,
    /// with an empty window, and for so long that it has forgotten how often
    /// it was open.
    ///
    /// A breaker moves when it is asked. So one that nobody asks any more would
    /// stay open for ever, and made-up keys whose calls fail would hold their
    /// places for good: once nobody has asked for ten of its longest openings
    /// beyond its time, what it knows is out of date.
    #[cfg(feature = "keyed")]
    pub(super) fn is_as_new(&self, now: Instant) -> bool {
        let phase = self.front.cell.load();
        let has_evidence = self.evidence.counts(phase.generation, now).total() > 0;
        let open_for = self.settings.open_for();
        let unasked = 10 * open_for.longest.max(open_for.stable_after);
        let now = self.local(now);
        let age = now - phase.generation.began();
        match phase.stance {
            Stance::Closed => {
                let was_open = self.reopenings.load() > 0;
                !has_evidence && (!was_open || age >= open_for.stable_after)
            }
            Stance::Open(span) => now >= span.end(phase.generation) + unasked,
            Stance::HalfOpen(probes) => probes.in_flight == 0 && age >= unasked,
            Stance::Ramping(_) | Stance::Thinning(_) => !has_evidence && age >= unasked,
            Stance::ForcedOpen | Stance::ForcedClosed => false,
        }
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
