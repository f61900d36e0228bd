//! The atomics of the ring: its state, and its words.

use axiomatic_core::sync::{AtomicU64, Ordering};

use super::ring_word::{Head, Word};

/// Which generation is the current one, and since when.
///
/// Layout    | 63..16 the period, of 2^48 | 15..0 the generation, of 2^16 |
/// Invariant no later period has an earlier generation. The period is that of
///           the latest `now`; the generation has advanced as often as the
///           period did, but at most once round the ring at a time.
/// Writers   `swap`. Readers `load`, `load_before_words`.
/// Orderings `swap` releases, `load_before_words` acquires: who asks in a
///           generation sees what the one that began it had put into those
///           before. For who inserts it is a number, because words are only
///           changed from exactly what they are. That who has read a word
///           finds the state at least where the word's writer did is the
///           business of the words.
#[derive(Debug)]
pub(super) struct StateCell(AtomicU64);

/// A value of the state.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct State(u64);

const GENERATION_BITS: u32 = 16;
const INDEX_BITS: u32 = u64::BITS - GENERATION_BITS;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;

impl State {
    #[inline(always)]
    pub(super) fn index(self) -> u64 {
        self.0 >> GENERATION_BITS
    }

    #[inline(always)]
    pub(super) fn generation(self) -> u16 {
        // Cut on purpose: the lower bits.
        self.0 as u16
    }

    /// The period of this index, if it lies ahead: less than half round the
    /// numbers that there are.
    pub(super) fn ahead(self, index: u64, most: u32) -> State {
        let ahead = index.wrapping_sub(self.index()) & INDEX_MASK;
        if ahead == 0 || ahead > INDEX_MASK / 2 {
            return self;
        }
        let steps = ahead.min(u64::from(most)) as u16;
        let generation = self.generation().wrapping_add(steps);
        State(index << GENERATION_BITS | u64::from(generation))
    }
}

impl StateCell {
    pub(super) fn new() -> Self {
        StateCell(AtomicU64::new(0))
    }

    #[inline(always)]
    pub(super) fn load(&self) -> State {
        // ORDERING: Relaxed: a number; see the words for what is read on its
        // strength.
        State(self.0.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(super) fn load_before_words(&self) -> State {
        // ORDERING: Acquire: observes the keys of the generations before;
        // pairs with the Release in `swap`.
        State(self.0.load(Ordering::Acquire))
    }

    /// Or what it is instead.
    pub(super) fn swap(&self, from: State, to: State) -> Result<(), State> {
        // ORDERING: Release: publishes the keys of the generations before to
        // who asks in this one; pairs with the Acquire in `load_before_words`.
        // Relaxed if it fails: a number.
        self.0
            .compare_exchange(from.0, to.0, Ordering::Release, Ordering::Relaxed)
            .map(drop)
            .map_err(State)
    }
}

/// A word of a group.
///
/// Layout    that of [`Word`].
/// Invariant of one round it first opens, then takes bits, then is sealed, and
///           does not change any more until its generation is over; or is
///           sealed at once, without bits. The word of the current generation
///           is only open while all others of its group are sealed in the
///           rounds in which they are alive.
/// Writers   `add`, `replace`. Readers `load`, `load_before_others`,
///           `load_before_state`.
/// Orderings `replace` releases, `load_before_others` acquires: who sees a word
///           open sees the others sealed. `load_before_state` acquires too:
///           who sees a word sealed or renewed sees the state that led to it.
#[derive(Debug)]
pub(super) struct WordCell(AtomicU64);

impl WordCell {
    /// Without keys, of the round before the first.
    pub(super) fn over(start: Head) -> Self {
        WordCell(AtomicU64::new(Word::sealed_empty(start.past(0)).0))
    }

    /// The word, by itself.
    #[inline(always)]
    pub(super) fn load(&self) -> Word {
        // ORDERING: Relaxed: it is a sealed word that was waited for by
        // `load_before_others`, which does not change while it is of that
        // round; or a statistic.
        Word(self.0.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(super) fn load_before_others(&self) -> Word {
        // ORDERING: Acquire: observes that the other words are sealed; pairs
        // with the Release in `replace` that opened this one.
        Word(self.0.load(Ordering::Acquire))
    }

    #[inline(always)]
    pub(super) fn load_before_state(&self) -> Word {
        // ORDERING: Acquire: observes the state that the word's writer had
        // read; pairs with the Release in `replace`.
        Word(self.0.load(Ordering::Acquire))
    }

    /// Adds to a word that was just read; `false` if it has changed.
    #[inline(always)]
    pub(super) fn add(&self, word: Word, mask: u64) -> bool {
        let to = word.with(mask).0;
        // ORDERING: Relaxed twice: it publishes nothing but its bits, and
        // stays in the release sequence of the `replace` that opened the word.
        self.0
            .compare_exchange(word.0, to, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Seals, opens or empties a word that was just read; `false` if it has
    /// changed.
    pub(super) fn replace(&self, word: Word, to: Word) -> bool {
        // ORDERING: Release: publishes, when it opens a word, that the others
        // are sealed, and always the state that its writer had read; pairs
        // with the Acquire in `load_before_others` and `load_before_state`.
        // Relaxed if it fails: then all is read again.
        self.0
            .compare_exchange(word.0, to.0, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }
}
