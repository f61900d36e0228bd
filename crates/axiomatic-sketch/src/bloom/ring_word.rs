//! What a word of a ring says, and which generation it belongs to: pure.

use super::mask::TAGGED_BITS;

/// Rounds that a tag tells apart.
pub(super) const ROUNDS: u16 = 128;

/// A word of 56 bits for keys, with a tag.
///
/// | 63..57 | 56 | 55..0 |
/// |---|---|---|
/// | the round in which it was written, of 128 | whether it is sealed | bits of keys |
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// Sealed is a word that gets no more keys.
const SEAL: u64 = 1 << TAGGED_BITS;
const ROUND_SHIFT: u32 = TAGGED_BITS + 1;
const ROUND_MASK: u64 = u64::MAX << ROUND_SHIFT;

impl Word {
    /// With the first key of its generation.
    #[inline(always)]
    pub(super) fn opened(round: Round, mask: u64) -> Self {
        Word(round.0 << ROUND_SHIFT | mask)
    }

    /// Of a generation that got no key here.
    #[inline(always)]
    pub(super) fn sealed_empty(round: Round) -> Self {
        Word(round.0 << ROUND_SHIFT | SEAL)
    }

    #[inline(always)]
    pub(super) fn sealed(self) -> Self {
        Word(self.0 | SEAL)
    }

    #[inline(always)]
    pub(super) fn with(self, mask: u64) -> Self {
        Word(self.0 | mask)
    }

    #[inline(always)]
    pub(super) fn is_of(self, round: Round) -> bool {
        self.0 >> ROUND_SHIFT == round.0
    }

    #[inline(always)]
    pub(super) fn is_open_in(self, round: Round) -> bool {
        self.0 >> TAGGED_BITS == round.0 << 1
    }

    #[inline(always)]
    pub(super) fn is_sealed_in(self, round: Round) -> bool {
        self.0 >> TAGGED_BITS == round.0 << 1 | 1
    }

    /// Whether all bits of the mask are set, of whichever round.
    #[inline(always)]
    pub(super) fn covers(self, mask: u64) -> bool {
        self.0 & mask == mask
    }

    /// The same, but only of this round: one comparison for both.
    #[inline(always)]
    pub(super) fn covers_in(self, round: Round, mask: u64) -> bool {
        self.0 & (ROUND_MASK | mask) == round.0 << ROUND_SHIFT | mask
    }

    /// How many bits are set.
    pub(super) fn ones(self) -> u32 {
        (self.0 & (SEAL - 1)).count_ones()
    }
}

/// How often the ring had been filled before, modulo 128.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Round(u64);

/// Where the ring of words stands: which of them is the current generation's,
/// and which rounds the others are of.
///
/// Generations are numbered; the one of number `r` is in word `r mod G` of
/// each group, in round `r / G`. Of the words of a group, those up to the
/// current one are of the current round, and those behind it of the one
/// before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    current: usize,
    round: Round,
    before: Round,
}

impl Head {
    /// Of the generation with this number, which wraps: 2^16 is a multiple of
    /// the numbers that a tag tells apart.
    #[inline(always)]
    pub(super) fn of(generation: u16, generations_log2: u32) -> Self {
        let round = generation >> generations_log2;
        let current = generation & ((1 << generations_log2) - 1);
        Head {
            current: usize::from(current),
            round: Round(u64::from(round % ROUNDS)),
            before: Round(u64::from(round.wrapping_sub(1) % ROUNDS)),
        }
    }

    /// Which word is the current generation's.
    #[inline(always)]
    pub(super) fn current(self) -> usize {
        self.current
    }

    /// The current round.
    #[inline(always)]
    pub(super) fn round(self) -> Round {
        self.round
    }

    /// The round that this word is of while it is alive.
    #[inline(always)]
    pub(super) fn alive(self, word: usize) -> Round {
        if word <= self.current {
            self.round
        } else {
            self.before
        }
    }

    /// The latest round of this word that takes no more keys.
    #[inline(always)]
    pub(super) fn past(self, word: usize) -> Round {
        if word < self.current {
            self.round
        } else {
            self.before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition, with numbers that do not wrap.
    #[test]
    fn words_are_of_the_latest_generations_that_they_can_be_of() {
        for log2 in 1..=3 {
            let count = 1_u32 << log2;
            for number in count..(1 << 17) {
                let head = Head::of(number as u16, log2);
                assert_eq!(head.current(), (number % count) as usize);
                for age in 0..count {
                    let generation = number - age;
                    let word = (generation % count) as usize;
                    let round = Round(u64::from(generation / count % u32::from(ROUNDS)));
                    assert_eq!(head.alive(word), round);
                    if age > 0 {
                        assert_eq!(head.past(word), round);
                    }
                }
                let replaced = Round(u64::from((number - count) / count % u32::from(ROUNDS)));
                assert_eq!(head.past(head.current()), replaced);
            }
        }
    }

    #[test]
    fn tags_and_bits_do_not_mix() {
        let all = (1 << TAGGED_BITS) - 1;
        for round in [0, 1, 64, 127].map(Round) {
            let open = Word::opened(round, 0b101);
            let sealed = open.with(all).sealed();
            let empty = Word::sealed_empty(round);
            assert!(open.is_of(round) && sealed.is_of(round) && empty.is_of(round));
            assert!(open.is_open_in(round) && !open.is_sealed_in(round));
            assert!(sealed.is_sealed_in(round) && !sealed.is_open_in(round));
            assert!(open.covers_in(round, 0b100) && !open.covers_in(round, 0b110));
            assert!(sealed.covers_in(round, all) && !empty.covers_in(round, 1));
            assert_eq!((open.ones(), sealed.ones(), empty.ones()), (2, 56, 0));
            let other = Round(round.0 ^ 1);
            assert!(!open.is_of(other) && !open.is_open_in(other));
            assert!(!open.covers_in(other, 0b100) && !sealed.is_sealed_in(other));
        }
    }
}
