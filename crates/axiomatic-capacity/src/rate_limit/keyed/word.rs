//! What a slot of the table holds: pure functions on a word.
//!
//! Layout    | 63..48 tag | 47..0 microseconds of the arrival |
//!
//! A word of 0 is an empty slot; no tag is 0. The lowest times are no times: a
//! word with one of them is a *claim*, of a key that is being inserted, and
//! the number tells claims apart.

use super::pace::FURTHEST;

/// A slot's content.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// Which key of a set. Not 0.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(u16);

const TIME_BITS: u32 = 48;
const TIME: u64 = (1 << TIME_BITS) - 1;
/// Seventeen seconds of 8.9 years: an arrival in them is put after them.
const CLAIMS: u64 = 1 << 24;

impl Tag {
    /// The tag of a hash, by the bits that do not choose the set.
    #[inline(always)]
    pub(super) fn of(hash: u64) -> Self {
        Tag((hash as u16).max(1))
    }

    /// Which of the two lines of a set is its home.
    #[inline(always)]
    pub(super) fn home(self) -> usize {
        usize::from(self.0 & 1)
    }

    /// Which slot of that line it has if it is free.
    #[inline(always)]
    pub(super) fn first(self) -> usize {
        usize::from(self.0 >> 1)
    }
}

impl Word {
    pub(super) const EMPTY: Word = Word(0);

    /// A key with its arrival.
    #[inline(always)]
    pub(super) fn entry(tag: Tag, arrival: u64) -> Self {
        Word::new(tag, (arrival & TIME).max(CLAIMS))
    }

    /// A key that is being inserted.
    pub(super) fn claim(tag: Tag, number: u64) -> Self {
        Word::new(tag, number % CLAIMS)
    }

    #[inline(always)]
    fn new(tag: Tag, low: u64) -> Self {
        Word(u64::from(tag.0) << TIME_BITS | low)
    }

    #[inline(always)]
    pub(super) fn is_of(self, tag: Tag) -> bool {
        self.0 >> TIME_BITS == u64::from(tag.0)
    }

    /// Whether a word that is not empty is a claim.
    #[inline(always)]
    pub(super) fn is_claim(self) -> bool {
        self.0 & TIME < CLAIMS
    }

    /// The arrival, which is `now` if nothing of the key is spent.
    #[inline(always)]
    pub(super) fn arrival(self, now: u64) -> u64 {
        now + self.ahead(now)
    }

    /// How far ahead the arrival lies: nothing for a key that is as good as a
    /// new one. Times are compared round the circle; what lies further ahead
    /// than any quota reaches lies behind, and was not touched for years.
    #[inline(always)]
    pub(super) fn ahead(self, now: u64) -> u64 {
        let ahead = self.0.wrapping_sub(now) & TIME;
        if ahead <= FURTHEST { ahead } else { 0 }
    }

    /// Whether another key may have the slot, and nobody can tell.
    pub(super) fn is_free(self, now: u64) -> bool {
        self == Word::EMPTY || (!self.is_claim() & (self.ahead(now) == 0))
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use std::time::Duration;

    use super::super::pace::FURTHEST;
    use super::{CLAIMS, TIME, Tag, Word};

    const YEAR: u64 = 31_557_600 * 1_000_000;

    #[test]
    fn no_tag_and_no_entry_is_empty() {
        for hash in [0, 1 << 16, u64::MAX] {
            let tag = Tag::of(hash);
            assert_ne!(Word::entry(tag, 0), Word::EMPTY);
            assert_ne!(Word::claim(tag, 0), Word::EMPTY);
            assert!(Word::entry(tag, 0).is_of(tag) && !Word::EMPTY.is_of(tag));
        }
    }

    #[test]
    fn an_arrival_is_where_it_was_put_also_beyond_the_wrap() {
        let tag = Tag::of(7);
        for now in [YEAR, TIME - 5, TIME, 3 * TIME - 1_000, u64::MAX / 1_000] {
            for ahead in [0, 1, 1_000, FURTHEST] {
                let word = Word::entry(tag, now + ahead);
                let put = word.ahead(now);
                // Seventeen seconds of 8.9 years.
                let is_claimed = (now + ahead) & TIME < CLAIMS;
                assert!(
                    put == ahead || (is_claimed && put - ahead <= CLAIMS),
                    "{put} {ahead}"
                );
                assert!(!word.is_claim());
                assert_eq!(word.ahead(now + put), 0);
                assert!(word.is_free(now + put));
            }
        }
    }

    #[test]
    fn a_slot_that_nobody_touched_for_years_is_free_until_shortly_before_the_wrap() {
        let written = 2 * YEAR;
        let word = Word::entry(Tag::of(7), written);
        assert!(word.is_free(written + YEAR));
        assert!(word.is_free(written + 5 * YEAR));
        assert!(word.is_free(written + TIME - FURTHEST));
        // Then it looks like a burst of 1.1 years, and after the wrap is free.
        assert_eq!(word.ahead(written + TIME + 1 - FURTHEST), FURTHEST);
        assert!(word.is_free(written + TIME + 1));
        let wrap = Duration::from_micros(TIME);
        assert!(wrap > Duration::from_micros(8 * YEAR + YEAR * 9 / 10));
    }
}
