use std::fmt;
use std::num::NonZeroU64;

use crate::slots::Taken;

/// What a permit gives back.
///
/// Layout    | 63 set | 47..32 line | 31..0 weight |
///
/// One number and not two, because a permit is moved into a future and soon
/// out of it again: a processor that reads at once what was just written in
/// two halves waits until both are in the cache.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) struct Token(NonZeroU64);

/// So that it is never zero, and a permit has a place for there being none.
const SET: u64 = 1 << 63;
const LINE_SHIFT: u32 = 32;

/// Lines that no slots have.
const EXCESS: u16 = u16::MAX;
const NOTHING: u16 = u16::MAX - 1;

impl Token {
    /// Of a call that was let through unseen.
    pub(crate) const NOTHING: Token = Token::new(NOTHING, 0);

    #[inline(always)]
    const fn new(line: u16, weight: u32) -> Self {
        let rest = (line as u64) << LINE_SHIFT | weight as u64;
        match NonZeroU64::new(SET | rest) {
            Some(bits) => Token(bits),
            None => unreachable!(),
        }
    }

    #[inline(always)]
    pub(crate) fn of(taken: Taken) -> Self {
        Token::new(taken.line, taken.weight)
    }

    pub(crate) fn excess(weight: u32) -> Self {
        Token::new(EXCESS, weight)
    }

    #[inline(always)]
    pub(crate) fn taken(self) -> Option<Taken> {
        let (line, weight) = (self.line(), self.weight());
        (line < NOTHING).then_some(Taken { weight, line })
    }

    /// What is given back of the excess.
    pub(crate) fn excess_weight(self) -> u32 {
        if self.line() == EXCESS {
            self.weight()
        } else {
            0
        }
    }

    /// Whether the call is seen at all.
    #[inline(always)]
    pub(crate) fn is_seen(self) -> bool {
        self.line() != NOTHING
    }

    #[inline(always)]
    const fn line(self) -> u16 {
        (self.0.get() >> LINE_SHIFT) as u16
    }

    #[inline(always)]
    const fn weight(self) -> u32 {
        self.0.get() as u32
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("line", &self.line())
            .field("weight", &self.weight())
            .finish()
    }
}
