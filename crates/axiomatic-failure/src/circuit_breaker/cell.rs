use axiomatic_core::Ratio;
use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::Instant;

use super::generation::{Generation, Since, Span};
use super::shares::{Ramping, Stage, Thinned};
use super::state::{Phase, Probes, Stance};

/// The phase of a breaker, in one word, so that a verdict and the transition
/// it causes are one step.
///
/// Layout    | 63..62 stance | 61..24 generation | 23..0 payload |
///           0 calls pass: all of them, 0 | as a ramp has it, 1 in 23..22, 21
///           whether the stage is proven, 20..19 stage, 18..0 its beginning |
///           all but a share in parts per million, 2 in 23..22
///           1 open: its span | 2 half-open: 23..16 probes in flight, 15..8
///           good, 7..0 bad | 3 forced: 0 open, 1 closed
/// Invariant the generation grows with every change of stance.
/// Writers   `replace`. Readers `load` (hot).
/// Orderings `replace` releases, `load` acquires: who sees a phase sees what
///           was written before it began, the lease of its first probe
///           excepted, which is claimed after.
pub(super) struct Cell(AtomicU64);

pub(super) const STANCE_SHIFT: u32 = 62;
pub(super) const GENERATION_SHIFT: u32 = 24;
pub(super) const PAYLOAD: u64 = (1 << GENERATION_SHIFT) - 1;
const STANCE: u64 = 0b11 << STANCE_SHIFT;
/// What follows in the payload of stance 0.
const KIND_SHIFT: u32 = 22;
const KIND: u64 = 0b11 << KIND_SHIFT;
const RAMPING: u64 = 1 << KIND_SHIFT;
const PROVEN_SHIFT: u32 = KIND_SHIFT - 1;
const THINNING: u64 = 2 << KIND_SHIFT;
const _: () = assert!(GENERATION_SHIFT + Generation::BITS == STANCE_SHIFT);

impl Cell {
    pub(super) fn new(phase: Phase) -> Self {
        Cell(AtomicU64::new(Word::of(phase).0))
    }

    /// The phase as it is packed, for those who compare it or look at its
    /// stance only.
    #[inline]
    pub(super) fn look(&self) -> Word {
        // ORDERING: Acquire: observes what was written before the phase
        // began; pairs with the Release in `replace`.
        Word(self.0.load(Ordering::Acquire))
    }

    pub(super) fn load(&self) -> Phase {
        self.look().phase()
    }

    /// Moves from one phase to the next, or says in which it is instead.
    ///
    /// Linearises at the exchange. Its callers loop: a lost race means that
    /// another's transition or probe was decided first, and the event is
    /// judged anew in the phase that it made. Lock-free.
    pub(super) fn replace(&self, from: Phase, to: Phase) -> Result<(), Phase> {
        let (from, to) = (Word::of(from).0, Word::of(to).0);
        // ORDERING: AcqRel: publishes the lease that was given back, observes
        // those given back in the phase it replaces; pairs with itself and
        // with the Acquire in `look`. Acquire on failure: as `look`.
        // SURVIVES: the Acquire of `look` shows all but what came between it
        // and the exchange: a probe that came and went, on a third thread.
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(|word| Word(word).phase())
    }
}

/// A phase, packed. Calls compare the parts of words and decode nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

impl Word {
    pub(super) fn of(phase: Phase) -> Self {
        let (stance, payload) = match phase.stance {
            Stance::Closed => (0, 0),
            Stance::Ramping(ramping) => {
                let proven = u64::from(ramping.is_proven) << PROVEN_SHIFT;
                let stage = ramping.stage.number() << Since::BITS;
                (0, RAMPING | proven | stage | ramping.since.number())
            }
            Stance::Thinning(thinned) => {
                let share = thinned.refused().as_parts_per_million();
                (0, THINNING | u64::from(share))
            }
            Stance::Open(span) => (1, span.number()),
            Stance::HalfOpen(probes) => (
                2,
                u64::from(probes.in_flight) << 16
                    | u64::from(probes.good) << 8
                    | u64::from(probes.bad),
            ),
            Stance::ForcedOpen => (3, 0),
            Stance::ForcedClosed => (3, 1),
        };
        Word(stance << STANCE_SHIFT | phase.generation.number() << GENERATION_SHIFT | payload)
    }

    #[inline]
    pub(super) fn as_bits(self) -> u64 {
        self.0
    }

    /// Whether every call passes.
    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.0 & (STANCE | PAYLOAD) == 0
    }

    /// Whether a stage of a ramp waits for a call that works.
    #[inline]
    pub(super) fn awaits_proof(self) -> bool {
        self.0 & (STANCE | KIND | 1 << PROVEN_SHIFT) == RAMPING
    }

    /// Whether calls pass and are counted, all of them or a share.
    #[inline]
    pub(super) fn counts_calls(self) -> bool {
        self.0 & STANCE == 0
    }

    /// Until when an open phase lasts. The common refusal needs no more of
    /// the phase.
    #[inline]
    pub(super) fn open_until(self) -> Option<Instant> {
        let is_open = self.0 >> STANCE_SHIFT == 1;
        is_open.then(|| Span::from_number(self.0).end(self.generation()))
    }

    #[inline]
    pub(super) fn generation(self) -> Generation {
        Generation::from_number(self.0 >> GENERATION_SHIFT)
    }

    pub(super) fn phase(self) -> Phase {
        let payload = self.0 & PAYLOAD;
        let stance = match self.0 >> STANCE_SHIFT {
            0 if payload & KIND == RAMPING => Stance::Ramping(Ramping {
                stage: Stage::from_number(payload >> Since::BITS),
                since: Since::from_number(payload),
                is_proven: payload >> PROVEN_SHIFT & 1 == 1,
            }),
            0 => {
                let refused = Ratio::parts_per_million((payload & !KIND) as u32);
                Thinned::by(refused).map_or(Stance::Closed, Stance::Thinning)
            }
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
            generation: self.generation(),
            stance,
        }
    }
}
