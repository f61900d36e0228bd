//! The numbers that date a phase: when it began, when it ends, when the stage
//! of its ramp began.

use axiomatic_core::time::Instant;

/// A stretch between two transitions, by the time at which it began.
///
/// Being a time, it needs no memory of its own: it dates the state, and it is
/// the era of the window. It is counted in steps of 4.2 ms, and two
/// transitions within a step get successive numbers, so that no two
/// generations share one. 38 bits of it last 36 years.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u64);

impl Generation {
    pub(super) const BITS: u32 = 38;
    const STEP_SHIFT: u32 = 22;
    const LAST: u64 = (1 << Generation::BITS) - 1;

    pub(super) const fn from_number(number: u64) -> Self {
        Generation(number & Generation::LAST)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }

    pub(super) const fn began(self) -> Instant {
        Instant::from_nanos(self.0 << Generation::STEP_SHIFT)
    }

    pub(super) fn beginning(now: Instant) -> Self {
        Generation((now.as_nanos() >> Generation::STEP_SHIFT).min(Generation::LAST))
    }

    pub(super) fn next(self, now: Instant) -> Self {
        let after = Generation((self.0 + 1).min(Generation::LAST));
        after.max(Generation::beginning(now))
    }
}

/// Until when an open phase lasts, in steps of 1.05 ms from the beginning of
/// its generation, which may lie ahead of the clock: so the scale begins 1.2
/// hours before it, and 24 bits end 3.6 hours after it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Span(u64);

impl Span {
    const STEP_SHIFT: u32 = 20;
    const BEFORE: u64 = 1 << 22;
    const LAST: u64 = (1 << 24) - 1;

    #[inline]
    pub(super) const fn from_number(number: u64) -> Self {
        Span(number & Span::LAST)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }

    /// The shortest span that reaches `until`.
    pub(super) fn reaching(generation: Generation, until: Instant) -> Self {
        let before = Span::BEFORE << Span::STEP_SHIFT;
        let nanos = until.as_nanos().saturating_add(before);
        let nanos = nanos.saturating_sub(generation.began().as_nanos());
        Span(nanos.div_ceil(1 << Span::STEP_SHIFT).min(Span::LAST))
    }

    #[inline]
    pub(super) fn end(self, generation: Generation) -> Instant {
        let nanos = generation.began().as_nanos() + (self.0 << Span::STEP_SHIFT);
        Instant::from_nanos(nanos.saturating_sub(Span::BEFORE << Span::STEP_SHIFT))
    }
}

/// When a stage of a ramp began, in steps of 17 ms since its generation did:
/// 19 bits are 2.4 hours. In a ramp that lasts longer than that, for want of
/// calls, stages are as short as they can be.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Since(u64);

impl Since {
    pub(super) const BITS: u32 = 19;
    pub(super) const BEGINNING: Since = Since(0);
    const STEP_SHIFT: u32 = 24;
    const LAST: u64 = (1 << Since::BITS) - 1;

    pub(super) const fn from_number(number: u64) -> Self {
        Since(number & Since::LAST)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }

    pub(super) fn reaching(generation: Generation, now: Instant) -> Self {
        let nanos = now.as_nanos().saturating_sub(generation.began().as_nanos());
        Since((nanos >> Since::STEP_SHIFT).min(Since::LAST))
    }

    pub(super) fn instant(self, generation: Generation) -> Instant {
        let nanos = generation.began().as_nanos() + (self.0 << Since::STEP_SHIFT);
        Instant::from_nanos(nanos)
    }
}
