use std::num::{NonZeroU8, NonZeroU64};
use std::time::Duration;

use axiomatic_core::time::{Instant, saturating_nanos};
use axiomatic_core::window::Seat;

use super::cell::{GENERATION_SHIFT, PAYLOAD, STANCE_SHIFT, Word};
use super::generation::Generation;

/// What a permit remembers of its admission, or the refusal instead of one.
///
/// Two numbers that travel in registers, also in an `Option`, since the first
/// is never 0: as an enum in an `Option` in a `Result` it went through memory
/// at each step, which cost three times what the decision costs (measured: 33
/// ns a call against 13).
#[derive(Copy, Clone, Debug)]
pub(super) struct Ticket {
    kind: Kind,
    /// A call or a probe: from when on it is slow, [`NEVER`] if that is not
    /// measured. A refusal: the wait in nanoseconds, [`UNKNOWN`] if it is.
    nanos: u64,
}

/// Layout | 63..62 kind | 61..24 generation | 23..2 payload |
///        | 1 whether there is something to give back | 0 always 1 |
///        a call: kind 0, the number of the seat where it is watched, or 0
///        a probe: kind 2, its slot, or all ones if it has none
///        a call while forced closed: kind 3
///        nothing to record: kind 1, payload 0; refused: kind 1, payload 1
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Kind(NonZeroU64);

impl Kind {
    #[inline(always)]
    const fn new(head: u64, payload: u64) -> Self {
        match NonZeroU64::new(head | payload << PAYLOAD_SHIFT | 1) {
            Some(bits) => Kind(bits),
            None => unreachable!(),
        }
    }

    #[inline(always)]
    const fn of(kind: u64, generation: Generation, payload: u64) -> Self {
        let head = kind << KIND_SHIFT | generation.number() << GENERATION_SHIFT;
        Kind::new(head, payload)
    }

    const fn holding(self) -> Self {
        Kind::new(self.0.get() | HOLDS, 0)
    }

    #[inline(always)]
    const fn number(self) -> u64 {
        self.0.get() >> KIND_SHIFT
    }

    #[inline(always)]
    const fn payload(self) -> u64 {
        (self.0.get() & PAYLOAD) >> PAYLOAD_SHIFT
    }
}

// A call's kind and generation are those of its phase's word, so that two
// words are compared instead of decoded.
const KIND_SHIFT: u32 = STANCE_SHIFT;
const PAYLOAD_SHIFT: u32 = 2;
const HOLDS: u64 = 1 << 1;
const NO_SLOT: u64 = PAYLOAD >> PAYLOAD_SHIFT;
const NEVER: u64 = u64::MAX;
const UNKNOWN: u64 = u64::MAX;

/// A ticket, read.
pub(super) enum Admission {
    Call(Generation, Option<Seat>),
    Probe(Generation, Option<u8>),
    /// The breaker stood aside, or would have refused in shadow; or the
    /// permit is settled.
    Unrecorded,
}

impl Ticket {
    /// A permit that has nothing to tell.
    pub(super) const UNRECORDED: Ticket = Ticket {
        kind: Kind::new(1 << KIND_SHIFT, 0),
        nanos: NEVER,
    };

    const REFUSED: Kind = Kind::new(1 << KIND_SHIFT, 1);

    /// A call of a phase in which calls pass.
    #[inline(always)]
    pub(super) fn call(word: Word, seat: Option<Seat>, due: Option<Instant>) -> Self {
        let (holds, payload) = match seat {
            Some(seat) => (HOLDS, u64::from(seat.number().get())),
            None => (0, 0),
        };
        Ticket {
            kind: Kind::new(word.as_bits() & !PAYLOAD | holds, payload),
            nanos: nanos(due),
        }
    }

    pub(super) fn forced(generation: Generation, due: Option<Instant>) -> Self {
        Ticket {
            kind: Kind::of(3, generation, 0),
            nanos: nanos(due),
        }
    }

    pub(super) fn probe(generation: Generation, slot: Option<u8>, due: Option<Instant>) -> Self {
        let slot = slot.map_or(NO_SLOT, u64::from);
        Ticket {
            kind: Kind::of(2, generation, slot).holding(),
            nanos: nanos(due),
        }
    }

    pub(super) fn refused(wait: Option<Duration>) -> Self {
        Ticket {
            kind: Self::REFUSED,
            nanos: wait.map_or(UNKNOWN, saturating_nanos),
        }
    }

    /// Refused at `now` until `end`: without a `Duration`, which would be
    /// divided into seconds and multiplied back.
    #[inline]
    pub(super) fn refused_until(end: Instant, now: Instant) -> Self {
        Ticket {
            kind: Self::REFUSED,
            nanos: end.as_nanos() - now.as_nanos(),
        }
    }

    #[inline]
    pub(super) fn is_refused(self) -> bool {
        self.kind == Self::REFUSED
    }

    /// How long a refused caller should wait.
    #[inline]
    pub(super) fn wait_nanos(self) -> Option<u64> {
        (self.nanos != UNKNOWN).then_some(self.nanos)
    }

    /// Whether this is a call of the generation that `current` is in, and
    /// calls are counted there.
    #[inline]
    pub(super) fn is_call_of(self, current: Word) -> bool {
        (self.kind.0.get() ^ current.as_bits()) >> GENERATION_SHIFT == 0 && current.counts_calls()
    }

    /// Where a call is watched. To be asked of calls only.
    #[inline(always)]
    pub(super) fn seat(self) -> Option<Seat> {
        if !self.holds() {
            return None;
        }
        NonZeroU8::new(self.kind.payload() as u8).map(Seat::from_number)
    }

    /// Whether it has something to give back even without a verdict: a probe
    /// its place, a call its seat.
    #[inline(always)]
    pub(super) fn holds(self) -> bool {
        self.kind.0.get() & HOLDS != 0
    }

    pub(super) fn admission(self) -> Admission {
        let generation = Generation::from_number(self.kind.0.get() >> GENERATION_SHIFT);
        match self.kind.number() {
            // One that is forced has no payload, and so no seat.
            0 | 3 => Admission::Call(generation, self.seat()),
            2 => {
                let slot = self.kind.payload();
                let slot = (slot != NO_SLOT).then_some(slot as u8);
                Admission::Probe(generation, slot)
            }
            _ => Admission::Unrecorded,
        }
    }

    /// From when on the call is slow; the end of time if that is not measured.
    #[inline]
    pub(super) fn due(self) -> Instant {
        Instant::from_nanos(self.nanos)
    }

    #[inline]
    pub(super) fn is_slow(self, now: Instant) -> bool {
        now >= self.due()
    }
}

#[inline(always)]
fn nanos(due: Option<Instant>) -> u64 {
    due.map_or(NEVER, Instant::as_nanos)
}
