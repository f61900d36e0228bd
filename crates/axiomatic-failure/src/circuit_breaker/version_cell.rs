use axiomatic_core::sync::{AtomicU64, Ordering};

/// How many updates there were, or how many of them a breaker has had.
///
/// Layout    63..0 a count
/// Invariant it never decreases; it is stored under the lock of the
///           configuration that it counts.
/// Writers   `store`. Readers `number` (hot).
/// Orderings `store` releases, `number` acquires: who sees that a breaker has
///           had an update sees its settings.
pub(super) struct Version(AtomicU64);

impl Version {
    pub(super) fn new(number: u64) -> Self {
        Version(AtomicU64::new(number))
    }

    #[inline]
    pub(super) fn number(&self) -> u64 {
        // ORDERING: Acquire: observes the settings that another thread gave
        // the breaker; pairs with the Release in `store`.
        // SURVIVES: the store of keys is not loom's, so no model has it; and
        // a call may meet a setting a moment late without harm.
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn store(&self, number: u64) {
        // ORDERING: Release: publishes the settings; pairs with the Acquire
        // in `number`.
        // SURVIVES: as above.
        self.0.store(number, Ordering::Release);
    }
}
