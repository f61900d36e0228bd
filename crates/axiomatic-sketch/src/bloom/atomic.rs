//! The filter of many owners: `&` to insert and to ask.

use axiomatic_core::hash::Hasher;

use super::error::BuildError;
use super::filter::BloomFilter;
use super::kernels::{Ask, AskMany, BATCH, Words, places};
use super::mask::{self, Block};
use super::shape::Shape;
use super::shared_block::SharedBlock;
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
/// set some of its bits; never are both told `false`, unless the bits of other
/// keys were all there already, as a false positive. Where only one may win,
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
    blocks: Vec<SharedBlock>,
    shape: Shape,
    hasher: Hasher,
}

impl AtomicBloomFilter {
    /// An empty filter of this shape, whose keys are hashed so.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no memory for it, or if the hasher has fewer
    /// than 64 bits.
    pub fn new(shape: Shape, hasher: Hasher) -> Result<Self, BuildError> {
        BuildError::check(hasher)?;
        let count = shape.blocks() as usize;
        let mut blocks = reserved(count, shape.bytes())?;
        blocks.resize_with(count, || SharedBlock::of(&Block::default()));
        Ok(AtomicBloomFilter {
            blocks,
            shape,
            hasher,
        })
    }

    /// Remembers the key. `true` if it was surely not there before, and this
    /// call has set a bit at least. `false` if it seemed to be there, or others
    /// set its bits meanwhile; if it was there when the call began, nothing has
    /// been written.
    #[inline]
    pub fn insert(&self, key: &[u8]) -> bool {
        self.insert_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn insert_hash(&self, hash: u64) -> bool {
        dispatch(Insert {
            block: self.block(hash),
            hash,
        })
    }

    /// Remembers many keys, by their hashes. Faster than one by one, the more
    /// so the less of the filter is in the cache.
    pub fn insert_hashes(&self, hashes: &[u64]) {
        dispatch(InsertMany {
            blocks: &self.blocks,
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
            block: self.block(hash),
            hash,
        })
    }

    /// Whether each of these keys may have been inserted, by their hashes:
    /// `answers` holds afterwards as many as there are hashes, in their order.
    #[inline]
    pub fn may_contain_hashes(&self, hashes: &[u64], answers: &mut Vec<bool>) {
        answers.clear();
        answers.resize(hashes.len(), false);
        dispatch(AskMany {
            blocks: &self.blocks,
            hashes,
            answers,
        });
    }

    /// The filter of one owner with the same bits: for a moment both are in
    /// memory.
    pub fn freeze(self) -> BloomFilter {
        self.to_filter()
    }

    /// A copy, made while others insert: it has what was inserted before, and
    /// of what is inserted meanwhile some keys and perhaps parts of others,
    /// which are not found in it.
    pub fn to_filter(&self) -> BloomFilter {
        BloomFilter {
            table: Table::of(self.copied(), self.shape.blocks()),
            shape: self.shape,
            hasher: self.hasher,
        }
    }

    /// How full it is, and what that means. Reads all of it, while others
    /// insert.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.shape, self.copied())
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
    /// The filter of many owners with the same bits: for a moment both are in
    /// memory.
    pub fn thaw(self) -> AtomicBloomFilter {
        AtomicBloomFilter {
            blocks: self.table.blocks().iter().map(SharedBlock::of).collect(),
            shape: self.shape,
            hasher: self.hasher,
        }
    }
}

impl AtomicBloomFilter {
    /// The block of this key.
    #[inline(always)]
    fn block(&self, hash: u64) -> &SharedBlock {
        &self.blocks[mask::block_of(hash, self.blocks.len() as u32) as usize]
    }

    fn copied(&self) -> impl Iterator<Item = Block> {
        self.blocks.iter().map(Words::words)
    }
}

/// Of two words, as [`Ask`] is.
struct Insert<'a> {
    block: &'a SharedBlock,
    hash: u64,
}

impl Kernel for Insert<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        self.block.add(&mask::mask::<L>(self.hash))
    }
}

