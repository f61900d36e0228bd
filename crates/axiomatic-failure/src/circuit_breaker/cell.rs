use axiomatic_core::Mode;
use axiomatic_core::sync::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use axiomatic_core::time::Instant;

use super::state::{Generation, Phase, Probes, Span, Stance};

/// The phase of a breaker, in one word, so that a verdict and the transition
/// it causes are one step.
///
/// Layout    | 63..62 stance | 61..24 generation | 23..0 payload |
///           0 closed: nothing | 1 open: its span | 2 half-open: 23..16 probes
///           in flight, 15..8 good, 7..0 bad | 3 forced: 0 open, 1 closed
/// Invariant the generation grows with every change of stance.
/// Writers   `replace`. Readers `load` (hot).
/// Orderings `replace` releases, `load` acquires: who sees a phase sees what
///           was written before it began, the lease of its first probe
///           excepted, which is claimed after.
pub(super) struct Cell(AtomicU64);

const STANCE_SHIFT: u32 = 62;
const GENERATION_SHIFT: u32 = 24;
const PAYLOAD: u64 = (1 << GENERATION_SHIFT) - 1;
const _: () = assert!(GENERATION_SHIFT + Generation::BITS == STANCE_SHIFT);

impl Cell {
    pub(super) fn new(phase: Phase) -> Self {
        Cell(AtomicU64::new(pack(phase)))
    }

    #[inline]
    pub(super) fn load(&self) -> Phase {
        // ORDERING: Acquire: observes what was written before the phase
        // began; pairs with the Release in `replace`.
        unpack(self.0.load(Ordering::Acquire))
    }

    /// Moves from one phase to the next, or says in which it is instead.
    ///
    /// Linearises at the exchange. Its callers loop: a lost race means that
    /// another's transition or probe was decided first, and the event is
    /// judged anew in the phase that it made. Lock-free.
    pub(super) fn replace(&self, from: Phase, to: Phase) -> Result<(), Phase> {
        // ORDERING: AcqRel: publishes the released lease and the evidence,
        // observes those of the phase it replaces; pairs with itself and with
        // the Acquire in `load`. Acquire on failure: as `load`.
        self.0
            .compare_exchange(pack(from), pack(to), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(unpack)
    }
}

fn pack(phase: Phase) -> u64 {
    let (stance, payload) = match phase.stance {
        Stance::Closed => (0, 0),
        Stance::Open(span) => (1, span.number()),
        Stance::HalfOpen(probes) => (
            2,
            u64::from(probes.in_flight) << 16 | u64::from(probes.good) << 8 | u64::from(probes.bad),
        ),
        Stance::ForcedOpen => (3, 0),
        Stance::ForcedClosed => (3, 1),
    };
    stance << STANCE_SHIFT | phase.generation.number() << GENERATION_SHIFT | payload
}

#[inline]
fn unpack(word: u64) -> Phase {
    let payload = word & PAYLOAD;
    let stance = match word >> STANCE_SHIFT {
        0 => Stance::Closed,
        1 => Stance::Open(Span::from_number(payload)),
        2 => Stance::HalfOpen(Probes {
            in_flight: (payload >> 16) as u8,
            good: (payload >> 8) as u8,
            bad: payload as u8,
        }),
        _ if payload == 0 => Stance::ForcedOpen,
        _ => Stance::ForcedClosed,
    };
    Phase {
        generation: Generation::from_number(word >> GENERATION_SHIFT),
        stance,
    }
}

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
    /// place; a pass that misses it lost races to probes that came or went.
    pub(super) fn claim(&self, generation: Generation, due: Instant) -> Option<Claim> {
        // A place was granted under rules that `update` may have widened
        // beyond the slots: then a probe goes without a lease.
        for _ in 0..self.0.len() {
            for (slot, lease) in self.0.iter().enumerate() {
                if let Some(word) = lease.claim(generation, due) {
                    return Some(Claim {
                        slot: slot as u8,
                        word,
                    });
                }
            }
        }
        None
    }

    pub(super) fn release(&self, claim: Claim) {
        self.0[usize::from(claim.slot)].release(claim.word);
    }

    /// Whether a probe of this generation is overdue.
    pub(super) fn ran_out(&self, generation: Generation, now: Instant) -> bool {
        self.0.iter().any(|lease| lease.ran_out(generation, now))
    }
}

/// A slot that a probe has taken.
#[derive(Copy, Clone, Debug)]
pub(super) struct Claim {
    slot: u8,
    word: u64,
}

/// When one probe is overdue.
///
/// Layout    | 63..48 generation, low bits | 47..0 due, in steps of 65.5 µs |
/// Invariant 0 is free, and so is a word of another generation.
/// Writers   `claim`, `release`. Readers `ran_out`.
/// Orderings `claim` and `release` are ordered by the cell's `replace` around
///           them.
struct Lease(AtomicU64);

const DUE_BITS: u32 = 48;
const LAST_DUE: u64 = (1 << DUE_BITS) - 1;

