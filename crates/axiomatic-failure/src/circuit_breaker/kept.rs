//! A breaker as the store of keys has it, and what all of them are made by.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axiomatic_core::Mode;
use axiomatic_core::keyed::Idle;
use axiomatic_core::time::Instant;

use super::version_cell::Version;
use super::{CircuitBreaker, Config, UpdateError};

/// The breaker of a key, or the one of those for which there is no place.
pub(super) struct Kept {
    breaker: CircuitBreaker,
    /// How many updates it has had.
    has: Version,
}

/// What breakers are made by.
pub(super) struct Mould {
    /// Of the construction: how many leases there are, and how long a step of
    /// the window is, is the same for all keys.
    first: Config,
    /// As it was updated last.
    current: Mutex<Config>,
    updates: Version,
}

impl Idle for Kept {
    fn is_idle(&self, now: Instant) -> bool {
        // An operator's switch is no less than a forced state.
        self.breaker.mode() == Mode::Enforce && self.breaker.is_idle(now)
    }
}

impl Mould {
    pub(super) fn new(config: Config) -> Self {
        Mould {
            first: config.clone(),
            current: Mutex::new(config),
            updates: Version::new(0),
        }
    }

    pub(super) fn make(&self) -> Kept {
        Kept {
            breaker: CircuitBreaker::from_checked(&self.first),
            has: Version::new(0),
        }
    }

    /// The breaker, after all updates so far: one that was being made during
    /// an update has it before its first call.
    #[inline]
    pub(super) fn updated<'k>(&self, kept: &'k Kept) -> &'k CircuitBreaker {
        if kept.has.number() != self.updates.number() {
            self.catch_up(kept);
        }
        &kept.breaker
    }

    #[cold]
    fn catch_up(&self, kept: &Kept) {
        // Under the lock, so that no older one comes last.
        let current = self.lock();
        let taken = kept.breaker.update(&current);
        debug_assert!(taken.is_ok(), "one that was built alike took it");
        kept.has.store(self.updates.number());
    }

    /// Changes what `alike`, which was built by the same configuration,
    /// accepts.
    pub(super) fn update(
        &self,
        config: &Config,
        alike: &CircuitBreaker,
    ) -> Result<(), UpdateError> {
        let mut current = self.lock();
        let updated = config.clone().of_the_kind_of(&current);
        alike.update(&updated)?;
        *current = updated;
        self.updates.store(self.updates.number() + 1);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Config> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
