use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::Instant;

use super::generation::Generation;

/// When each probe under way is overdue.
///
/// A probe first takes its place in the phase, then a slot here; it frees the
/// slot first. So a probe of the present generation always finds a free slot,
/// and a slot of an older generation is free.
pub(super) struct Leases(Box<[Lease]>);

/// What came of an attempt to claim a slot.
enum Claim {
    Done,
    /// Another probe of the generation has it, or got it first.
    Taken,
    /// The generation is over: a later one has the slot.
    Over,
}

impl Leases {
    pub(super) fn new(slots: u8) -> Self {
        Leases((0..slots).map(|_| Lease(AtomicU64::new(0))).collect())
    }

    pub(super) fn slots(&self) -> u8 {
        self.0.len() as u8
    }

    /// Takes a slot for a probe that is overdue at `due`. None if the
    /// generation of the probe is over, and its verdict late in any case.
    ///
    /// Some slot is free at every moment, since at most as many probes have a
    /// place; a pass that misses it lost races to probes that came or went,
    /// and is repeated. Lock-free.
    pub(super) fn claim(&self, generation: Generation, due: Instant) -> Option<u8> {
        loop {
            for (slot, lease) in (0..=u8::MAX).zip(&self.0) {
                match lease.claim(generation, due) {
                    Claim::Done => return Some(slot),
                    Claim::Taken => {}
                    Claim::Over => return None,
                }
            }
        }
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
/// Invariant 0 is free, and so is a word of an older generation; the
///           generation of a slot never decreases while it is taken.
/// Writers   `claim`, `release`. Readers `ran_out`.
/// Orderings `claim` and `release` are ordered by the cell's `replace` around
///           them.
struct Lease(AtomicU64);

const DUE_BITS: u32 = 64 - Generation::BITS;
const LAST_DUE: u64 = (1 << DUE_BITS) - 1;
const STEP: u64 = 1 << 20;

impl Lease {
    fn claim(&self, generation: Generation, due: Instant) -> Claim {
        // Rounded up, and never 0: an early lease would fail a good probe.
        let nanos = due.as_nanos().saturating_sub(generation.began().as_nanos());
        let due = nanos.div_ceil(STEP).clamp(1, LAST_DUE);
        let claimed = generation.number() << DUE_BITS | due;
        // ORDERING: Relaxed: the exchange fails on any stale value.
        let word = self.0.load(Ordering::Relaxed);
        match (word >> DUE_BITS).cmp(&generation.number()) {
            std::cmp::Ordering::Greater => return Claim::Over,
            std::cmp::Ordering::Equal => return Claim::Taken,
            std::cmp::Ordering::Less => {}
        }
        // ORDERING: Relaxed: a lease publishes nothing but itself; who must
        // see it free or taken is ordered by the cell.
        match self
            .0
            .compare_exchange(word, claimed, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => Claim::Done,
            Err(_) => Claim::Taken,
        }
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
