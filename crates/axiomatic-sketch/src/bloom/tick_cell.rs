//! What counts the keys of a filter that forgets by how many came.

use axiomatic_core::sync::{AtomicU64, Ordering};

/// How many keys were new.
///
/// Layout    the count, alone on two cache lines, because processors fetch
///           them in pairs and all questions read what lies beside it.
/// Invariant never decreases; no two callers get the same number.
/// Writers   `next`. Readers `load`.
/// Orderings all Relaxed: a number; generations are advanced to it, but hold
///           nothing that it publishes.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct TickCell(AtomicU64);

impl TickCell {
    pub(super) fn new() -> Self {
        TickCell(AtomicU64::new(0))
    }

    /// How many came before this one.
    #[inline(always)]
    pub(super) fn next(&self) -> u64 {
        // ORDERING: Relaxed: a number.
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn load(&self) -> u64 {
        // ORDERING: Relaxed: a statistic.
        self.0.load(Ordering::Relaxed)
    }
}
