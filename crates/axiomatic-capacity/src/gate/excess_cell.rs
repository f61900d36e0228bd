use axiomatic_core::sync::{AtomicU64, Ordering};

/// What is in flight in shadow that would have been refused.
///
/// Layout    the sum of the weights.
/// Invariant not negative: what ends has begun.
/// Writers   `begin`, `end`. Readers `load`.
/// Orderings all Relaxed: a statistic.
pub(crate) struct Excess(AtomicU64);

impl Excess {
    pub(crate) fn new() -> Self {
        Excess(AtomicU64::new(0))
    }

    pub(crate) fn begin(&self, weight: u32) {
        // ORDERING: Relaxed: a statistic; no other memory is read on its
        // strength.
        self.0.fetch_add(u64::from(weight), Ordering::Relaxed);
    }

    pub(crate) fn end(&self, weight: u32) {
        // ORDERING: Relaxed: a statistic.
        self.0.fetch_sub(u64::from(weight), Ordering::Relaxed);
    }

    pub(crate) fn load(&self) -> u64 {
        // ORDERING: Relaxed: a statistic.
        self.0.load(Ordering::Relaxed)
    }
}
