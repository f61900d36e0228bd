use axiomatic_core::sync::{AtomicU64, Ordering, fence};

use super::word::{Tag, Word};

/// How many slots a line has. Models have fewer to look at.
#[cfg(not(axiomatic_loom))]
const LINE: usize = 8;
#[cfg(axiomatic_loom)]
const LINE: usize = 2;

/// How many slots a set has.
pub(super) const SLOTS: usize = 2 * LINE;

/// The slots in which a key can be: a cache line, which is its home, and the
/// one beside it, which processors fetch with it.
///
/// Layout    two lines of eight [words](Word). Slots are counted from the home
///           line of a tag on, which is the first or the second by its last
///           bit: all who ask for a tag count in one order.
/// Invariant of one tag there is at most one entry, however many claims.
/// Writers   `exchange`. Readers `find` (hot), `look`, `look_again`.
/// Orderings all Relaxed: a word is all there is to know of a key, and no
///           other memory is read on its strength. That two who claim slots
///           for one tag see each other is the business of the fence in
///           `look_again`.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Set([Line; 2]);

#[derive(Debug)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

/// A set as a tag counts it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Place<'s> {
    lines: [&'s Line; 2],
    pub(super) tag: Tag,
}

/// A slot's number, from the home line on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

impl Set {
    pub(super) fn new() -> Self {
        let line = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        Set([line(), line()])
    }

    /// The set as this tag counts it.
    #[inline(always)]
    pub(super) fn of(&self, tag: Tag) -> Place<'_> {
        let home = tag.home();
        Place {
            lines: [&self.0[home], &self.0[1 - home]],
            tag,
        }
    }
}

impl Line {
    /// The first slot of a tag. All are looked at, whichever it is: that takes
    /// less than to be surprised by where it is.
    #[inline(always)]
    fn find(&self, tag: Tag) -> Option<(usize, Word)> {
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
        let slot = found.trailing_zeros() as usize % LINE;
        // ORDERING: Relaxed: as above. It may have changed hands since.
        let word = Word(self.0[slot].load(Ordering::Relaxed));
        word.is_of(tag).then_some((slot, word))
    }
}

impl Place<'_> {
    /// A slot with the tag at home: most often one of the two that it is given
    /// if they are free, and then no more are looked at.
    #[inline(always)]
    pub(super) fn find_at_home(&self) -> Option<(Slot, Word)> {
        let first = self.tag.first() % LINE;
        let second = first ^ 1;
        let home = &self.lines[0].0;
        // ORDERING: Relaxed: as in `find`.
        let one = Word(home[first].load(Ordering::Relaxed));
        // ORDERING: Relaxed: as in `find`.
        let other = Word(home[second].load(Ordering::Relaxed));
        let is_other = other.is_of(self.tag);
        // Which of the two it is nobody can guess.
        let found = if is_other { other } else { one };
        if found.is_of(self.tag) {
            return Some((Slot(first ^ usize::from(is_other)), found));
        }
        let (slot, word) = self.lines[0].find(self.tag)?;
        Some((Slot(slot), word))
    }

    /// A slot with the tag in the other line.
    pub(super) fn find_beside(&self) -> Option<(Slot, Word)> {
        let (slot, word) = self.lines[1].find(self.tag)?;
        Some((Slot(LINE + slot), word))
    }

    /// All slots, one after the other.
    pub(super) fn look(&self) -> [(Slot, Word); SLOTS] {
        std::array::from_fn(|slot| {
            let word = &self.lines[slot / LINE].0[slot % LINE];
            // ORDERING: Relaxed: as in `find`.
            (Slot(slot), Word(word.load(Ordering::Relaxed)))
        })
    }

    /// All slots, after everything that the caller has seen or done before.
    pub(super) fn look_again(&self) -> [(Slot, Word); SLOTS] {
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
    pub(super) fn exchange(&self, Slot(slot): Slot, seen: Word, new: Word) -> bool {
        // ORDERING: Relaxed: the word says all, and was read as a whole.
        self.lines[slot / LINE % 2].0[slot % LINE]
            .compare_exchange(seen.0, new.0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

impl Slot {
    /// How much a tag would rather have another one.
    pub(super) fn distance(self, tag: Tag) -> usize {
        match self.0 {
            slot if slot == tag.first() % LINE => 0,
            slot if slot == (tag.first() % LINE) ^ 1 => 1,
            slot if slot < LINE => 2,
            _ => 3,
        }
    }
}
