use axiomatic_core::sync::{AtomicU64, Ordering, fence};

use super::word::{Tag, Word};

/// How many slots a set has. Models have fewer to look at.
#[cfg(not(axiomatic_loom))]
pub(super) const SLOTS: usize = 8;
#[cfg(axiomatic_loom)]
pub(super) const SLOTS: usize = 3;

/// The slots in which a key can be: a cache line.
///
/// Layout    eight [words](Word).
/// Invariant of one tag there is at most one entry, however many claims.
/// Writers   `exchange`. Readers `find` (hot), `look`, `look_again`.
/// Orderings all Relaxed: a word is all there is to know of a key, and no
///           other memory is read on its strength. That two who claim slots
///           for one tag see each other is the business of the fence in
///           `look_again`.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Set([AtomicU64; SLOTS]);

impl Set {
    pub(super) fn new() -> Self {
        Set(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// The first slot of a tag. All are looked at, whichever it is: that is
    /// less than to be surprised by where it is.
    #[inline(always)]
    pub(super) fn find(&self, tag: Tag) -> Option<(usize, Word)> {
        let mut found = 0u32;
        for (slot, word) in self.0.iter().enumerate() {
            // ORDERING: Relaxed: a look; an exchange on its strength fails if
            // it is stale, and a refusal reads no other memory.
            let word = Word(word.load(Ordering::Relaxed));
            found |= u32::from(word.is_of(tag)) << slot;
        }
        if found == 0 {
            return None;
        }
        let slot = found.trailing_zeros() as usize % SLOTS;
        // ORDERING: Relaxed: as above. It may have changed hands since.
        let word = Word(self.0[slot].load(Ordering::Relaxed));
        word.is_of(tag).then_some((slot, word))
    }

    /// All slots, one after the other.
    pub(super) fn look(&self) -> [Word; SLOTS] {
        // ORDERING: Relaxed: as in `find`.
        std::array::from_fn(|slot| Word(self.0[slot].load(Ordering::Relaxed)))
    }

    /// All slots, after everything that the caller has seen or done before.
    pub(super) fn look_again(&self) -> [Word; SLOTS] {
        // ORDERING: SeqCst: of two who have each seen a claim of one tag, each
        // in another slot, and then look again, the one whose fence comes
        // second sees what the other saw. Two slots, for which one order is
        // needed. Pairs with itself.
        fence(Ordering::SeqCst);
        self.look()
    }

    /// Changes a slot if it is still as it was seen. Lock-free for who tries
    /// again: another has changed it.
    #[inline(always)]
    pub(super) fn exchange(&self, slot: usize, seen: Word, new: Word) -> bool {
        // ORDERING: Relaxed: the word says all, and was read as a whole.
        self.0[slot % SLOTS]
            .compare_exchange(seen.0, new.0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}
