use std::fmt;
use std::time::Duration;

use axiomatic_core::shared::Shared;
use axiomatic_core::time::Instant;
use axiomatic_core::{Context, Mode, Name, Rejected};
#[cfg(feature = "keyed")]
use axiomatic_core::{Pattern, Reason};

use super::mechanism::Core;
use super::state::Event;
#[cfg(feature = "subscribe")]
use super::subscription::Transitions;
use super::ticket::Ticket;
use super::{CircuitBreakerLayer, Config, OwnedPermit, Permit, Snapshot, State, UpdateError};

/// A circuit breaker: a handle to shared state, cheap to clone.
///
/// It works without tower and without a runtime: [`admit`] asks, the
/// [`Permit`] tells.
///
/// ```
/// use axiomatic_core::Outcome;
/// use axiomatic_failure::circuit_breaker::{CircuitBreaker, State};
///
/// # fn main() -> Result<(), axiomatic_core::Rejected> {
/// let breaker = CircuitBreaker::default();
/// let permit = breaker.admit(breaker.now())?;
/// // … the call …
/// permit.record(breaker.now(), Outcome::Success);
/// assert_eq!(breaker.state(), State::Closed);
/// # Ok(())
/// # }
/// ```
///
/// [`admit`]: CircuitBreaker::admit
#[derive(Clone)]
pub struct CircuitBreaker {
    core: Shared<Core>,
}

impl CircuitBreaker {
    pub(super) fn from_checked(config: &Config) -> Self {
        let core = Core::new(config);
        CircuitBreaker {
            core: if config.compact {
                Shared::compact(core)
            } else {
                Shared::new(core)
            },
        }
    }

