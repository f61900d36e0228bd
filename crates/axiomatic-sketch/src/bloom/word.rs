//! The filter of many owners in which a key's bits are one word, so that one
//! atomic step inserts it and tells whether it was new.

use axiomatic_core::hash::Hasher;

use super::bits_cell::Bits;
use super::error::{BuildError, DecodeError};
use super::kernels::{BATCH, places};
use super::mask;
use super::snapshot::Snapshot;
use super::stored::{Header, Kind, Verify};
use super::table::reserved;
use super::word_shape::WordShape;

/// A shared Bloom filter of one 64-bit word a key, which tells one inserter
/// alone that a key is new.
///
/// **A filter never decides to drop.** "New" is certain, and lets its one
/// inserter skip the exact lookup; "seen" may be a false positive, and is
/// confirmed in an exact store before anything is thrown away:
///
/// ```
/// use std::collections::HashSet;
///
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_sketch::bloom::{AtomicWordFilter, WordShape};
///
/// let shape = WordShape::for_items(10_000).false_positives(0.01)?;
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let filter = AtomicWordFilter::new(shape, hasher)?;
///
/// // In its place, the table that says what was done.
/// let mut store = HashSet::new();
/// let mut is_repeated = |key: &'static [u8]| {
///     let is_repeated = !filter.insert(key) && store.contains(key);
///     store.insert(key);
///     is_repeated
/// };
/// assert!(!is_repeated(b"order:17"));
/// assert!(is_repeated(b"order:17"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Whoever was told "seen" may look into the store before the winner has
/// written there. Where both must not go on, the store decides, by a unique
/// key or an insert if absent; the filter only spares it questions.
///
/// # Which inserter is told "new"
///
/// [`insert`](Self::insert) is linearizable: all inserters behave as if each
/// had its turn alone. Of those who insert a fresh key at the same time at most
/// one is told `true`, and none only if the bits of other keys were all there
/// already, as a false positive. In a filter that was empty exactly one is.
///
/// A question is answered from one load: what was inserted before it, by this
/// thread or in the order of some join, lock, channel or flag, it finds. And a
/// key that is found gives no such order itself: what its inserter wrote
/// elsewhere may not be there yet. Publish that by the means for it.
///
/// # What it costs
///
/// A question reads one word; so does the insert of a key that is there
/// already, which writes nothing. A new key is one atomic step more. For all
/// that it needs 15 % more memory than a [`BloomFilter`](super::BloomFilter)
/// at 1 % false positives, and 42 % more at 0.1 %.
///
/// There is no clearing: inserters who run meanwhile would be told "new" or
/// "seen" by what half of the filter still remembers.
#[derive(Debug)]
pub struct AtomicWordFilter {
    words: Vec<Bits>,
    shape: WordShape,
    hasher: Hasher,
}

impl AtomicWordFilter {
    /// An empty filter of this shape, whose keys are hashed so.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no memory for it, or if the hasher has fewer
    /// than 64 bits.
    pub fn new(shape: WordShape, hasher: Hasher) -> Result<Self, BuildError> {
        Self::from_words(shape, hasher, std::iter::empty())
    }

    /// Remembers the key. `true` if it was surely not there before, and then to
    /// this caller alone; `false` if it seemed to be, and then nothing has been
    /// written.
    #[inline]
    pub fn insert(&self, key: &[u8]) -> bool {
        self.insert_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn insert_hash(&self, hash: u64) -> bool {
        let (word, mask) = self.place(hash);
        // All bits are there: that is final, so the answer is that of an OR,
        // and the line stays with the other cores. Else what this load has
        // seen decides nothing; what the OR has replaced does.
        mask & !word.load() != 0 && word.add(mask) != 0
    }

    /// Whether the key may have been inserted; `false` is certain.
    #[inline]
    pub fn may_contain(&self, key: &[u8]) -> bool {
        self.may_contain_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn may_contain_hash(&self, hash: u64) -> bool {
        let (word, mask) = self.place(hash);
        mask & !word.load() == 0
    }

    /// Whether each of these keys may have been inserted, by their hashes:
    /// `answers` holds afterwards as many as there are hashes, in their order.
    #[inline]
    pub fn may_contain_hashes(&self, hashes: &[u64], answers: &mut Vec<bool>) {
        answers.clear();
        answers.resize(hashes.len(), false);
        let batches = hashes.chunks(BATCH);
        for (hashes, answers) in batches.zip(answers.chunks_mut(BATCH)) {
            let places = places(hashes, self.words.len() as u32);
            let each = hashes.iter().zip(&places).zip(answers);
            for ((hash, at), answer) in each {
                let mask = mask::word_mask(*hash, self.shape.bits_per_key());
                *answer = mask & !self.words[*at as usize].load() == 0;
            }
        }
    }

    /// The filter as bytes, the same on every platform: what
    /// [`from_bytes`](Self::from_bytes) reads. Of keys that others insert
    /// meanwhile some may be there and some not.
    ///
    /// Of a hasher whose seed is secret the seed is not written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = Header {
            kind: Kind::Words,
            // From 4 to 8.
            bits_per_key: self.shape.bits_per_key() as u8,
            hasher: self.hasher,
            count: u64::from(self.shape.words()),
            items: self.shape.items(),
        };
        let words: Vec<u8> = self.words().flat_map(u64::to_le_bytes).collect();
        header.encode(&words)
    }

