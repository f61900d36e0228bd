//! The filter of one owner: `&mut` to insert, `&` to ask.

use axiomatic_core::hash::Hasher;

use super::error::{BuildError, Mismatch, ShapeError};
use super::mask::{self, Block};
use super::shape::{Shape, check_rate};
use super::snapshot::Snapshot;
use super::table::Table;
use crate::lanes::{Kernel, Lanes, dispatch};

/// How many questions are asked at once: their blocks are all on the way from
/// memory before the first one is looked at. Measured: with 16 a question
/// took 5 % more, with 64 nothing less.
pub(super) const BATCH: usize = 32;

/// A split block Bloom filter, bit by bit that of Parquet.
///
/// Says of a key that it was surely never inserted, or that it may have been.
/// Each question reads one cache line.
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_sketch::bloom::{BloomFilter, Shape};
///
/// let shape = Shape::for_items(10_000).false_positives(0.01)?;
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let mut filter = BloomFilter::new(shape, hasher)?;
///
/// assert!(filter.insert(b"user:17"));
/// assert!(filter.may_contain(b"user:17"));
/// assert!(!filter.may_contain(b"user:18"));
///
/// // Who has the hash already need not have it made again.
/// let hash = hasher.hash(b"user:17");
/// assert!(filter.may_contain_hash(hash));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BloomFilter {
    pub(super) table: Table,
    pub(super) shape: Shape,
    pub(super) hasher: Hasher,
}

impl BloomFilter {
    /// An empty filter of this shape, whose keys are hashed so.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no memory for it, or if the hasher has fewer
    /// than 64 bits.
    pub fn new(shape: Shape, hasher: Hasher) -> Result<Self, BuildError> {
        BuildError::check(hasher)?;
        let table = Table::zeroed(shape.blocks())?;
        Ok(BloomFilter {
            table,
            shape,
            hasher,
        })
    }

    /// Remembers the key. `true` if it was surely not there before; `false` if
    /// it seemed to be, and then nothing has changed.
    #[inline]
    pub fn insert(&mut self, key: &[u8]) -> bool {
        self.insert_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn insert_hash(&mut self, hash: u64) -> bool {
        dispatch(Insert {
            blocks: self.table.blocks_mut(),
            hash,
        })
    }

    /// Remembers many keys, by their hashes. Faster than one by one, the more
    /// so the less of the filter is in the cache.
    pub fn insert_hashes(&mut self, hashes: &[u64]) {
        dispatch(InsertMany {
            blocks: self.table.blocks_mut(),
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
        dispatch(Ask {
            blocks: self.table.blocks(),
            hash,
        })
    }

    /// Whether each of these keys may have been inserted, by their hashes:
    /// `answers` holds afterwards as many as there are hashes, in their order.
    ///
    /// Twice as fast as one by one, since their lines are fetched together.
    ///
    /// ```
    /// # use axiomatic_core::hash::{Algorithm, Hasher, Seed};
    /// # use axiomatic_sketch::bloom::{BloomFilter, Shape};
    /// # let shape = Shape::for_items(100).false_positives(0.001)?;
    /// # let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    /// # let mut filter = BloomFilter::new(shape, hasher)?;
    /// filter.insert(b"a");
    /// let hashes = [b"a", b"b"].map(|key| hasher.hash(key));
    /// let mut answers = Vec::new();
    /// filter.may_contain_hashes(&hashes, &mut answers);
    /// assert_eq!(answers, [true, false]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn may_contain_hashes(&self, hashes: &[u64], answers: &mut Vec<bool>) {
        answers.clear();
        answers.resize(hashes.len(), false);
        dispatch(AskMany {
            blocks: self.table.blocks(),
            hashes,
            answers,
        });
    }

    /// Adds all keys of the other one.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] if they differ in blocks, algorithm or seed; then nothing
    /// has changed.
    pub fn union(&mut self, other: &BloomFilter) -> Result<(), Mismatch> {
        if self.hasher != other.hasher {
            return Err(Mismatch::Hasher);
        }
        if self.shape.blocks() != other.shape.blocks() {
            return Err(Mismatch::Shape);
        }
        dispatch(Unite {
            blocks: self.table.blocks_mut(),
            others: other.table.blocks(),
        });
        Ok(())
    }

    /// The smallest filter with the same keys whose rate of false positives is
    /// no more than `rate`: this one, if none is.
    ///
    /// A filter can become smaller by any divisor of its blocks, which is why
    /// [`Shape::divisible_by`] makes them divisible. Who does not know how many
    /// keys will come begins with too many blocks and folds what is left over.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Rate`] if that is no share between 0 and 1.
    pub fn fold_to(self, rate: f64) -> Result<Self, ShapeError> {
        check_rate(rate)?;
        let blocks = self.shape.blocks();
        let mut best = self;
        // Smaller and smaller: a filter folded is no emptier than before, so
        // that the first one that is too full ends it.
        for factor in 2..=blocks {
            if blocks % factor != 0 {
                continue;
            }
            let Ok(folded) = best.folded(blocks / factor) else {
                break;
            };
            if folded.snapshot().false_positives() > rate {
                break;
            }
            best = folded;
        }
        Ok(best)
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.table.blocks_mut().fill(Block::default());
    }

    /// Whether no key was ever inserted.
    pub fn is_empty(&self) -> bool {
        let mut blocks = self.table.blocks().iter();
        blocks.all(|block| *block == Block::default())
    }

    /// How full it is, and what that means. Reads all of it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.shape, self.table.blocks().iter().copied())
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
    /// The same keys in so many blocks, a divisor of what there are. A block
    /// of the smaller one is as many neighbours of the larger one: of the
    /// product that [`block_of`](mask::block_of) divides, rounding down twice
    /// is rounding down once.
    fn folded(&self, blocks: u32) -> Result<Self, ShapeError> {
        let shape = Shape::of(u64::from(blocks), self.shape.items())?;
        let mut table = Table::zeroed(blocks).map_err(|_| ShapeError::TooLarge)?;
        let factor = (self.shape.blocks() / blocks) as usize;
        let neighbours = self.table.blocks().chunks_exact(factor);
        for (into, neighbours) in table.blocks_mut().iter_mut().zip(neighbours) {
            neighbours.iter().for_each(|block| mask::add(into, block));
        }
        let hasher = self.hasher;
        Ok(BloomFilter {
            table,
            shape,
            hasher,
        })
    }
}

struct Ask<'a> {
    blocks: &'a [Block],
    hash: u64,
}

impl Kernel for Ask<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        let at = mask::block_of(self.hash, self.blocks.len() as u32);
        mask::covers(&self.blocks[at as usize], &mask::mask::<L>(self.hash))
    }
}