    /// Asks whether a call may be made at `now`.
    ///
    /// All instants that a breaker is given must be of one monotonic clock;
    /// if that is not the machine's, [`Config::clock`] says which, since
    /// operators' methods read it. A small step back is harmless; a step back
    /// by more than the window lasts blinds a window of time until the clock
    /// has caught up.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Open`](axiomatic_core::Reason::Open), and the remaining time where it is
    /// known.
    #[inline(always)]
    pub fn admit(&self, now: Instant) -> Result<Permit<'_>, Rejected> {
        self.admit_with(now, None)
    }

    /// The same for a call with this context, which may have a slow threshold
    /// of its own.
    ///
    /// ```
    /// use axiomatic_core::{Context, Outcome};
    /// use axiomatic_failure::circuit_breaker::Config;
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let breaker = Config::default().slow_after(Duration::from_millis(200)).build()?;
    /// let report = Context::default().with_slow_after(Duration::from_secs(5));
    /// let permit = breaker.admit_for(&report, breaker.now())?;
    /// permit.record(breaker.now(), Outcome::Success);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`admit`](CircuitBreaker::admit).
    pub fn admit_for(&self, context: &Context, now: Instant) -> Result<Permit<'_>, Rejected> {
        self.admit_with(now, context.slow_after())
    }

    #[inline(always)]
    fn admit_with(&self, now: Instant, own: Option<Duration>) -> Result<Permit<'_>, Rejected> {
        let ticket = self.core.admit(|| now, own);
        if ticket.is_refused() {
            return Err(self.core.rejected(ticket));
        }
        Ok(Permit::new(&self.core, ticket))
    }

    /// As [`admit`](CircuitBreaker::admit), for a call that outlives the
    /// borrow of the breaker.
    ///
    /// # Errors
    ///
    /// As [`admit`](CircuitBreaker::admit).
    #[inline(always)]
    pub fn admit_owned(&self, now: Instant) -> Result<OwnedPermit, Rejected> {
        self.admit_reading(|| now, None)
    }

    /// As [`admit_for`](CircuitBreaker::admit_for), for a call that outlives
    /// the borrow of the breaker.
    ///
    /// # Errors
    ///
    /// As [`admit`](CircuitBreaker::admit).
    pub fn admit_owned_for(
        &self,
        context: &Context,
        now: Instant,
    ) -> Result<OwnedPermit, Rejected> {
        self.admit_reading(|| now, context.slow_after())
    }

    /// The same, with a clock that is read only if the answer depends on it:
    /// a closed breaker that does not measure slowness needs no time to
    /// admit.
    #[inline(always)]
    pub(super) fn admit_reading(
        &self,
        now: impl Fn() -> Instant,
        own: Option<Duration>,
    ) -> Result<OwnedPermit, Rejected> {
        let ticket = self.core.admit(now, own);
        if ticket.is_refused() {
            return Err(self.core.rejected(ticket));
        }
        Ok(OwnedPermit::new(self.core.hold(), ticket))
    }

    /// Whether the slow threshold of a call's context is asked for.
    #[inline(always)]
    pub(super) fn measures_slowness(&self) -> bool {
        self.core.measures_slowness()
    }

    /// The refusal that a call would meet now, without asking for one.
    #[inline(always)]
    pub(super) fn look(&self) -> Option<Ticket> {
        self.core.look()
    }

    /// What the handles share.
    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// A refused ticket in words.
    #[inline]
    pub(super) fn rejected(&self, refused: Ticket) -> Rejected {
        self.core.rejected(refused)
    }

    /// Reads the breaker's clock. Only adapters need to.
    #[inline]
    pub fn now(&self) -> Instant {
        self.core.now()
    }

    /// What the breaker does at present.
    pub fn state(&self) -> State {
        self.core.state()
    }

    /// The breaker's name.
    pub fn name(&self) -> Name {
        self.core.name()
    }

    /// Plain numbers for an operator; they print as a line.
    pub fn snapshot(&self) -> Snapshot {
        self.core.snapshot(self.now())
    }

    /// Refuses every call until [`reset`](CircuitBreaker::reset) or
    /// [`force_closed`](CircuitBreaker::force_closed).
    pub fn force_open(&self) {
        self.core.apply(self.now(), Event::ForcedOpen);
    }

    /// Lets every call pass, and counts, until
    /// [`reset`](CircuitBreaker::reset) or
    /// [`force_open`](CircuitBreaker::force_open).
    pub fn force_closed(&self) {
        self.core.apply(self.now(), Event::ForcedClosed);
    }

    /// Begins anew: closed, with an empty window. Calls under way no longer
    /// decide anything.
    pub fn reset(&self) {
        self.core.reset(self.now());
    }

    /// Switches between enforcing, shadowing and standing aside. Permits
    /// issued earlier still settle.
    pub fn set_mode(&self, mode: Mode) {
        self.core.set_mode(mode);
    }

    /// Whether the breaker acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.core.mode()
    }

    /// The same for the adaptive part of a breaker alone; on a breaker without
    /// one it has no effect. In shadow, the share that it would refuse shows
    /// in the snapshot, and the calls pass and are counted.
    pub fn set_adaptive_mode(&self, mode: Mode) {
        self.core.set_adaptive_mode(mode);
    }

    /// The transitions from now on, for whoever wants to know of them without
    /// reading the log: bounded, and no caller of the breaker ever waits for
    /// a subscriber.
    ///
    /// ```
    /// use axiomatic_failure::circuit_breaker::{CircuitBreaker, State};
    ///
    /// let breaker = CircuitBreaker::default();
    /// let mut transitions = breaker.subscribe();
    /// breaker.force_open();
    /// let transition = transitions.try_next().expect("one").expect("none missed");
    /// assert_eq!(transition.to(), State::ForcedOpen);
    /// ```
    #[cfg(feature = "subscribe")]
    pub fn subscribe(&self) -> Transitions {
        self.core.subscribe()
    }

    /// Changes thresholds, durations and probe counts while calls are under
    /// way; the state and the window's content stay. Name, clock and seed are
    /// those of the construction, the mode is that of
    /// [`set_mode`](CircuitBreaker::set_mode). Where slow calls are seen in
    /// flight, the steps of the window stay those of the first slow threshold.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if the configuration could not have been built, or if
    /// it changes what is fixed at construction: the window, whether slow
    /// calls are seen in flight, whether it is adaptive, and more concurrent
    /// probes than there are leases. Nothing was changed then.
    pub fn update(&self, config: &Config) -> Result<(), UpdateError> {
        self.core.update(config)
    }

    /// A tower layer over this breaker; all its services share it.
    pub fn layer(&self) -> CircuitBreakerLayer {
        CircuitBreakerLayer::new(self.clone())
    }
}

/// What a store of breakers by key asks of them.
#[cfg(feature = "keyed")]
impl CircuitBreaker {
    /// Whether it knows nothing that a new one would not know, no call is
    /// under way, and nobody else has a handle to it.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        // In this order: a call tells what it knows before it lets go.
        !self.core.is_held() && self.core.is_as_new(now)
    }

    /// The same where a refusal is not enforced, and so not told to anybody.
    pub(super) fn admit_unless_refused(
        &self,
        now: Instant,
        own: Option<Duration>,
    ) -> Option<OwnedPermit> {
        let ticket = self.core.admit(|| now, own);
        let is_admitted = !ticket.is_refused();
        is_admitted.then(|| OwnedPermit::new(self.core.hold(), ticket))
    }

    /// A refusal for want of a place.
    pub(super) fn rejected_as_full(&self) -> Rejected {
        self.core.telemetry.refused();
        Rejected::new(Pattern::CircuitBreaker, Reason::Full).with_name(self.name())
    }

    /// Counts a call that passes because another refusal is not enforced.
    pub(super) fn would_refuse(&self) {
        self.core.would_refuse();
    }
}

impl Default for CircuitBreaker {
    /// The breaker of [`Config::default`].
    fn default() -> Self {
        // A test builds the default configuration, which is what `build`
        // would check.
        CircuitBreaker::from_checked(&Config::default())
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
