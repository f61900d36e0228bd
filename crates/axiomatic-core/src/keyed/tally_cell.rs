use crate::sync::{AtomicU64, Ordering};

/// A number for the operator.
///
/// Writers   `add`. Readers `load`.
/// Orderings Relaxed: a statistic; nothing is decided by it.
#[derive(Debug)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    pub(super) fn new() -> Self {
        Tally(AtomicU64::new(0))
    }

    pub(super) fn add(&self) {
        // ORDERING: Relaxed: a statistic.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> u64 {
        // ORDERING: Relaxed: a statistic.
        self.0.load(Ordering::Relaxed)
    }
}
