//! A filter in bytes that are somebody else's.

use axiomatic_core::hash::Hasher;

use super::error::{BuildError, DecodeError};
use super::filter::BloomFilter;
use super::kernels::{Ask, AskMany, Words};
use super::mask;
use super::shape::Shape;
use super::snapshot::Snapshot;
use super::stored::{Header, Kind, Verify};
use super::table::Table;
use crate::lanes::dispatch;

/// A stored filter that is asked where it lies: in a mapped file, say, of
/// which each question reads one line.
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_sketch::bloom::{BloomFilter, BloomView, Shape, Verify};
///
/// let shape = Shape::for_items(1000).false_positives(0.01)?;
/// let mut filter = BloomFilter::new(shape, Hasher::new(Algorithm::Xxh3, Seed::fixed(7)))?;
/// filter.insert(b"user:17");
/// let file: Vec<u8> = filter.to_bytes();
///
/// let view = BloomView::new(&file, Verify::Header)?;
/// assert!(view.may_contain(b"user:17"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Copy, Clone)]
pub struct BloomView<'a> {
    blocks: &'a [[u8; 32]],
    shape: Shape,
    hasher: Hasher,
}

impl<'a> BloomView<'a> {
    /// The filter that [`BloomFilter::to_bytes`] wrote, whose seed is no secret.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if these bytes are no such filter, or damaged;
    /// [`DecodeError::SeedNeeded`] if its seed is secret.
    pub fn new(bytes: &'a [u8], verify: Verify) -> Result<Self, DecodeError> {
        Self::decode(bytes, verify, None)
    }

    /// The filter that was written by this hasher, whose seed may be secret.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; [`DecodeError::WrongHasher`] if it was another one.
    pub fn keyed(bytes: &'a [u8], hasher: Hasher, verify: Verify) -> Result<Self, DecodeError> {
        Self::decode(bytes, verify, Some(hasher))
    }

    fn decode(bytes: &'a [u8], verify: Verify, key: Option<Hasher>) -> Result<Self, DecodeError> {
        let (header, bits) = Header::decode(bytes, Kind::SplitBlocks, verify, key)?;
        if header.bits_per_key != 8 {
            return Err(DecodeError::BitsPerKey(header.bits_per_key));
        }
        let shape = Shape::of(header.count, header.items)?;
        Self::of(bits, shape, header.hasher)
    }

    /// Over the bits alone, as many as the shape has.
    pub(super) fn of(bits: &'a [u8], shape: Shape, hasher: Hasher) -> Result<Self, DecodeError> {
        BuildError::check(hasher)?;
        // As many as the count said, which the caller has compared.
        let blocks = bytemuck::try_cast_slice(bits).map_err(|_| DecodeError::Truncated)?;
        Ok(BloomView {
            blocks,
            shape,
            hasher,
        })
    }

    /// Whether the key may have been inserted; `false` is certain.
    #[inline]
    pub fn may_contain(&self, key: &[u8]) -> bool {
        self.may_contain_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn may_contain_hash(&self, hash: u64) -> bool {
        let at = mask::block_of(hash, self.blocks.len() as u32);
        dispatch(Ask {
            block: &self.blocks[at as usize],
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
            blocks: self.blocks,
            hashes,
            answers,
        });
    }

    /// A copy that can be inserted into.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Build`] if there is no memory for it.
    pub fn to_filter(&self) -> Result<BloomFilter, DecodeError> {
        let mut table = Table::zeroed(self.shape.blocks())?;
        for (block, stored) in table.blocks_mut().iter_mut().zip(self.blocks) {
            *block = stored.words();
        }
        let BloomView { shape, hasher, .. } = *self;
        Ok(BloomFilter {
            table,
            shape,
            hasher,
        })
    }

    /// How full it is, and what that means. Reads all of it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.shape, self.blocks.iter().map(Words::words))
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

impl std::fmt::Debug for BloomView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BloomView")
            .field("shape", &self.shape)
            .field("hasher", &self.hasher)
            .finish_non_exhaustive()
    }
}
