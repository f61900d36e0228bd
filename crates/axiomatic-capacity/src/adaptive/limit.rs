use std::fmt;
use std::time::Duration;

use axiomatic_core::context::Priority;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Name, Outcome, Rejected};

use super::{
    AdaptiveLimitLayer, Admission, Ask, Metered, OwnedPermit, Partition, Permit,
    ReservingAdaptiveLimitLayer, Snapshot,
};
use crate::gate::{Handle, Limiter, Sealed};

/// As many calls at a time as what they take shows to be borne: a handle to
/// shared slots, cheap to clone.
///
/// It works without tower and without a runtime: [`admit`](AdaptiveLimit::admit)
/// asks, [`Permit::record`] tells.
#[derive(Clone)]
pub struct AdaptiveLimit(pub(crate) Handle<Metered>);

impl AdaptiveLimit {
    /// Asks for a slot, for a call that begins at `now`.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Full`](axiomatic_core::Reason::Full).
    #[inline(always)]
    pub fn admit(&self, now: Instant) -> Result<Permit<'_>, Rejected> {
        let core = &*self.0.core;
        let token = core.admit(self.0.line, 1)?;
        if token.is_seen() {
            Metered::saw(core);
        }
        Ok(Permit::marked(core, token, now))
    }

    /// The same with a permit that outlives the borrow.
    ///
    /// # Errors
    ///
    /// As [`admit`](AdaptiveLimit::admit).
    #[inline(always)]
    pub fn admit_owned(&self, ask: Ask, now: Instant) -> Result<OwnedPermit, Rejected> {
        let core = &self.0.core;
        let token = core.admit(self.0.line, ask.weight.get())?;
        if token.is_seen() {
            Metered::saw(core);
        }
        Ok(OwnedPermit::marked(core.hold(), token, now))
    }

    /// Asks for a slot, and has a place in the queue if there is none. The call
    /// begins when it has its slot, by the clock of the limit. In shadow nobody
    /// waits.
    ///
    /// # Errors
    ///
    /// As [`Bulkhead::admit_or_wait`](crate::bulkhead::Bulkhead::admit_or_wait).
    pub fn admit_or_wait(&self, ask: Ask) -> Result<Admission, Rejected> {
        self.0.admit_or_wait(ask)
    }

    /// Switches between enforcing, shadowing and standing aside, for calls that
    /// come from now on. In shadow the limit moves, and the excess passes and is
    /// counted apart; off, nothing is seen.
    pub fn set_mode(&self, mode: Mode) {
        self.0.core.mode.store(mode);
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.0.core.mode.load()
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        self.0.core.slots.limit()
    }

    /// The partition of this name, for what asks by request.
    pub fn partition(&self, name: impl Into<Name>) -> Option<Partition> {
        self.0.core.slots.find(name.into()).map(Partition)
    }

    /// The same limit for calls of this partition.
    #[must_use]
    pub fn within(&self, partition: Partition) -> Self {
        AdaptiveLimit(self.0.within(partition.0))
    }

    /// For how long the one has waited that has waited longest. Of a queue in
    /// which nobody waits that is a load.
    pub fn queue_delay(&self) -> Duration {
        self.0.core.slots.queue().oldest_age
    }

    /// Whether [controlled delay](super::CoDel) takes the queue for overloaded.
    pub fn is_overloaded(&self) -> bool {
        self.0.core.slots.queue().is_overloaded
    }

    /// How long a call that came now would wait: as many times as calls wait
    /// that matter as much or more, and once for itself, what it took of late
    /// from one that was served to the next. No time if nobody waits, or none
    /// has been served after another yet. It is for who is served in turn: who
    /// comes last and is served first waits less, and whom others pass by more.
    pub fn estimated_wait(&self, priority: Priority) -> Duration {
        self.0.core.slots.estimated_wait(priority.as_u8())
    }

    /// Plain numbers for an operator; they print as a line.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.0.core)
    }

    /// The name.
    pub fn name(&self) -> Name {
        self.0.core.name
    }

    /// Reads the clock of the limit. Only adapters need to.
    pub fn now(&self) -> Instant {
        self.0.core.meter.now()
    }

    /// A tower layer that refuses what finds no slot; all its services share
    /// them.
    pub fn layer(&self) -> AdaptiveLimitLayer {
        AdaptiveLimitLayer::new(self.clone())
    }

    /// A tower layer whose calls wait for a slot, if it was
    /// [so configured](crate::bulkhead::WhenFull::Wait).
    #[cfg(feature = "tokio")]
    pub fn queued_layer(&self) -> super::QueuedAdaptiveLimitLayer {
        super::QueuedAdaptiveLimitLayer::new(self.clone())
    }

    /// A tower layer whose services are ready once they have a slot.
    pub fn reserving_layer(&self) -> ReservingAdaptiveLimitLayer {
        ReservingAdaptiveLimitLayer::new(self.clone())
    }
}

impl Permit<'_> {
    /// Tells what became of the call, at `now`.
    #[inline(always)]
    pub fn record(self, now: Instant, outcome: Outcome) {
        if let Some((core, began)) = self.inner().seen() {
            Metered::record(core, began, now, outcome);
        }
    }

    /// The caller stopped waiting at `now`: after long, that counts as a call
    /// that was too much.
    pub fn cancelled(self, now: Instant) {
        if let Some((core, began)) = self.inner().seen() {
            Metered::cut_short(core, began, now);
        }
    }
}

impl OwnedPermit {
    /// Tells what became of the call, at `now`.
    #[inline(always)]
    pub fn record(self, now: Instant, outcome: Outcome) {
        if let Some((core, began)) = self.inner().seen() {
            Metered::record(core, began, now, outcome);
        }
    }

    /// The caller stopped waiting at `now`: after long, that counts as a call
    /// that was too much.
    pub fn cancelled(self, now: Instant) {
        if let Some((core, began)) = self.inner().seen() {
            Metered::cut_short(core, began, now);
        }
    }
}

impl Sealed for AdaptiveLimit {}

impl Limiter for AdaptiveLimit {
    type Meter = Metered;

    #[inline(always)]
    fn handle(&self) -> &Handle<Metered> {
        &self.0
    }
}

impl fmt::Debug for AdaptiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit")
            .field("name", &self.name())
            .field("limit", &self.limit())
            .field("in_flight", &self.0.core.slots.taken())
            .finish_non_exhaustive()
    }
}
