use std::fmt;

use super::clear_cell::clear;
use super::{Counts, Observation};
use crate::sync::{AtomicU64, Ordering};

/// The outcomes of the last N calls, in the order in which they were
/// recorded.
///
/// Exact whenever nobody is recording; a reader that races with writers sees
/// a state between the first and the last of them.
pub struct CountWindow {
    head: Head,
    words: Box<[Word]>,
    calls: u32,
}

/// How many outcomes a word holds.
const PER_WORD: u32 = 24;

impl CountWindow {
    /// The most calls a window can hold: 64 Ki words, half a megabyte.
    pub const MOST: u32 = (1 << 16) * PER_WORD - 2 * PER_WORD;

    /// A window over the last `calls` calls, taken as 1 if 0 and as
    /// [`MOST`](CountWindow::MOST) if more.
    pub fn last(calls: u32) -> Self {
        let calls = calls.clamp(1, Self::MOST);
        // Full words to cover the window, one being filled, and one that is
        // being made ready; a power of two so that a position's word is a
        // mask away.
        let words = (calls.div_ceil(PER_WORD) + 2).next_power_of_two();
        CountWindow {
            head: Head(AtomicU64::new(0)),
            words: (0..words).map(|_| Word(AtomicU64::new(0))).collect(),
            calls,
        }
    }

    /// How many calls it holds at most.
    pub fn capacity(&self) -> u32 {
        self.calls
    }

    /// Adds a call of this era; if the window has moved on to a later era, it
    /// is dropped. Eras are numbers below 2^38 that never decrease.
    ///
    /// Lock-free: a thread repeats its step only if another completed one.
    #[inline]
    pub fn record(&self, era: u64, observation: Observation) {
        let era = era & ERA_MASK;
        loop {
            let head = self.head.load();
            if head.era != era {
                if head.era > era {
                    return;
                }
                self.restart(head, era);
                continue;
            }
            let (word, tag) = self.word(head.position);
            match word.append(tag, observation) {
                Append::Done => return,
                Append::Full => self.advance(head),
                Append::Contended => {}
                // Whoever retags the word of a head that we still see begins
                // a new era, and this one is over; or has lapped the ring
                // since we looked, and then this call, which began before,
                // has slid out of the window.
                Append::Retagged if self.head.load() == head => return,
                Append::Retagged => {}
            }
        }
    }

    /// What the window holds in this era: nothing if it has not begun, or
    /// the window has moved on to a later one.
    pub fn counts(&self, era: u64) -> Counts {
        let mut counts = Counts::default();
        let head = self.head.load();
        if head.era != era & ERA_MASK {
            return counts;
        }
        let mut wanted = self.calls;
        for back in 0..self.words.len() as u64 {
            let (word, tag) = self.word(head.position.wrapping_sub(back) & POSITION_MASK);
            let Some(outcomes) = word.outcomes(tag) else {
                break;
            };
            outcomes.newest(wanted, &mut counts);
            wanted = wanted.saturating_sub(outcomes.len);
            if wanted == 0 {
                break;
            }
        }
        counts
    }

    /// The word at a position, and the tag it must have: how often the ring
    /// had been filled before.
    #[inline]
    fn word(&self, position: u64) -> (&Word, u64) {
        let slot = position as usize & (self.words.len() - 1);
        (&self.words[slot], position >> self.words.len().ilog2())
    }

    /// Moves on to the next word.
    #[cold]
    fn advance(&self, head: Position) {
        self.move_on(head, head.era, 1);
    }

    /// Moves on by the whole ring, which forgets everything.
    #[cold]
    fn restart(&self, head: Position, era: u64) {
        self.move_on(head, era, self.words.len() as u64);
    }

    /// Empties the next `steps` words, for as long as the head stands where
    /// it stood: once it has moved, someone else did the work. Then moves it.
    fn move_on(&self, head: Position, era: u64, steps: u64) {
        for step in 1..=steps {
            let (word, tag) = self.word((head.position + step) & POSITION_MASK);
            word.clear(tag, || self.head.load() == head);
        }
        let next = Position {
            era,
            position: (head.position + steps) & POSITION_MASK,
        };
        self.head.replace(head, next);
    }
}

impl fmt::Debug for CountWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountWindow")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// Which word is being filled, and in which era.
///
/// Layout    | 63..26 era | 25..0 position |
/// Invariant the pair never decreases; the words up to `position` carry its
///           tags.
/// Writers   `replace`. Readers `load`.
/// Orderings `replace` releases the retagged words, `load` acquires them.
struct Head(AtomicU64);

