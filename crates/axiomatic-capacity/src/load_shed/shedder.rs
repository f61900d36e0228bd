use std::fmt;
use std::sync::Arc;
use std::thread::LocalKey;

use axiomatic_core::context::AdmissionLevel;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{SpreadTally, Tally};
use axiomatic_core::shared::{Held, Shared, Stash, Stashed};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Outcome, Pattern, Reason, Rejected};

use super::telemetry::{Cause, Telemetry};
use super::{Ask, Config, Estimate, LoadShedLayer, OwnedPermit, Permit, Prioritizer, Snapshot};

/// Refuses what cannot be served in time, before anything is done for it: what
/// matters least, and what would be too late.
///
/// It is a handle, cheap to clone, and works without tower and without a
/// runtime: [`admit`](LoadShedder::admit) asks, [`Permit::record`] tells.
#[derive(Clone)]
pub struct LoadShedder(Shared<Core>);

/// What the handles share.
pub(super) struct Core {
    prioritizer: Prioritizer,
    estimate: Option<Arc<dyn Estimate>>,
    mode: ModeCell,
    name: Name,
    clock: Clock,
    refused: SpreadTally,
    would_refuse: Tally,
    telemetry: Telemetry,
}

/// A refusal in parts, as a future keeps it until it is polled. A [`Rejected`]
/// there would be copied in other pieces than it was written in just before,
/// and for that a processor has to wait: 5 ns of 13.
#[derive(Copy, Clone, Debug)]
pub(super) struct Refusal {
    name: Name,
    /// In nanoseconds; [`u64::MAX`] if it need not come again, or if nobody
    /// knows when.
    wait: u64,
    reason: Reason,
}

impl Refusal {
    #[inline(always)]
    pub(super) fn say(self) -> Rejected {
        let rejected = Rejected::new(Pattern::LoadShedder, self.reason).with_name(self.name);
        if self.wait == u64::MAX {
            rejected
        } else {
            rejected.with_retry_after_nanos(self.wait)
        }
    }
}

/// What is known of a call that is let in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Counted,
    /// Let through unseen.
    Not,
}

impl LoadShedder {
    pub(super) fn new(config: Config) -> Self {
        config.prioritizer.has_door();
        LoadShedder(Shared::new(Core {
            telemetry: Telemetry::new(config.name),
            prioritizer: config.prioritizer,
            estimate: config.estimate,
            mode: ModeCell::new(config.mode),
            name: config.name,
            clock: config.clock,
            refused: SpreadTally::new(),
            would_refuse: Tally::new(),
        }))
    }

    /// Asks for a call that begins at `now`.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Shed`], if it matters too little or would
    /// wait longer than its caller does, and when to come again; with
    /// [`Reason::Expired`], if its deadline has passed.
    #[inline(always)]
    pub fn admit(&self, now: Instant, ask: Ask) -> Result<Permit<'_>, Rejected> {
        match self.0.decide(now, ask) {
            Ok(seen) => Ok(Permit::new(&self.0, seen)),
            Err(refusal) => Err(refusal.say()),
        }
    }

    /// The same with a permit that outlives the borrow.
    ///
    /// # Errors
    ///
    /// As [`admit`](LoadShedder::admit).
    #[inline(always)]
    pub fn admit_owned(&self, now: Instant, ask: Ask) -> Result<OwnedPermit, Rejected> {
        self.lets_in(now, ask).map_err(Refusal::say)
    }

    /// The same for who says later that it is refused.
    #[inline(always)]
    pub(super) fn lets_in(&self, now: Instant, ask: Ask) -> Result<OwnedPermit, Refusal> {
        let seen = self.0.decide(now, ask)?;
        Ok(OwnedPermit::new(self.0.hold(), seen))
    }

    /// A permit for a call that is not asked about.
    #[inline]
    pub(super) fn exempt(&self) -> OwnedPermit {
        OwnedPermit::new(self.0.hold(), Seen::Not)
    }

    /// Refuses a call that the service behind is not ready for, and that is
    /// let in as far as it is up to its priority: it came, and was turned away.
    /// None, if it is not asked about.
    #[inline(always)]
    pub(super) fn unready(&self, now: Instant, ask: Option<Ask>) -> Refusal {
        let prioritizer = &self.0.prioritizer;
        let wait = match ask {
            None => prioritizer.wait(),
            Some(ask) => match prioritizer.lets_in(now, ask.priority) {
                Ok(()) => prioritizer.turns_away(),
                Err(wait) => wait,
            },
        };
        self.0.shed(wait)
    }

    /// A call waits, in shadow, that would have been refused.
    pub(super) fn would_refuse(&self) {
        self.0.would_refuse();
    }

    /// A refusal in words that is counted as nothing.
    pub(super) fn uncounted(&self, reason: Reason) -> Refusal {
        self.0.refusal(reason, u64::MAX)
    }

    /// From which priority on requests are let in: everything, if it does not
    /// act on its decisions. It is what callers are to be told.
    pub fn level(&self) -> AdmissionLevel {
        self.0.level()
    }

    /// What decides how much is shed.
    pub fn prioritizer(&self) -> &Prioritizer {
        &self.0.prioritizer
    }

    /// Reads the clock. Only adapters need to.
    #[inline(always)]
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Switches between enforcing, shadowing and standing aside, for calls
    /// that come from now on. In shadow all pass, and those that would have
    /// been refused are counted; off, nothing is seen.
    pub fn set_mode(&self, mode: Mode) {
        if self.0.mode.is_off() && mode != Mode::Off {
            self.0.prioritizer.begins_anew();
        }
        self.0.mode.store(mode);
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.0.mode.load()
    }

    /// The name.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// Plain numbers for an operator; they print as a line.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            name: self.0.name,
            mode: self.mode(),
            refused: self.0.refused.load(),
            would_refuse: self.0.would_refuse.load(),
            prioritizer: self.0.prioritizer.snapshot(),
        }
    }

    /// A tower layer; all its services share this.
    pub fn layer(&self) -> LoadShedLayer {
        LoadShedLayer::of(self.clone())
    }
}

