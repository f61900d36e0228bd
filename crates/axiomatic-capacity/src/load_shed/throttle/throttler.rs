use std::fmt;

use axiomatic_core::context::Priority;
use axiomatic_core::shared::Shared;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Name, Reason, Rejected};

use super::core::Core;
use super::{Config, OwnedPermit, Permit, Share, Snapshot, ThrottleLayer, UpdateError};

/// A client-side throttler: a handle to shared state, cheap to clone.
///
/// It works without tower and without a runtime: [`admit`] asks, the
/// [`Permit`] tells.
///
/// ```
/// use axiomatic_capacity::load_shed::throttle::Throttler;
/// use axiomatic_core::Outcome;
/// use axiomatic_core::context::Priority;
///
/// # fn main() -> Result<(), axiomatic_core::Rejected> {
/// let throttler = Throttler::default();
/// let permit = throttler.admit(throttler.now(), Priority::CRITICAL)?;
/// // … the call …
/// permit.record(throttler.now(), Outcome::Success);
/// assert_eq!(throttler.snapshot().accepts(), 1);
/// # Ok(())
/// # }
/// ```
///
/// [`admit`]: Throttler::admit
#[derive(Clone)]
pub struct Throttler(Shared<Core>);

impl Throttler {
    pub(super) fn from_checked(config: &Config) -> Self {
        Throttler(Shared::new(Core::new(config)))
    }

    /// Asks whether a call of this priority may be made at `now`.
    ///
    /// All instants that a throttler is given must be of one monotonic clock;
    /// if that is not the machine's, [`Config::clock`] says which. A small
    /// step back is harmless.
    ///
    /// Without a [prioritizer](super::Config::prioritizer) all priorities are
    /// alike.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Shed`]: too few of the last calls were
    /// accepted, and this is one of those that are kept back.
    #[inline(always)]
    pub fn admit(&self, now: Instant, priority: Priority) -> Result<Permit<'_>, Rejected> {
        let counts = self.0.admit(now, || priority)?;
        Ok(Permit::new(&self.0, counts))
    }

    /// As [`admit`](Throttler::admit), for a call that outlives the borrow of
    /// the throttler.
    ///
    /// # Errors
    ///
    /// As [`admit`](Throttler::admit).
    #[inline(always)]
    pub fn admit_owned(&self, now: Instant, priority: Priority) -> Result<OwnedPermit, Rejected> {
        self.admit_asking(now, || priority)
    }

    /// The same, with a priority that is looked up only if some calls are
    /// refused.
    #[inline(always)]
    pub(super) fn admit_asking(
        &self,
        now: Instant,
        priority: impl FnOnce() -> Priority,
    ) -> Result<OwnedPermit, Rejected> {
        let counts = self.0.admit(now, priority)?;
        Ok(OwnedPermit::new(self.0.hold(), counts))
    }

    /// A refusal in words that is counted as nothing.
    pub(super) fn rejected(&self, reason: Reason) -> Rejected {
        self.0.rejected(reason)
    }

    /// Reads the throttler's clock. Only adapters need to.
    #[inline]
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// The share of the calls that is refused, as it was last computed: when a
    /// call came and it was time to.
    pub fn refused_share(&self) -> Share {
        self.0.refused_share()
    }

    /// The throttler's name.
    pub fn name(&self) -> Name {
        self.0.name()
    }

    /// Plain numbers for an operator; they print as a line.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot(self.now())
    }

    /// Switches between enforcing, shadowing and standing aside. Permits
    /// issued earlier still tell.
    pub fn set_mode(&self, mode: Mode) {
        self.0.set_mode(mode);
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.0.mode()
    }

    /// Changes the rule, the caps and the probe interval while calls are under
    /// way; what was counted stays. They hold from the next time on that the
    /// share is computed. Name, clock and seed are those of the construction,
    /// the mode is that of [`set_mode`](Throttler::set_mode).
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if the configuration could not have been built, or if
    /// it changes what is fixed at construction: the window, and how often the
    /// share is computed. Nothing was changed then.
    pub fn update(&self, config: &Config) -> Result<(), UpdateError> {
        self.0.update(config)
    }

    /// A tower layer over this throttler; all its services share it.
    pub fn layer(&self) -> ThrottleLayer {
        ThrottleLayer::new(self.clone())
    }
}

impl Default for Throttler {
    /// The throttler of [`Config::default`].
    fn default() -> Self {
        // A test builds the default configuration, which is what `build`
        // would check.
        Throttler::from_checked(&Config::default())
    }
}

impl fmt::Debug for Throttler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttler")
            .field("name", &self.name())
            .field("refused_share", &self.refused_share())
            .finish_non_exhaustive()
    }
}
