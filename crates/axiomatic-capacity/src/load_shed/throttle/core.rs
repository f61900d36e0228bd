//! The throttler behind its handles. Each atomic is in a cell, the formula in
//! `rule`.
//!
//! The path of a call while nothing is refused is inlined whole into its
//! caller, and everything else is kept out of it.

use std::fmt;
use std::thread::LocalKey;
use std::time::Duration;

use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::luck_cell::Luck;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{Setting, SpreadTally, Tally};
use axiomatic_core::shared::{Stash, Stashed};
use axiomatic_core::time::{Clock, Instant, saturating_nanos};
use axiomatic_core::window::{Observation, TimeWindow};
use axiomatic_core::{Mode, Name, Outcome, Pattern, Reason, Rejected};

use super::probe_cell::ProbeCell;
use super::share_cell::{Found, ShareCell};
use super::telemetry::Telemetry;
use super::{Config, Rule, Share, Snapshot, UpdateError};
use crate::load_shed::Prioritizer;

/// What the handles share.
pub(super) struct Core {
    front: Front,
    window: TimeWindow,
    shape: Shape,
    luck: Luck,
    /// Who knows what matters less than what, and the level that it made of the
    /// share.
    prioritizer: Option<Prioritizer>,
    level: Setting,
    limits: Limits,
    refused: SpreadTally,
    would_refuse: SpreadTally,
    probes: Tally,
    telemetry: Telemetry,
}

/// What every call looks at.
#[repr(align(64))]
struct Front {
    share: ShareCell,
    /// Written twice in a probe interval at most.
    probe: ProbeCell,
    mode: ModeCell,
    rule: Setting,
    probe_every: Setting,
    clock: Clock,
    name: Name,
}

/// What is fixed at construction.
#[derive(Copy, Clone, PartialEq, Eq)]
struct Shape {
    span: Duration,
    buckets: u32,
    refresh: Duration,
}

impl Shape {
    fn of(config: &Config) -> Self {
        Shape {
            span: config.span,
            buckets: config.buckets,
            refresh: config.refresh_interval(),
        }
    }
}

/// The most that is refused, in the upper half, and the least rate at which
/// anything is: one word, so that they belong together.
struct Limits(Setting);

impl Limits {
    fn pack(config: &Config) -> u64 {
        let most = u64::from(Share::of(config.most_refused).as_u32());
        most << 32 | u64::from(config.least_rate)
    }

    fn load(&self) -> (Share, u64) {
        let word = self.0.load();
        (Share::from_u32((word >> 32) as u32), word & 0xffff_ffff)
    }
}

impl Stashed for Core {
    #[inline(always)]
    fn stash() -> &'static LocalKey<Stash<Self>> {
        thread_local!(static STASH: Stash<Core> = const { Stash::new() });
        &STASH
    }
}

/// What became of a question.
enum Answer {
    Passes,
    Refused,
}

impl Core {
    pub(super) fn new(config: &Config) -> Self {
        let now = config.clock.now();
        Core {
            front: Front {
                share: ShareCell::new(config.refresh_interval(), now),
                probe: ProbeCell::new(),
                mode: ModeCell::new(config.mode),
                rule: Setting::new(config.rule.pack()),
                probe_every: Setting::new(saturating_nanos(config.probe)),
                clock: config.clock.clone(),
                name: config.name,
            },
            window: TimeWindow::last(config.span, config.buckets),
            shape: Shape::of(config),
            luck: Luck::new(config.seed_or_chance()),
            prioritizer: config.prioritizer.clone(),
            level: Setting::new(AdmissionLevel::ALL.as_u32().into()),
            limits: Limits(Setting::new(Limits::pack(config))),
            refused: SpreadTally::new(),
            would_refuse: SpreadTally::new(),
            probes: Tally::new(),
            telemetry: Telemetry::new(config.name),
        }
    }