impl Core {
    #[inline(always)]
    fn decide(&self, now: Instant, ask: Ask) -> Result<Seen, Refusal> {
        if self.mode.load() != Mode::Enforce {
            return Ok(self.decide_unenforced(now, ask));
        }
        if let Some(deadline) = ask.deadline {
            self.in_time(now, deadline.remaining(now), ask)?;
        }
        match self.prioritizer.lets_in(now, ask.priority) {
            Ok(()) => Ok(Seen::Counted),
            Err(wait) => Err(self.shed(wait)),
        }
    }

    #[cold]
    fn decide_unenforced(&self, now: Instant, ask: Ask) -> Seen {
        if self.mode.is_off() {
            return Seen::Not;
        }
        let remaining = ask.deadline.map(|deadline| deadline.remaining(now));
        let is_late =
            remaining.is_some_and(|remaining| self.too_late(now, remaining, ask).is_some());
        if self.prioritizer.lets_in(now, ask.priority).is_err() || is_late {
            self.would_refuse();
        }
        Seen::Counted
    }

    fn would_refuse(&self) {
        self.would_refuse.count();
        self.telemetry.would_refuse();
    }

    #[inline]
    fn in_time(
        &self,
        now: Instant,
        remaining: std::time::Duration,
        ask: Ask,
    ) -> Result<(), Refusal> {
        match self.too_late(now, remaining, ask) {
            None => Ok(()),
            Some(reason) => {
                if reason == Reason::Shed {
                    self.prioritizer.late(now);
                }
                Err(self.refuse(reason))
            }
        }
    }

    /// Why a call with so much time left is not worth beginning.
    #[inline]
    fn too_late(&self, now: Instant, remaining: std::time::Duration, ask: Ask) -> Option<Reason> {
        if remaining.is_zero() {
            return Some(Reason::Expired);
        }
        let estimate = self.estimate.as_ref()?;
        (estimate.wait(now, ask.priority) >= remaining).then_some(Reason::Shed)
    }

    /// Refuses a call, and counts it.
    #[inline]
    fn refuse(&self, reason: Reason) -> Refusal {
        // Whose time is over need not come again.
        if reason == Reason::Expired {
            self.refused.count();
            self.telemetry.refused(Cause::Expired);
            self.refusal(reason, u64::MAX)
        } else {
            self.shed(self.prioritizer.wait())
        }
    }

    /// Refuses a call that may come again after so many nanoseconds.
    #[inline(always)]
    fn shed(&self, wait: u64) -> Refusal {
        self.refused.count();
        self.telemetry.refused(Cause::Shed);
        self.refusal(Reason::Shed, wait)
    }

    #[inline(always)]
    fn refusal(&self, reason: Reason, wait: u64) -> Refusal {
        Refusal {
            name: self.name,
            wait,
            reason,
        }
    }

    /// Everything, if it does not act on its decisions.
    pub(super) fn level(&self) -> AdmissionLevel {
        if self.mode.load() == Mode::Enforce {
            self.prioritizer.level()
        } else {
            AdmissionLevel::ALL
        }
    }

    /// A call has an answer.
    #[inline(always)]
    pub(super) fn record(&self, seen: Seen, outcome: Outcome) {
        // What failed, or was refused further in, was not served.
        if seen == Seen::Counted && matches!(outcome, Outcome::Success | Outcome::Permanent) {
            self.prioritizer.served();
        }
    }
}

impl Stashed for Core {
    fn stash() -> &'static LocalKey<Stash<Self>> {
        thread_local!(static STASH: Stash<Core> = const { Stash::new() });
        &STASH
    }
}

/// A reference to a core for the time of a call.
pub(super) type HeldCore = Held<Core>;

impl fmt::Debug for LoadShedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShedder")
            .field("name", &self.0.name)
            .field("prioritizer", &self.0.prioritizer)
            .finish_non_exhaustive()
    }
}