impl Lease {
    fn claim(&self, generation: Generation, due: Instant) -> Option<u64> {
        let tag = generation.number() & (u64::MAX >> DUE_BITS);
        // Rounded up, and never 0: an early lease would fail a good probe.
        let due = ((due.as_nanos() >> (64 - DUE_BITS)) + 1).min(LAST_DUE);
        let claimed = tag << DUE_BITS | due;
        // ORDERING: Relaxed: the exchange fails on any stale value.
        let word = self.0.load(Ordering::Relaxed);
        if word != 0 && word >> DUE_BITS == tag {
            return None;
        }
        // ORDERING: Relaxed: a lease publishes nothing but itself; who must
        // see it free or taken is ordered by the cell.
        self.0
            .compare_exchange(word, claimed, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
            .then_some(claimed)
    }

    fn release(&self, claimed: u64) {
        // ORDERING: Relaxed: published by the cell's `replace`, which gives
        // the place back. A failure means that a later generation took the
        // slot over.
        let _ = self
            .0
            .compare_exchange(claimed, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn ran_out(&self, generation: Generation, now: Instant) -> bool {
        // ORDERING: Relaxed: a lease seen late is seen by the next caller.
        let word = self.0.load(Ordering::Relaxed);
        let tag = generation.number() & (u64::MAX >> DUE_BITS);
        let due = word & LAST_DUE;
        word != 0 && word >> DUE_BITS == tag && due <= now.as_nanos() >> (64 - DUE_BITS)
    }
}

/// Failures in a row, with no success between them.
///
/// Layout    | 63..26 generation | 25..0 failures |
/// Invariant the generation never decreases.
/// Writers   `failed`, `succeeded`.
/// Orderings the count is all there is; the cell orders generations.
pub(super) struct Streak(AtomicU64);

const STREAK_BITS: u32 = 64 - Generation::BITS;
const LONGEST_STREAK: u64 = (1 << STREAK_BITS) - 1;

impl Streak {
    pub(super) fn new() -> Self {
        Streak(AtomicU64::new(0))
    }

    /// Counts a failure and says how many there are now; none, if the
    /// generation is over.
    ///
    /// Linearises at the exchange; a lost race means that another result was
    /// counted first. Lock-free.
    pub(super) fn failed(&self, generation: Generation) -> u64 {
        // ORDERING: Relaxed: a count; the exchange fails on any stale value.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let counted = word >> STREAK_BITS;
            let failures = match counted.cmp(&generation.number()) {
                std::cmp::Ordering::Greater => return 0,
                std::cmp::Ordering::Equal => ((word & LONGEST_STREAK) + 1).min(LONGEST_STREAK),
                std::cmp::Ordering::Less => 1,
            };
            let next = generation.number() << STREAK_BITS | failures;
            // ORDERING: Relaxed: a count; no other memory is read on its
            // strength.
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return failures,
                Err(current) => word = current,
            }
        }
    }

    /// Ends the streak. Where there is none, nothing is written, so that
    /// successes share the line.
    #[inline]
    pub(super) fn succeeded(&self, generation: Generation) {
        // ORDERING: Relaxed: a failure not yet seen here came after this
        // success.
        let word = self.0.load(Ordering::Relaxed);
        if word & LONGEST_STREAK != 0 && word >> STREAK_BITS == generation.number() {
            // ORDERING: Relaxed: a count. A lost race is a failure that came
            // after this success, or a success that did the work.
            let _ = self.0.compare_exchange(
                word,
                word & !LONGEST_STREAK,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }
}

/// How often in a row the breaker has opened without a stable time between.
/// It only scales a duration, so it is written after the transition that it
/// counts, and may lag by one.
pub(super) struct Reopenings(AtomicU32);

impl Reopenings {
    pub(super) fn new() -> Self {
        Reopenings(AtomicU32::new(0))
    }

    pub(super) fn load(&self) -> u32 {
        // ORDERING: Relaxed: a number that scales a duration.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn store(&self, reopenings: u32) {
        // ORDERING: Relaxed: a number that scales a duration.
        self.0.store(reopenings, Ordering::Relaxed);
    }
}

/// A count for the operator, off the hot path.
pub(super) struct Statistic(AtomicU64);

impl Statistic {
    pub(super) fn new() -> Self {
        Statistic(AtomicU64::new(0))
    }

    pub(super) fn count(&self) {
        // ORDERING: Relaxed: a statistic; no other memory is read on its
        // strength.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> u64 {
        // ORDERING: Relaxed: a statistic; no other memory is read on its
        // strength.
        self.0.load(Ordering::Relaxed)
    }
}

/// The mode, switchable at run time.
pub(super) struct ModeCell(AtomicU8);

impl ModeCell {
    pub(super) fn new(mode: Mode) -> Self {
        ModeCell(AtomicU8::new(mode as u8))
    }

    #[inline]
    pub(super) fn load(&self) -> Mode {
        // ORDERING: Relaxed: a switch; a call that races with it may see
        // either.
        match self.0.load(Ordering::Relaxed) {
            0 => Mode::Enforce,
            1 => Mode::Shadow,
            _ => Mode::Off,
        }
    }

    pub(super) fn store(&self, mode: Mode) {
        // ORDERING: Relaxed: a switch.
        self.0.store(mode as u8, Ordering::Relaxed);
    }
}
