//! The filter of one owner: `&mut` to insert, `&` to ask.

use axiomatic_core::hash::Hasher;

use super::error::{BuildError, DecodeError, Mismatch, ShapeError};
use super::kernels::{Ask, AskMany, Insert, InsertMany, Unite};
use super::mask::Block;
use super::shape::{Shape, check_rate};
use super::snapshot::Snapshot;
use super::stored::{Header, Kind, Verify};
use super::table::Table;
use super::view::BloomView;
use crate::lanes::dispatch;

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
            block: self.table.block_mut(hash),
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
            block: self.table.block(hash),
            hash,
        })
    }

    /// Whether each of these keys may have been inserted, by their hashes:
    /// `answers` holds afterwards as many as there are hashes, in their order.
    ///
    /// Faster than one by one by a fifth, where the filter is in the cache; twice
    /// as fast where it is not, since its lines are fetched together.
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
    pub fn fold_to(mut self, rate: f64) -> Result<Self, ShapeError> {
        check_rate(rate)?;
        let blocks = self.shape.blocks();
        let folded = |factor| Shape::of(u64::from(blocks / factor), self.shape.items());
        let mut best = 1;
        // The more of them become one, the fuller it is: the first that is too
        // full ends it.
        for factor in (2..=blocks).filter(|factor| blocks % factor == 0) {
            let united = self.table.united(factor);
            if Snapshot::of(folded(factor)?, united).false_positives() > rate {
                break;
            }
            best = factor;
        }
        self.shape = folded(best)?;
        self.table.fold(best);
        Ok(self)
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

    /// The filter as bytes, the same on every platform: what
    /// [`from_bytes`](Self::from_bytes) reads and a [`BloomView`] asks in place.
    ///
    /// Of a hasher whose seed is secret the seed is not written. The bits are:
    /// who reads them can try keys, once they know the seed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = Header {
            kind: Kind::SplitBlocks,
            bits_per_key: 8,
            hasher: self.hasher,
            count: u64::from(self.shape.blocks()),
            items: self.shape.items(),
        };
        header.encode(&self.table.to_bytes())
    }

    /// The filter that was written so, whose seed is no secret.
    ///
    /// ```
    /// # use axiomatic_core::hash::{Algorithm, Hasher, Seed};
    /// # use axiomatic_sketch::bloom::{BloomFilter, Shape};
    /// # let shape = Shape::for_items(100).false_positives(0.001)?;
    /// # let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    /// # let mut filter = BloomFilter::new(shape, hasher)?;
    /// filter.insert(b"a");
    /// let bytes = filter.to_bytes();
    /// assert!(BloomFilter::from_bytes(&bytes)?.may_contain(b"a"));
    /// assert!(BloomFilter::from_bytes(&bytes[1..]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if a single bit differs from what was written, among
    /// others; [`DecodeError::SeedNeeded`] if the seed is secret.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        BloomView::new(bytes, Verify::All)?.to_filter()
    }

    /// The filter that was written so by this hasher, whose seed may be secret.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; [`DecodeError::WrongHasher`] if it was another one.
    pub fn from_bytes_keyed(bytes: &[u8], hasher: Hasher) -> Result<Self, DecodeError> {
        BloomView::keyed(bytes, hasher, Verify::All)?.to_filter()
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
