//! The filter of many owners: `&` to insert and to ask.

use axiomatic_core::hash::Hasher;

use super::bits_cell::Bits;
use super::error::BuildError;
use super::filter::{BATCH, BloomFilter, places};
use super::mask::{self, Block};
use super::shape::Shape;
use super::snapshot::Snapshot;
use super::table::{Table, reserved};
use crate::lanes::{Kernel, Lanes, dispatch};

/// A [`BloomFilter`] that all threads insert into at the same time: the same
/// bits for the same keys.
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_sketch::bloom::{AtomicBloomFilter, Shape};
///
/// let shape = Shape::for_items(10_000).false_positives(0.01)?;
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let filter = AtomicBloomFilter::new(shape, hasher)?;
///
/// std::thread::scope(|scope| {
///     for thread in 0..4u64 {
///         let filter = &filter;
///         scope.spawn(move || filter.insert(&thread.to_le_bytes()));
///     }
/// });
/// assert!(filter.may_contain(&3u64.to_le_bytes()));
///
/// // Whoever is alone with it again has the sequential one.
/// let mut filter = filter.freeze();
/// filter.insert(b"one more");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What inserters at the same time are told
///
/// A key's bits are in four words, and each word is a step of its own. Two who
/// insert one fresh key at the same time may both be told `true`, each having
/// set some of its bits; never are both told `false`. Where only one may win,
/// there is [`AtomicWordFilter`](super::AtomicWordFilter).
///
/// A question asked while the key is being inserted is answered either way.
/// What was inserted before it, by this thread or in the order of some join,
/// lock, channel or flag, it finds. A key that is found gives no such order
/// itself: what its inserter wrote elsewhere may not be there yet. Publish
/// that by the means for it.
///
/// # What it costs
///
/// A question reads one cache line; so does the insert of a key that is there
/// already, which writes nothing. A new key is an atomic step for each of the
/// four words in which a bit is missing.
///
/// There is no clearing: a key that is inserted meanwhile would lose some of
/// its bits and keep others, and be forgotten although its inserter was told
/// otherwise.
#[derive(Debug)]
pub struct AtomicBloomFilter {
    lines: Vec<Line>,
    shape: Shape,
    hasher: Hasher,
}

/// A cache line: the unit of alignment, so that no block lies on two.
#[derive(Debug)]
#[repr(align(64))]
struct Line([SharedBlock; 2]);

/// The words of a block two by two, the first one below.
#[derive(Debug)]
struct SharedBlock([Bits; 4]);

impl AtomicBloomFilter {
    /// An empty filter of this shape, whose keys are hashed so.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no memory for it, or if the hasher has fewer
    /// than 64 bits.
    pub fn new(shape: Shape, hasher: Hasher) -> Result<Self, BuildError> {
        Self::from_words(shape, hasher, std::iter::empty())
    }

    /// Remembers the key. `true` if it was surely not there before: this call
    /// has set a bit at least. `false` if it seemed to be there; then nothing
    /// has been written if it was there when the call began.
    #[inline]
    pub fn insert(&self, key: &[u8]) -> bool {
        self.insert_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn insert_hash(&self, hash: u64) -> bool {
        dispatch(Insert { filter: self, hash })
    }

    /// Remembers many keys, by their hashes. Faster than one by one, the more
    /// so the less of the filter is in the cache.
    pub fn insert_hashes(&self, hashes: &[u64]) {
        dispatch(InsertMany {
            filter: self,
            hashes,
        });
    }

    /// Whether the key may have been inserted; `false` is certain.
    #[inline]
    pub fn may_contain(&self, key: &[u8]) -> bool {
        self.may_contain_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn may_contain_hash(&self, hash: u64) -> bool {
        dispatch(Ask { filter: self, hash })
    }

    /// Whether each of these keys may have been inserted, by their hashes:
    /// `answers` holds afterwards as many as there are hashes, in their order.
    #[inline]
    pub fn may_contain_hashes(&self, hashes: &[u64], answers: &mut Vec<bool>) {
        answers.clear();
        answers.resize(hashes.len(), false);
        dispatch(AskMany {
            filter: self,
            hashes,
            answers,
        });
    }

    /// The filter of one owner with the same bits.
    pub fn freeze(self) -> BloomFilter {
        let blocks = self.shape.blocks();
        let lines = self.lines.into_iter();
        BloomFilter {
            table: Table::of(lines.map(Line::into_pair), blocks),
            shape: self.shape,
            hasher: self.hasher,
        }
    }

    /// A copy, made while others insert: it has what was inserted before, and
    /// of what is inserted meanwhile some keys and perhaps parts of others,
    /// which are not found in it.
    pub fn to_filter(&self) -> BloomFilter {
        let pairs = self.lines.iter().map(Line::load);
        BloomFilter {
            table: Table::of(pairs, self.shape.blocks()),
            shape: self.shape,
            hasher: self.hasher,
        }
    }

    /// How full it is, and what that means. Reads all of it, while others
    /// insert.
    pub fn snapshot(&self) -> Snapshot {
        let blocks = self.lines.iter().flat_map(Line::load);
        Snapshot::of(self.shape, blocks.take(self.shape.blocks() as usize))
    }

    /// How large it is.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How keys are hashed.
    pub fn hasher(&self) -> Hasher {
        self.hasher
    }
}

impl BloomFilter {
    /// The filter of many owners with the same bits.
    pub fn thaw(self) -> AtomicBloomFilter {
        let pairs = self.table.into_pairs();
        AtomicBloomFilter {
            lines: pairs.map(Line::of).collect(),
            shape: self.shape,
            hasher: self.hasher,
        }
    }
}

impl AtomicBloomFilter {
    /// With these words of 64 bits, four a block, and zeros where there are
    /// none of them any more.
    pub(super) fn from_words(
        shape: Shape,
        hasher: Hasher,
        words: impl IntoIterator<Item = u64>,
    ) -> Result<Self, BuildError> {
        BuildError::check(hasher)?;
        let blocks = shape.blocks() as usize;
        let mut words = words.into_iter().take(4 * blocks).fuse();
        let mut next = || Bits::new(words.next().unwrap_or(0));
        let mut block = || SharedBlock(std::array::from_fn(|_| next()));
        let count = blocks.div_ceil(2);
        let mut lines = reserved(count, shape.bytes())?;
        lines.resize_with(count, || Line(std::array::from_fn(|_| block())));
        Ok(AtomicBloomFilter {
            lines,
            shape,
            hasher,
        })
    }

    /// The words, four a block, in their order.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        let blocks = self.lines.iter().flat_map(|line| &line.0);
        let blocks = blocks.take(self.shape.blocks() as usize);
        blocks.flat_map(SharedBlock::load)
    }

    #[inline(always)]
    fn block(&self, at: u32) -> &SharedBlock {
        &self.lines[at as usize / 2].0[at as usize % 2]
    }
}

impl Line {
    fn of(pair: [Block; 2]) -> Self {
        Line(pair.map(|block| SharedBlock(pairs_of(&block).map(Bits::new))))
    }