struct Insert<'a> {
    blocks: &'a mut [Block],
    hash: u64,
}

impl Kernel for Insert<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        let at = mask::block_of(self.hash, self.blocks.len() as u32);
        let block = &mut self.blocks[at as usize];
        let mask = mask::mask::<L>(self.hash);
        let is_new = !mask::covers(block, &mask);
        mask::add(block, &mask);
        is_new
    }
}

struct AskMany<'a> {
    blocks: &'a [Block],
    hashes: &'a [u64],
    answers: &'a mut [bool],
}

impl Kernel for AskMany<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let count = self.blocks.len() as u32;
        let batches = self.hashes.chunks(BATCH);
        for (hashes, answers) in batches.zip(self.answers.chunks_mut(BATCH)) {
            let places = places(hashes, count);
            let each = hashes.iter().zip(&places).zip(answers);
            for ((hash, at), answer) in each {
                *answer = mask::covers(&self.blocks[*at as usize], &mask::mask::<L>(*hash));
            }
        }
    }
}

struct InsertMany<'a> {
    blocks: &'a mut [Block],
    hashes: &'a [u64],
}

impl Kernel for InsertMany<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let count = self.blocks.len() as u32;
        for hashes in self.hashes.chunks(BATCH) {
            let places = places(hashes, count);
            for (hash, at) in hashes.iter().zip(&places) {
                mask::add(&mut self.blocks[*at as usize], &mask::mask::<L>(*hash));
            }
        }
    }
}

/// Where the blocks of a batch are, before the first is touched: several at a
/// time in one register, and the loads that follow do not wait for one
/// another.
#[inline(always)]
pub(super) fn places(hashes: &[u64], blocks: u32) -> [u32; BATCH] {
    let mut places = [0; BATCH];
    for (place, hash) in places.iter_mut().zip(hashes) {
        *place = mask::block_of(*hash, blocks);
    }
    places
}

struct Unite<'a> {
    blocks: &'a mut [Block],
    others: &'a [Block],
}

impl Kernel for Unite<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (block, other) in self.blocks.iter_mut().zip(self.others) {
            mask::add(block, other);
        }
    }
}
