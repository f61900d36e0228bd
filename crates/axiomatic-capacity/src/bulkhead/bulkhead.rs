use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_core::context::Priority;
use axiomatic_core::{Mode, Name, Rejected};

use super::{
    Admission, Ask, BulkheadLayer, OwnedPermit, Partition, Permit, ReservingBulkheadLayer,
    Snapshot, Unmetered,
};
use crate::gate::{Handle, Limiter, Sealed};

/// So many calls at a time: a handle to shared slots, cheap to clone.
///
/// It works without tower and without a runtime: [`admit`](Bulkhead::admit)
/// asks, and the slot is given back when the [`Permit`] is dropped.
///
/// ```
/// use axiomatic_capacity::bulkhead::Config;
/// use axiomatic_core::Reason;
/// use std::num::NonZeroU32;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bulkhead = Config::new(NonZeroU32::MIN).named("report").build()?;
/// let permit = bulkhead.admit()?;
/// let refused = bulkhead.admit().unwrap_err();
/// assert_eq!(refused.reason(), Reason::Full);
/// drop(permit);
/// assert!(bulkhead.admit().is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Bulkhead(pub(crate) Handle<Unmetered>);

impl Bulkhead {
    /// Asks for a slot that is free. It takes no time as an argument, since no
    /// decision here depends on it.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Full`](axiomatic_core::Reason::Full).
    #[inline(always)]
    pub fn admit(&self) -> Result<Permit<'_>, Rejected> {
        self.0.admit_borrowed(1)
    }

    /// The same for a call that takes so many slots.
    ///
    /// # Errors
    ///
    /// As [`admit`](Bulkhead::admit).
    #[inline(always)]
    pub fn admit_weighing(&self, slots: NonZeroU32) -> Result<Permit<'_>, Rejected> {
        self.0.admit_borrowed(slots.get())
    }

    /// The same with a permit that outlives the borrow.
    ///
    /// # Errors
    ///
    /// As [`admit`](Bulkhead::admit).
    #[inline(always)]
    pub fn admit_owned(&self, ask: Ask) -> Result<OwnedPermit, Rejected> {
        self.0.admit(ask)
    }

    /// Asks for a slot, and has a place in the queue if there is none. In
    /// shadow nobody waits.
    ///
    /// ```
    /// use axiomatic_capacity::bulkhead::{Admission, Ask, Config, Order, WhenFull};
    /// # use std::num::NonZeroU32;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bulkhead = Config::new(NonZeroU32::MIN)
    ///     .when_full(WhenFull::Wait {
    ///         max_waiting: 10,
    ///         max_wait: Duration::from_secs(1),
    ///         order: Order::Fifo,
    ///     })
    ///     .build()?;
    /// let first = bulkhead.admit()?;
    /// let Admission::Waiting(second) = bulkhead.admit_or_wait(Ask::default())? else {
    ///     unreachable!("the only slot is taken");
    /// };
    /// drop(first);
    /// let permit = second.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where there is no slot: [`Rejected`] with
    /// [`Reason::Full`](axiomatic_core::Reason::Full) if it weighs more than
    /// there is or nobody waits here, with `QueueFull` if there is no place left
    /// that it could have, with `Expired` if its deadline has passed. The future
    /// says those too, and `WaitedTooLong`. A slot that is free is given without
    /// a look at the clock.
    #[inline(always)]
    pub fn admit_or_wait(&self, ask: Ask) -> Result<Admission, Rejected> {
        self.0.admit_or_wait(ask)
    }

    /// Changes how many calls there may be at a time, to at most
    /// [`Config::MOST`](super::Config::MOST). More are let in at once. What is
    /// beyond fewer goes on, and nobody is let in until enough of it has ended.
    /// Who waits for more than there is now is refused.
    pub fn resize(&self, limit: NonZeroU32) {
        self.0.core.resize(limit.get(), "asked for");
    }

    /// Changes how long those may wait that come from now on.
    pub fn set_max_wait(&self, max_wait: Duration) {
        let nanos = axiomatic_core::time::saturating_nanos(max_wait);
        self.0.core.max_wait.store(nanos);
    }

    /// Switches between enforcing, shadowing and standing aside, for calls that
    /// come from now on. In shadow, the excess passes and is counted apart.
    pub fn set_mode(&self, mode: Mode) {
        self.0.core.mode.store(mode);
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.0.core.mode.load()
    }

    /// The partition of this name, for what asks by request.
    pub fn partition(&self, name: impl Into<Name>) -> Option<Partition> {
        self.0.core.slots.find(name.into()).map(Partition)
    }

    /// The same bulkhead for calls of this partition.
    ///
    /// ```
    /// # use axiomatic_capacity::bulkhead::{Config, Partitions, Sharing};
    /// # use axiomatic_core::Ratio;
    /// # use std::num::NonZeroU32;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let limit = NonZeroU32::new(10).ok_or("no slots")?;
    /// let shares = Partitions::new(Sharing::Reserved).with("checkout", Ratio::percent(50));
    /// let bulkhead = Config::new(limit).partitions(shares).build()?;
    /// let checkout = bulkhead.partition("checkout").ok_or("no such partition")?;
    /// let checkout = bulkhead.within(checkout);
    /// let permit = checkout.admit()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn within(&self, partition: Partition) -> Self {
        Bulkhead(self.0.within(partition.0))
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

    /// A tower layer that refuses what finds no slot; all its services share
    /// them.
    pub fn layer(&self) -> BulkheadLayer {
        BulkheadLayer::new(self.clone())
    }

    /// A tower layer whose calls wait for a slot, if it was
    /// [so configured](super::WhenFull::Wait).
    #[cfg(feature = "tokio")]
    pub fn queued_layer(&self) -> super::QueuedBulkheadLayer {
        super::QueuedBulkheadLayer::new(self.clone())
    }

    /// A tower layer whose services are ready once they have a slot: readiness
    /// as backpressure, at the price that who is ready and idle keeps others
    /// out.
    pub fn reserving_layer(&self) -> ReservingBulkheadLayer {
        ReservingBulkheadLayer::new(self.clone())
    }
}

impl Sealed for Bulkhead {}

impl Limiter for Bulkhead {
    type Meter = Unmetered;

    #[inline(always)]
    fn handle(&self) -> &Handle<Unmetered> {
        &self.0
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.name())
            .field("limit", &self.0.core.slots.limit())
            .field("in_flight", &self.0.core.slots.taken())
            .finish_non_exhaustive()
    }
}