    fn into_pair(self) -> [Block; 2] {
        self.0
            .map(|block| block_of_pairs(block.0.map(Bits::into_inner)))
    }

    fn load(&self) -> [Block; 2] {
        self.0.each_ref().map(|block| block_of_pairs(block.load()))
    }
}

impl SharedBlock {
    #[inline(always)]
    fn load(&self) -> [u64; 4] {
        self.0.each_ref().map(Bits::load)
    }

    /// Those bits of the mask that are not there.
    #[inline(always)]
    fn missing(&self, mask: &Block) -> [u64; 4] {
        let (mask, words) = (pairs_of(mask), self.load());
        std::array::from_fn(|at| mask[at] & !words[at])
    }

    #[inline(always)]
    fn covers(&self, mask: &Block) -> bool {
        let [a, b, c, d] = self.missing(mask);
        a | b | c | d == 0
    }

    /// Whether a bit of the mask was missing, and this is who set it.
    #[inline(always)]
    fn add(&self, mask: &Block) -> bool {
        let missing = self.missing(mask);
        let mut added = 0;
        for (word, missing) in self.0.iter().zip(missing) {
            // A word that has its bits is not written, or else the line would
            // be taken from the other cores for nothing.
            if missing != 0 {
                added |= word.add(missing);
            }
        }
        added != 0
    }
}

/// Words of 32 bits two by two. Not a view of their bytes, which would differ
/// by the processor's byte order.
#[inline(always)]
fn pairs_of(block: &Block) -> [u64; 4] {
    std::array::from_fn(|at| u64::from(block[2 * at]) | u64::from(block[2 * at + 1]) << 32)
}

#[inline(always)]
fn block_of_pairs(pairs: [u64; 4]) -> Block {
    // Cut on purpose: the lower halves.
    std::array::from_fn(|at| (pairs[at / 2] >> (32 * (at % 2))) as u32)
}

struct Ask<'a> {
    filter: &'a AtomicBloomFilter,
    hash: u64,
}

impl Kernel for Ask<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        let at = mask::block_of(self.hash, self.filter.shape.blocks());
        self.filter.block(at).covers(&mask::mask::<L>(self.hash))
    }
}

struct Insert<'a> {
    filter: &'a AtomicBloomFilter,
    hash: u64,
}

impl Kernel for Insert<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        let at = mask::block_of(self.hash, self.filter.shape.blocks());
        self.filter.block(at).add(&mask::mask::<L>(self.hash))
    }
}

struct AskMany<'a> {
    filter: &'a AtomicBloomFilter,
    hashes: &'a [u64],
    answers: &'a mut [bool],
}

impl Kernel for AskMany<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let count = self.filter.shape.blocks();
        let batches = self.hashes.chunks(BATCH);
        for (hashes, answers) in batches.zip(self.answers.chunks_mut(BATCH)) {
            let places = places(hashes, count);
            let each = hashes.iter().zip(&places).zip(answers);
            for ((hash, at), answer) in each {
                *answer = self.filter.block(*at).covers(&mask::mask::<L>(*hash));
            }
        }
    }
}

struct InsertMany<'a> {
    filter: &'a AtomicBloomFilter,
    hashes: &'a [u64],
}

impl Kernel for InsertMany<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let count = self.filter.shape.blocks();
        for hashes in self.hashes.chunks(BATCH) {
            let places = places(hashes, count);
            for (hash, at) in hashes.iter().zip(&places) {
                self.filter.block(*at).add(&mask::mask::<L>(*hash));
            }
        }
    }
}