    #[inline(always)]
    pub(super) fn now(&self) -> Instant {
        self.front.clock.now()
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

    pub(super) fn refused_share(&self) -> Share {
        self.front.share.share()
    }

    /// Asks for a call, and says whether its verdict counts. Its priority is
    /// asked for only if it may be refused.
    #[inline(always)]
    pub(super) fn admit(
        &self,
        now: Instant,
        priority: impl FnOnce() -> Priority,
    ) -> Result<bool, Rejected> {
        if self.front.mode.is_off() {
            return Ok(false);
        }
        let found = self.front.share.look(now);
        if found.is_due() || found.share() != Share::NONE || self.prioritizer.is_some() {
            if let Answer::Refused = self.decide(found, now, priority()) {
                return Err(self.rejected(Reason::Shed));
            }
        }
        Ok(true)
    }

    /// Whether a call passes, where some are refused.
    #[inline(never)]
    fn decide(&self, found: Found, now: Instant, priority: Priority) -> Answer {
        let share = if found.is_due() {
            self.refresh(found, now)
        } else {
            found.share()
        };
        let level = self.level(now, priority);
        let answer = if share == Share::NONE && level == AdmissionLevel::ALL {
            Answer::Passes
        } else {
            self.answer(share, level, now, priority)
        };
        if let Some(prioritizer) = &self.prioritizer {
            prioritizer.went_by(matches!(answer, Answer::Passes));
        }
        answer
    }

    #[inline(always)]
    fn answer(
        &self,
        share: Share,
        level: AdmissionLevel,
        now: Instant,
        priority: Priority,
    ) -> Answer {
        let probe_every = self.front.probe_every.load();
        if !self.is_unlucky(share, level, priority) {
            self.front.probe.passed(now, probe_every);
            return Answer::Passes;
        }
        if self.front.probe.take(now, probe_every) {
            self.probes.count();
            return Answer::Passes;
        }
        match self.front.mode.load() {
            Mode::Enforce => {
                self.refuse(now);
                Answer::Refused
            }
            Mode::Shadow => {
                self.would_refuse.count();
                self.telemetry.would_refuse();
                Answer::Passes
            }
            Mode::Off => Answer::Passes,
        }
    }

    /// From which priority on calls pass, if somebody knows what matters less
    /// than what: the higher of what the share comes to and what is shed in any
    /// case, unless that was done further out.
    #[inline(always)]
    fn level(&self, now: Instant, priority: Priority) -> AdmissionLevel {
        let Some(prioritizer) = &self.prioritizer else {
            return AdmissionLevel::ALL;
        };
        let shed = prioritizer.comes_by(now, priority);
        let own = AdmissionLevel::from_u32(self.level.load() as u32);
        own.max(shed)
    }

    /// Whether a call is one of those that are refused.
    #[inline(always)]
    fn is_unlucky(&self, share: Share, level: AdmissionLevel, priority: Priority) -> bool {
        if level == AdmissionLevel::ALL {
            // Nobody knows, or nobody has come of whom it could be known.
            share.has(self.luck.draw())
        } else {
            !level.admits_by(priority, || (self.luck.draw() >> 48) as u16)
        }
    }

    /// Counts a refusal.
    #[inline(always)]
    fn refuse(&self, now: Instant) {
        if Rule::counts_refusals(self.front.rule.load()) {
            self.window.record(0, now, Observation::Failed);
        }
        self.refused.count();
        self.telemetry.refused();
    }

    /// A refusal in words.
    #[inline(always)]
    pub(super) fn rejected(&self, reason: Reason) -> Rejected {
        Rejected::new(Pattern::Throttler, reason).with_name(self.front.name)
    }

    /// Tells what became of a call that counts.
    #[inline(always)]
    pub(super) fn record(&self, now: Instant, outcome: Outcome) {
        let accepted = match outcome {
            Outcome::Success | Outcome::Permanent => true,
            Outcome::Transient | Outcome::Throttled { .. } => false,
            Outcome::Ignored => return,
        };
        self.window
            .record(0, now, Observation::of(!accepted, false));
    }

    /// Computes the share of a turn, if it is this caller who does. Nobody
    /// waits for whoever does it: they go by the share there is.
    #[cold]
    fn refresh(&self, found: Found, now: Instant) -> Share {
        let Some(claim) = self.front.share.claim(found, now) else {
            return self.front.share.share();
        };
        let share = self.compute(now);
        let before = claim.before();
        if before == Share::NONE && share != Share::NONE {
            // Until now all have passed.
            let probe_every = self.front.probe_every.load();
            self.front.probe.passed(now, probe_every);
        }
        if self.front.share.publish(&claim, share) {
            // One turn's level may meet another's share, for as long as it
            // takes to say so.
            if let Some(prioritizer) = &self.prioritizer {
                let level = prioritizer.level_of(share.ratio());
                self.level.store(level.as_u32().into());
            }
            self.telemetry.refreshed(before, share);
        }
        share
    }

    fn compute(&self, now: Instant) -> Share {
        let counts = self.window.counts(0, now);
        let (most, least_rate) = self.limits.load();
        let span = u128::from(saturating_nanos(self.window.span()));
        let requests = u128::from(counts.total()) * 1_000_000_000;
        if requests < u128::from(least_rate) * span {
            return Share::NONE;
        }
        let accepts = counts.total() - counts.failed();
        let rule = Rule::unpack(self.front.rule.load());
        rule.probability(counts.total(), accepts).min(most)
    }

    pub(super) fn update(&self, config: &Config) -> Result<(), UpdateError> {
        config.check()?;
        if Shape::of(config) != self.shape {
            return Err(UpdateError::WindowIsFixed);
        }
        self.front.rule.store(config.rule.pack());
        let probe_every = saturating_nanos(config.probe);
        self.front.probe_every.store(probe_every);
        self.front.probe.shorten(self.now(), probe_every);
        self.limits.0.store(Limits::pack(config));
        self.telemetry.updated();
        Ok(())
    }

    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        let found = self.front.share.look(now);
        let share = if found.is_due() {
            self.refresh(found, now)
        } else {
            found.share()
        };
        let counts = self.window.counts(0, now);
        Snapshot {
            name: self.front.name,
            mode: self.mode(),
            share,
            requests: counts.total(),
            accepts: counts.total() - counts.failed(),
            window: self.window.span(),
            refused: self.refused.load(),
            would_refuse: self.would_refuse.load(),
            probes: self.probes.load(),
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("name", &self.front.name)
            .field("share", &self.refused_share())
            .finish_non_exhaustive()
    }
}
