//! What windows of time are made of: a ring of words for each thread that is
//! likely to write at a time, with two lanes and a head.

use super::clear_cell::clear;
use crate::sync::{AtomicU64, Ordering, spread, thread_index};

/// The rings of a window, by epochs: ever-growing numbers, one for each step
/// by which the window slides.
pub(super) struct Rings {
    /// Words of all rings, one after the other; each ring begins a line.
    lines: Box<[Line]>,
    /// Words of one lane of a ring are a power of two.
    places_shift: u32,
    lines_per_ring: usize,
    rings: usize,
}

/// Two cache lines, because processors fetch them in pairs: what one thread
/// writes, no other thread's ring shares.
#[repr(align(128))]
struct Line([AtomicU64; WORDS]);

const WORDS: usize = 16;

/// Eras are numbers below 2^38.
const ERA_MASK: u64 = (1 << 38) - 1;

/// One thread's part of a window, by its first line: a head, then two lanes
/// of words. What the lanes hold is the window's business, but for the tag.
#[derive(Copy, Clone)]
pub(super) struct Ring(usize);

#[derive(Copy, Clone)]
pub(super) enum Lane {
    First,
    Second,
}

/// Where the tag of a word begins: how often the ring had been filled before.
pub(super) const TAG_SHIFT: u32 = 48;
const TAG_MASK: u64 = (1 << 16) - 1;

/// The tag of a word, as far as it is kept.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    /// The tag that a word carries.
    pub(super) fn of(word: u64) -> Self {
        Tag(word >> TAG_SHIFT)
    }

    #[inline(always)]
    pub(super) fn is_on(self, word: u64) -> bool {
        word >> TAG_SHIFT == self.0
    }
}

impl Rings {
    /// Rings of at least so many places, one for each thread that is likely
    /// to write at a time.
    pub(super) fn spread(places: u64) -> Self {
        Self::new(places, spread())
    }

    /// One ring for all threads.
    pub(super) fn single(places: u64) -> Self {
        Self::new(places, 1)
    }

    fn new(places: u64, rings: usize) -> Self {
        let places = places.next_power_of_two();
        let rings = rings.next_power_of_two();
        let lines_per_ring = (1 + 2 * places as usize).div_ceil(WORDS);
        Rings {
            lines: (0..rings * lines_per_ring).map(|_| Line::new()).collect(),
            places_shift: places.trailing_zeros(),
            lines_per_ring,
            rings,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rings
    }

    /// The calling thread's ring, and which it is.
    #[inline(always)]
    pub(super) fn own(&self) -> (Ring, usize) {
        let index = thread_index() & (self.rings - 1);
        (self.at(index), index)
    }

    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> Ring {
        Ring(index * self.lines_per_ring)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Ring> + use<> {
        let lines = self.lines_per_ring;
        (0..self.rings).map(move |index| Ring(index * lines))
    }

    /// Words of one lane of a ring.
    #[inline]
    pub(super) fn places(&self) -> u64 {
        1 << self.places_shift
    }

    /// An era is a jump of two rings: one, so that it finds nothing of the one
    /// before, and another, so that it does not either when time steps back
    /// by less than a ring at its beginning.
    ///
    /// The start of an era takes at most 2^49, and an epoch of time less than
    /// 2^55 since no step is shorter than a microsecond: their sum is far
    /// from overflowing.
    #[inline]
    pub(super) fn era_start(&self, era: u64) -> u64 {
        (era & ERA_MASK) << (self.places_shift + 1)
    }

    /// The word of an epoch in a lane, and the tag it must have.
    #[inline(always)]
    pub(super) fn word(&self, ring: Ring, lane: Lane, epoch: u64) -> (&AtomicU64, Tag) {
        let place = epoch & (self.places() - 1);
        let index = match lane {
            Lane::First => 1 + place,
            Lane::Second => 1 + self.places() + place,
        };
        let tag = epoch >> self.places_shift & TAG_MASK;
        (self.nth(ring, index as usize), Tag(tag))
    }

    #[inline]
    pub(super) fn head(&self, ring: Ring) -> Head<'_> {
        Head(self.nth(ring, 0))
    }

    /// The newest epoch of any ring, at least this one.
    pub(super) fn newest(&self, at_least: u64) -> u64 {
        self.all()
            .map(|ring| self.head(ring).load())
            .fold(at_least, u64::max)
    }

    /// Empties every word that the head passes on its way from `head` to
    /// `epoch`, then moves it.
    pub(super) fn advance(&self, ring: Ring, head: u64, epoch: u64) {
        let first = (head + 1).max((epoch + 1).saturating_sub(self.places()));
        for passed in first..=epoch {
            for lane in [Lane::First, Lane::Second] {
                let (word, tag) = self.word(ring, lane, passed);
                clear(word, tag.0 << TAG_SHIFT, || self.head(ring).load() < passed);
            }
        }
        self.head(ring).advance_to(epoch);
    }

    #[inline(always)]
    fn nth(&self, ring: Ring, index: usize) -> &AtomicU64 {
        &self.lines[ring.0 + index / WORDS].0[index % WORDS]
    }
}

impl Line {
    fn new() -> Self {
        Line(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// The newest epoch of a ring, as an ever-growing number.
///
/// Layout    | 63..0 epoch |
/// Invariant never decreases; the words up to it carry its tags.
/// Writers   `advance_to`. Readers `load`.
/// Orderings `advance_to` releases the cleared words, `load` acquires them.
pub(super) struct Head<'w>(&'w AtomicU64);

impl Head<'_> {
    #[inline]
    pub(super) fn load(&self) -> u64 {
        // ORDERING: Acquire: observes the words that `advance_to`
        // published, so that one with a strange tag is one of the future.
        self.0.load(Ordering::Acquire)
    }

    /// Moves the head on. Wait-free; a thread that went further wins.
    pub(super) fn advance_to(&self, epoch: u64) {
        // ORDERING: Release: publishes the words cleared before; pairs with
        // the Acquire in `load`.
        self.0.fetch_max(epoch, Ordering::Release);
    }
}
