//! Numbers that mechanisms share: settings that change live, and counts for
//! operators. Not public API.

use crate::sync::{AtomicU64, Ordering};

/// A setting, changeable live.
///
/// Layout    the value.
/// Invariant none: settings change one word at a time, and a call that races
///           with an update may be judged by some of the old and some of the
///           new.
/// Writers   `store`. Readers `load`.
/// Orderings all Relaxed: a number.
#[derive(Debug)]
pub struct Setting(AtomicU64);

impl Setting {
    /// A setting of this value.
    pub fn new(value: u64) -> Self {
        Setting(AtomicU64::new(value))
    }

    /// The value.
    #[inline(always)]
    pub fn load(&self) -> u64 {
        // ORDERING: Relaxed: a setting; no other memory is read on its
        // strength.
        self.0.load(Ordering::Relaxed)
    }

    /// Changes it.
    pub fn store(&self, value: u64) {
        // ORDERING: Relaxed: a setting.
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A count for the operator, off the path of calls without extra attempts.
///
/// Layout    the count.
/// Invariant never decreases.
/// Writers   `count`. Readers `load`.
/// Orderings all Relaxed: a statistic.
#[derive(Debug)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Nothing counted yet.
    #[expect(clippy::new_without_default, reason = "made once, by name")]
    pub fn new() -> Self {
        Tally(AtomicU64::new(0))
    }

    /// Counts one, and says how many there were before.
    pub fn count(&self) -> u64 {
        // ORDERING: Relaxed: a statistic; no other memory is read on its
        // strength.
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The count.
    pub fn load(&self) -> u64 {
        // ORDERING: Relaxed: a statistic.
        self.0.load(Ordering::Relaxed)
    }
}
