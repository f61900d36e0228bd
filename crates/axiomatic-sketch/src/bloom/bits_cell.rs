//! Sixty-four bits that threads set at the same time: the only atomic of the
//! filters, and the only place that writes one.

use axiomatic_core::sync::{AtomicU64, Ordering};

/// A word of a shared filter.
///
/// Layout    64 bits of the filter.
/// Invariant a bit that is set stays set: nothing clears one.
/// Writers   `add`. Readers `load`.
/// Orderings all Relaxed: bits speak of nothing but themselves. Bits are never
///           lost, since all steps on one word, and so all the ORs, have one
///           order whatever their ordering. What a thread has to see because
///           of something else (a join, a lock, a flag released and acquired)
///           it sees: that an older value than one that happened before is
///           read is forbidden for Relaxed too.
#[derive(Debug)]
pub(super) struct Bits(AtomicU64);

impl Bits {
    pub(super) fn new(bits: u64) -> Self {
        Bits(AtomicU64::new(bits))
    }

    #[inline(always)]
    pub(super) fn load(&self) -> u64 {
        // ORDERING: Relaxed: a set bit says that somebody set it, and leads to
        // no other memory; stale words lack bits, which callers bear.
        self.0.load(Ordering::Relaxed)
    }

    /// Sets these bits in one step, and says which of them had not been set:
    /// each bit is told to one thread as its own, whoever races.
    #[inline(always)]
    pub(super) fn add(&self, bits: u64) -> u64 {
        #[cfg(all(test, not(axiomatic_loom)))]
        writes::count();
        // ORDERING: Relaxed: of several at one word, each ORs what the one
        // before it left, under any ordering; no other memory is published.
        let old = self.0.fetch_or(bits, Ordering::Relaxed);
        bits & !old
    }
}

/// How often this thread has written to any word: a cache line that is only
/// read stays with every core that reads it, which is what a repeated insert
/// promises.
#[cfg(all(test, not(axiomatic_loom)))]
pub(super) mod writes {
    use std::cell::Cell;

    thread_local! {
        static WRITES: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        WRITES.set(WRITES.get() + 1);
    }

    /// What `of` answers, and with how many writes.
    pub(in crate::bloom) fn during<T>(of: impl FnOnce() -> T) -> (T, u64) {
        let before = WRITES.get();
        let answer = of();
        (answer, WRITES.get() - before)
    }
}
