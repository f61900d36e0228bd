use std::time::Duration;

use axiomatic_core::time::{Instant, saturating_nanos};

use super::cell::{GENERATION_SHIFT, STANCE_SHIFT, Word};
use super::state::Generation;

/// What a permit remembers of its admission, or the refusal instead of one.
///
/// Two numbers that travel in registers: as an enum in an `Option` in a
/// `Result` it went through memory at each step, which cost three times what
/// the decision costs (measured: 33 ns a call against 13).
#[derive(Copy, Clone, Debug)]
pub(super) struct Ticket {
    kind: Kind,
    /// A call: when it was admitted, or 0 if its slowness is not measured. A
    /// refusal: the wait in nanoseconds, or all ones if it is not known.
    nanos: u64,
}

/// Layout | 63..62 kind | 61..24 generation | 23..0 payload |
///        a call: the word of the closed phase that admitted it, kind 0
///        a probe: kind 2, its slot, or all ones if it has none
///        a call while forced closed: kind 3
///        nothing to record: kind 1, payload 0; refused: kind 1, payload 1
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Kind(u64);

// The word of a call is the word of its phase, so the places are the cell's.
const KIND_SHIFT: u32 = STANCE_SHIFT;
const NO_SLOT: u64 = (1 << GENERATION_SHIFT) - 1;
const UNKNOWN: u64 = u64::MAX;

/// A ticket, read.
pub(super) enum Admission {
    Call(Generation),
    Probe(Generation, Option<u8>),
    /// The breaker stood aside, or would have refused in shadow; or the
    /// permit is settled.
    Unrecorded,
}

impl Ticket {
    /// A permit that has nothing to tell.
    pub(super) const UNRECORDED: Ticket = Ticket {
        kind: Kind(1 << KIND_SHIFT),
        nanos: 0,
    };

    const REFUSED: Kind = Kind(1 << KIND_SHIFT | 1);

    /// A call that a closed breaker let through.
    #[inline]
    pub(super) fn call(closed: Word, admitted: Option<Instant>) -> Self {
        Ticket {
            kind: Kind(closed.as_bits()),
            nanos: admitted.map_or(0, Instant::as_nanos),
        }
    }

    pub(super) fn forced(generation: Generation, admitted: Instant) -> Self {
        Ticket {
            kind: Kind(3 << KIND_SHIFT | generation.number() << GENERATION_SHIFT),
            nanos: admitted.as_nanos(),
        }
    }

    pub(super) fn probe(generation: Generation, slot: Option<u8>, admitted: Instant) -> Self {
        let slot = slot.map_or(NO_SLOT, u64::from);
        Ticket {
            kind: Kind(2 << KIND_SHIFT | generation.number() << GENERATION_SHIFT | slot),
            nanos: admitted.as_nanos(),
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

    /// Whether this is a call of the closed phase that `current` is.
    #[inline]
    pub(super) fn is_call_of(self, current: Word) -> bool {
        self.kind.0 == current.as_bits() && current.is_closed()
    }

    #[inline]
    pub(super) fn is_probe(self) -> bool {
        self.kind.0 >> KIND_SHIFT == 2
    }

    pub(super) fn admission(self) -> Admission {
        let generation = Generation::from_number(self.kind.0 >> GENERATION_SHIFT);
        match self.kind.0 >> KIND_SHIFT {
            0 | 3 => Admission::Call(generation),
            2 => {
                let slot = self.kind.0 & NO_SLOT;
                let slot = (slot != NO_SLOT).then_some(slot as u8);
                Admission::Probe(generation, slot)
            }
            _ => Admission::Unrecorded,
        }
    }

    /// When it was admitted; the origin if that was not measured.
    pub(super) fn admitted(self) -> Instant {
        Instant::from_nanos(self.nanos)
    }

    /// Whether the call took at least so many nanoseconds.
    #[inline]
    pub(super) fn took(self, nanos: u64, now: Instant) -> bool {
        now.as_nanos().saturating_sub(self.nanos) >= nanos && self.nanos != 0
    }
}