#[derive(Copy, Clone, PartialEq, Eq)]
struct Position {
    era: u64,
    position: u64,
}

/// 2^26 words are 1.6 thousand million calls; the position then starts again
/// at 0, which a ring of 2^k words does not notice.
const POSITION_BITS: u32 = 26;
const POSITION_MASK: u64 = (1 << POSITION_BITS) - 1;
const ERA_MASK: u64 = (1 << (64 - POSITION_BITS)) - 1;

impl Position {
    fn pack(self) -> u64 {
        self.era << POSITION_BITS | self.position
    }
}

impl Head {
    #[inline]
    fn load(&self) -> Position {
        // ORDERING: Acquire: observes the words that `replace` published, so
        // that a word with a strange tag is one of the future.
        let word = self.0.load(Ordering::Acquire);
        Position {
            era: word >> POSITION_BITS,
            position: word & POSITION_MASK,
        }
    }

    /// Moves the head on, if it stands where it stood. A lost race is
    /// harmless: the winner moved it at least as far.
    fn replace(&self, from: Position, to: Position) {
        // ORDERING: Release: publishes the words retagged before; pairs with
        // the Acquire in `load`. Relaxed on failure: nothing is read.
        let _ =
            self.0
                .compare_exchange(from.pack(), to.pack(), Ordering::Release, Ordering::Relaxed);
    }
}

/// A run of outcomes.
///
/// Layout    | 63..53 tag | 52..48 length | 47..0 24 outcomes of 2 bits |
/// Invariant outcomes beyond the length are zero; only a word whose tag is
///           that of the head's position grows.
/// Writers   `append`, `clear`. Readers `outcomes`.
/// Orderings `append` releases the head it was shown, `clear` acquires it: a
///           word that has grown is not taken for one that is due.
struct Word(AtomicU64);

const LENGTH_SHIFT: u32 = 48;
const TAG_SHIFT: u32 = 53;
const TAG_MASK: u64 = (1 << 11) - 1;

enum Append {
    Done,
    Full,
    /// Another outcome was added first.
    Contended,
    /// The word is not, or no longer, the one of this tag.
    Retagged,
}

impl Word {
    /// Adds an outcome to a word that still has this tag and room.
    ///
    /// Linearises at the exchange. A lost race tells the caller to look at
    /// the head again, and means that another's outcome was added or the
    /// head was about to move.
    #[inline]
    fn append(&self, tag: u64, observation: Observation) -> Append {
        // ORDERING: Relaxed: the exchange fails on any stale value.
        let word = self.0.load(Ordering::Relaxed);
        if word >> TAG_SHIFT != tag & TAG_MASK {
            return Append::Retagged;
        }
        let len = length(word);
        if len == PER_WORD {
            return Append::Full;
        }
        let grown = (word + (1 << LENGTH_SHIFT)) | ((observation as u64) << (2 * len));
        // ORDERING: Release: who reads this word to clear it sees the head
        // that was read before it grew; pairs with the Acquire in `clear`.
        // Relaxed on failure: the caller begins anew.
        match self
            .0
            .compare_exchange(word, grown, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => Append::Done,
            Err(_) => Append::Contended,
        }
    }

    /// Makes the word empty under a new tag, as long as `is_due`.
    fn clear(&self, tag: u64, is_due: impl Fn() -> bool) {
        clear(&self.0, (tag & TAG_MASK) << TAG_SHIFT, is_due);
    }

    fn outcomes(&self, tag: u64) -> Option<Outcomes> {
        // ORDERING: Relaxed: the word is complete in itself.
        let word = self.0.load(Ordering::Relaxed);
        (word >> TAG_SHIFT == tag & TAG_MASK).then_some(Outcomes {
            bits: word & ((1 << LENGTH_SHIFT) - 1),
            len: length(word),
        })
    }
}

const fn length(word: u64) -> u32 {
    (word >> LENGTH_SHIFT) as u32 & 0b1_1111
}

struct Outcomes {
    bits: u64,
    len: u32,
}

impl Outcomes {
    /// Counts the newest `wanted` of them; the newest has the highest bits.
    fn newest(&self, wanted: u32, counts: &mut Counts) {
        const FAILED: u64 = 0x5555_5555_5555_5555;
        let taken = self.len.min(wanted);
        let bits = self.bits >> (2 * (self.len - taken));
        let failed = bits & FAILED;
        let slow = bits >> 1 & FAILED;
        counts.total += u64::from(taken);
        counts.failed += u64::from(failed.count_ones());
        counts.slow += u64::from(slow.count_ones());
        counts.slow_and_failed += u64::from((failed & slow).count_ones());
    }
}