    /// The filter that was written so, whose seed is no secret.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if a single bit differs from what was written, among
    /// others; [`DecodeError::SeedNeeded`] if the seed is secret.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes, None)
    }

    /// The filter that was written so by this hasher, whose seed may be secret.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; [`DecodeError::WrongHasher`] if it was another one.
    pub fn from_bytes_keyed(bytes: &[u8], hasher: Hasher) -> Result<Self, DecodeError> {
        Self::decode(bytes, Some(hasher))
    }

    /// How full it is, and what that means. Reads all of it, while others
    /// insert.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of_words(self.shape, self.words())
    }

    /// How large it is.
    pub fn shape(&self) -> WordShape {
        self.shape
    }

    /// How keys are hashed.
    pub fn hasher(&self) -> Hasher {
        self.hasher
    }
}

impl AtomicWordFilter {
    fn decode(bytes: &[u8], key: Option<Hasher>) -> Result<Self, DecodeError> {
        let (header, bits) = Header::decode(bytes, Kind::Words, Verify::All, key)?;
        let shape = WordShape::stored(header.count, header.items, header.bits_per_key)?;
        // As many as the count said, which the header has compared.
        let words: &[[u8; 8]] =
            bytemuck::try_cast_slice(bits).map_err(|_| DecodeError::Truncated)?;
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        Ok(Self::from_words(shape, header.hasher, words)?)
    }

    /// With these words, and zeros where there are none of them any more.
    pub(super) fn from_words(
        shape: WordShape,
        hasher: Hasher,
        words: impl IntoIterator<Item = u64>,
    ) -> Result<Self, BuildError> {
        BuildError::check(hasher)?;
        let count = shape.words() as usize;
        let mut bits = reserved(count, shape.bytes())?;
        bits.extend(words.into_iter().take(count).map(Bits::new));
        bits.resize_with(count, || Bits::new(0));
        Ok(AtomicWordFilter {
            words: bits,
            shape,
            hasher,
        })
    }

    /// The words, in their order.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        self.words.iter().map(Bits::load)
    }

    #[inline(always)]
    fn place(&self, hash: u64) -> (&Bits, u64) {
        let at = mask::block_of(hash, self.words.len() as u32);
        let mask = mask::word_mask(hash, self.shape.bits_per_key());
        (&self.words[at as usize], mask)
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use axiomatic_core::hash::{Algorithm, Seed};
    use proptest::prelude::*;

    use super::*;
    use crate::bloom::bits_cell::writes;

    fn filter(words: u32) -> AtomicWordFilter {
        let shape = WordShape::for_items(6 * u64::from(words)).words(words);
        let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
        AtomicWordFilter::new(shape.unwrap(), hasher).unwrap()
    }

    proptest! {
        #[test]
        fn a_new_key_is_one_write_to_its_word_and_a_repeated_one_none(
            hashes: Vec<u64>,
            words in 1_u32..20,
        ) {
            let filter = filter(words);
            for hash in hashes {
                let (seen, reads) = writes::during(|| filter.may_contain_hash(hash));
                let (is_new, written) = writes::during(|| filter.insert_hash(hash));
                prop_assert_eq!((reads, written), (0, u64::from(!seen)));
                prop_assert_eq!(is_new, !seen);
                prop_assert_eq!(writes::during(|| filter.insert_hash(hash)), (false, 0));
            }
        }

        /// As if each key had its turn alone, in words that are words.
        #[test]
        fn the_words_are_those_of_one_that_counts_on_its_fingers(
            hashes: Vec<u64>,
            words in 1_u32..20,
        ) {
            let filter = filter(words);
            let mut naive = vec![0; words as usize];
            for hash in hashes {
                let word = &mut naive[mask::block_of(hash, words) as usize];
                let with = *word | mask::word_mask(hash, filter.shape.bits_per_key());
                prop_assert_eq!(filter.insert_hash(hash), with != *word);
                *word = with;
            }
            prop_assert_eq!(filter.words().collect::<Vec<_>>(), &naive[..]);
            let copy = AtomicWordFilter::from_words(filter.shape, filter.hasher, naive);
            prop_assert!(copy.unwrap().words().eq(filter.words()));
        }
    }

    #[test]
    fn too_few_words_and_too_many_make_a_filter_of_its_size() {
        let filter = filter(3);
        let of = |words: Vec<u64>| {
            let filter = AtomicWordFilter::from_words(filter.shape, filter.hasher, words);
            filter.unwrap().words().collect::<Vec<_>>()
        };
        assert_eq!(of(vec![7]), [7, 0, 0]);
        assert_eq!(of(vec![1, 2, 3, 4]), [1, 2, 3]);
    }
}