struct InsertMany<'a> {
    blocks: &'a [SharedBlock],
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
                self.blocks[*at as usize].add(&mask::mask::<L>(*hash));
            }
        }
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use axiomatic_core::hash::{Algorithm, Seed};
    use proptest::prelude::*;

    use super::*;
    use crate::bloom::bits_cell::writes;
    use crate::lanes::Narrow;

    fn filters(blocks: u32) -> (BloomFilter, AtomicBloomFilter) {
        let shape = Shape::for_items(24 * u64::from(blocks)).blocks(blocks);
        let (shape, hasher) = (shape.unwrap(), Hasher::new(Algorithm::Xxh3, Seed::fixed(0)));
        (
            BloomFilter::new(shape, hasher).unwrap(),
            AtomicBloomFilter::new(shape, hasher).unwrap(),
        )
    }

    proptest! {
        #[test]
        fn the_bits_are_those_of_the_sequential_filter(
            hashes: Vec<u64>,
            more: Vec<u64>,
            blocks in 1_u32..20,
        ) {
            let (mut one, shared) = filters(blocks);
            for hash in &hashes {
                prop_assert_eq!(shared.insert_hash(*hash), one.insert_hash(*hash));
            }
            let copy = shared.to_filter();
            prop_assert_eq!(copy.table.blocks(), one.table.blocks());
            shared.insert_hashes(&more);
            one.insert_hashes(&more);
            let copy = shared.to_filter();
            prop_assert_eq!(copy.table.blocks(), one.table.blocks());
            for hash in hashes.iter().chain(&more) {
                let probe = hash.rotate_left(7);
                prop_assert!(shared.may_contain_hash(*hash));
                prop_assert_eq!(shared.may_contain_hash(probe), one.may_contain_hash(probe));
            }
        }

        #[test]
        fn thawed_and_frozen_it_is_what_it_was(hashes: Vec<u64>, blocks in 1_u32..20) {
            let (mut one, _) = filters(blocks);
            one.insert_hashes(&hashes);
            let shared = one.clone().thaw();
            prop_assert_eq!((shared.shape(), shared.hasher()), (one.shape(), one.hasher()));
            let copies = [shared.to_filter(), shared.freeze()];
            for copy in copies {
                prop_assert_eq!(copy.table.blocks(), one.table.blocks());
                prop_assert_eq!((copy.shape(), copy.hasher()), (one.shape(), one.hasher()));
            }
        }

        #[test]
        fn an_insert_writes_the_words_in_which_a_bit_is_missing_and_no_other(
            hashes: Vec<u64>,
            blocks in 1_u32..4,
        ) {
            let (_, shared) = filters(blocks);
            for hash in hashes {
                let block = &shared.blocks[mask::block_of(hash, blocks) as usize];
                let mask = mask::mask::<Narrow>(hash);
                let words = block.pairs().into_iter().zip(mask.chunks(2));
                let lacking = words.filter(|(word, mask)| {
                    let mask = u64::from(mask[0]) | u64::from(mask[1]) << 32;
                    mask & !word != 0
                });
                let lacking = lacking.count() as u64;
                let insert = || shared.insert_hash(hash);
                prop_assert_eq!(writes::during(insert), (lacking > 0, lacking));
                prop_assert_eq!(writes::during(insert), (false, 0));
            }
        }
    }

    #[test]
    fn a_repeated_insert_writes_nothing() {
        let (_, shared) = filters(100);
        let hashes: Vec<u64> = (1..2400_u64)
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        let (_, written) = writes::during(|| shared.insert_hashes(&hashes));
        assert!(written > 2 * 2400);
        let again = || {
            shared.insert_hashes(&hashes);
            hashes.iter().any(|hash| shared.insert_hash(*hash))
        };
        assert_eq!(writes::during(again), (false, 0));
        let ask = || {
            let mut answers = Vec::new();
            shared.may_contain_hashes(&hashes, &mut answers);
            let found = hashes.iter().filter(|hash| shared.may_contain_hash(**hash));
            (answers.iter().all(|found| *found), found.count())
        };
        assert_eq!(writes::during(ask), ((true, hashes.len()), 0));
    }
}
