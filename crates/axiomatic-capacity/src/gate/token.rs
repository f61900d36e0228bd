use crate::slots::Taken;

/// What a permit gives back.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token(Taken);

/// Lines that no slots have.
const EXCESS: u16 = u16::MAX;
const NOTHING: u16 = u16::MAX - 1;

impl Token {
    /// Of a call that was let through unseen.
    pub(crate) const NOTHING: Token = Token(Taken {
        weight: 0,
        line: NOTHING,
    });

    #[inline(always)]
    pub(crate) fn of(taken: Taken) -> Self {
        Token(taken)
    }

    pub(crate) fn excess(weight: u32) -> Self {
        Token(Taken {
            weight,
            line: EXCESS,
        })
    }

    #[inline(always)]
    pub(crate) fn taken(self) -> Option<Taken> {
        (self.0.line < NOTHING).then_some(self.0)
    }

    /// What is given back of the excess.
    pub(crate) fn excess_weight(self) -> u32 {
        if self.0.line == EXCESS {
            self.0.weight
        } else {
            0
        }
    }

    /// Whether the call is seen at all.
    #[inline(always)]
    pub(crate) fn is_seen(self) -> bool {
        self.0.line != NOTHING
    }
}
