use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::Instant;

use super::state::Generation;

/// When each probe under way is overdue.
///
/// A probe first takes its place in the phase, then a slot here; it frees the
/// slot first. So a free slot is always found, and a slot of another
/// generation is free.
pub(super) struct Leases(Box<[Lease]>);

impl Leases {
    pub(super) fn new(slots: u8) -> Self {
        Leases((0..slots).map(|_| Lease(AtomicU64::new(0))).collect())
    }

    pub(super) fn slots(&self) -> u8 {
        self.0.len() as u8
    }

    /// Takes a slot for a probe that is overdue at `due`.
    ///
    /// Some slot is free at every moment, since at most as many probes have a
    /// place; a pass that misses it lost races to probes that came or went. A
    /// probe that finds none in two passes goes without a lease: it cannot
    /// wedge the breaker unless all others are lost as well.
    pub(super) fn claim(&self, generation: Generation, due: Instant) -> Option<u8> {
        let mut slots = (0..=u8::MAX).zip(&self.0);
        // A second pass, for one that came free behind our back.
        let mut again = (0..=u8::MAX).zip(&self.0);
        slots
            .by_ref()
            .chain(again.by_ref())
            .find(|(_, lease)| lease.claim(generation, due))
            .map(|(slot, _)| slot)
    }

    /// Frees the slot of a probe. Within a generation a slot has one holder,
    /// so its number says enough.
    pub(super) fn release(&self, generation: Generation, slot: u8) {
        self.0[usize::from(slot)].release(generation);
    }

    /// Whether a probe of this generation is overdue.
    pub(super) fn ran_out(&self, generation: Generation, now: Instant) -> bool {
        self.0.iter().any(|lease| lease.ran_out(generation, now))
    }
}

/// When one probe is overdue.
///
/// Layout    | 63..26 generation | 25..0 due, in steps of 1.05 ms from the
///           generation's beginning |
/// Invariant 0 is free, and so is a word of another generation.
/// Writers   `claim`, `release`. Readers `ran_out`.
/// Orderings `claim` and `release` are ordered by the cell's `replace` around
///           them.
struct Lease(AtomicU64);

const DUE_BITS: u32 = 64 - Generation::BITS;
const LAST_DUE: u64 = (1 << DUE_BITS) - 1;
const STEP: u64 = 1 << 20;

impl Lease {
    fn claim(&self, generation: Generation, due: Instant) -> bool {
        // Rounded up, and never 0: an early lease would fail a good probe.
        let nanos = due.as_nanos().saturating_sub(generation.began().as_nanos());
        let due = nanos.div_ceil(STEP).clamp(1, LAST_DUE);
        let claimed = generation.number() << DUE_BITS | due;
        // ORDERING: Relaxed: the exchange fails on any stale value.
        let word = self.0.load(Ordering::Relaxed);
        if is_of(word, generation) {
            return false;
        }
        // ORDERING: Relaxed: a lease publishes nothing but itself; who must
        // see it free or taken is ordered by the cell.
        self.0
            .compare_exchange(word, claimed, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn release(&self, generation: Generation) {
        // ORDERING: Relaxed: the exchange fails on any stale value.
        let word = self.0.load(Ordering::Relaxed);
        if is_of(word, generation) {
            // ORDERING: Relaxed: published by the cell's `replace`, which
            // gives the place back. A failure means that a later generation
            // took the slot over.
            let _ = self
                .0
                .compare_exchange(word, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn ran_out(&self, generation: Generation, now: Instant) -> bool {
        // ORDERING: Relaxed: a lease seen late is seen by the next caller.
        let word = self.0.load(Ordering::Relaxed);
        let age = now.as_nanos().saturating_sub(generation.began().as_nanos());
        is_of(word, generation) && (word & LAST_DUE) * STEP <= age
    }
}

fn is_of(word: u64, generation: Generation) -> bool {
    word != 0 && word >> DUE_BITS == generation.number()
}
