//! Filters as bytes: a header of 64, and the bits.
//!
//! All numbers are little-endian.
//!
//! | Bytes | Holds |
//! |---|---|
//! | 0..8 | `axbloom` and a zero |
//! | 8..10 | version of this form, 1 |
//! | 10..12 | kind: 1 split blocks, 2 words |
//! | 12..14 | id of the hash algorithm |
//! | 14 | 0: the seed follows; 1: it is secret, and what follows only tells whether another one is the same |
//! | 15 | bits that a key sets |
//! | 16..24 | the seed, or 32 bits that depend on it |
//! | 24..32 | how many blocks, or words |
//! | 32..40 | items planned for |
//! | 40..48 | zeros |
//! | 48..56 | XXH3-64 with seed 0 of the bits |
//! | 56..64 | XXH3-64 with seed 0 of the bytes before |
//! | 64.. | the bits |
//!
//! The header is a cache line, so that the blocks behind it lie on no two
//! lines in whatever is aligned, such as a mapped file.

use axiomatic_core::hash::{Algorithm, Hasher, Seed, mix};

use super::error::DecodeError;

const MAGIC: [u8; 8] = *b"axbloom\0";
const VERSION: u16 = 1;
/// Bytes before the bits.
pub(super) const HEADER: usize = 64;
/// How the seed is given.
const SHOWN: u8 = 0;
const SECRET: u8 = 1;

/// How the bits are to be read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Kind {
    /// Blocks of 256 bits, eight words of 32.
    SplitBlocks = 1,
    /// Words of 64.
    Words = 2,
}

impl Kind {
    /// Bytes of a block or a word.
    fn bytes(self) -> u64 {
        match self {
            Kind::SplitBlocks => 32,
            Kind::Words => 8,
        }
    }
}

/// What stands before the bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bits that a key sets.
    pub(super) bits_per_key: u8,
    pub(super) hasher: Hasher,
    /// How many blocks or words.
    pub(super) count: u64,
    pub(super) items: u64,
}

/// How much of what is stored is compared with its checksum.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// The header and all bits, which are read for it.
    All,
    /// The header alone: for large mapped files, of which only what is asked
    /// for shall be read.
    Header,
}

impl Header {
    /// The header of these bits, and the bits.
    pub(super) fn encode(&self, bits: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + bits.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(self.kind as u16).to_le_bytes());
        bytes.extend_from_slice(&self.hasher.algorithm().id().to_le_bytes());
        let (how, seed) = match self.hasher.seed().value() {
            Some(seed) => (SHOWN, seed),
            None => (SECRET, trace(&self.hasher)),
        };
        bytes.extend_from_slice(&[how, self.bits_per_key]);
        for number in [seed, self.count, self.items, 0, checksum(bits)] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let before = checksum(&bytes);
        bytes.extend_from_slice(&before.to_le_bytes());
        bytes.extend_from_slice(bits);
        bytes
    }

    /// The header, if these bytes are a filter of this kind and no byte more
    /// or less, with the bits.
    ///
    /// `key` is the hasher of a filter whose seed is secret, and if it is given
    /// it must be that of the filter.
    pub(super) fn decode(
        bytes: &[u8],
        kind: Kind,
        verify: Verify,
        key: Option<Hasher>,
    ) -> Result<(Self, &[u8]), DecodeError> {
        let Some((head, bits)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(DecodeError::Truncated);
        };
        let [_, fields @ ..] = bytemuck::must_cast_ref::<_, [[u8; 8]; 8]>(head);
        let [_, seed, count, items, zeros, sum, own] = fields.map(u64::from_le_bytes);
        let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);

        if head[..8] != MAGIC {
            return Err(DecodeError::NoFilter);
        }
        if short(8) != VERSION {
            return Err(DecodeError::Version(short(8)));
        }
        if own != checksum(&head[..56]) {
            return Err(DecodeError::Checksum);
        }
        if short(10) != kind as u16 {
            return Err(DecodeError::Kind(short(10)));
        }
        if zeros != 0 {
            return Err(DecodeError::Reserved);
        }
        let algorithm = Algorithm::try_from(short(12)).map_err(DecodeError::Algorithm)?;
        let hasher = match (head[14], key) {
            (SHOWN, None) => Hasher::new(algorithm, Seed::fixed(seed)),
            (SHOWN, Some(key)) => {
                let is_it = key == Hasher::new(algorithm, Seed::fixed(seed));
                is_it.then_some(key).ok_or(DecodeError::WrongHasher)?
            }
            (SECRET, None) => return Err(DecodeError::SeedNeeded),
            (SECRET, Some(key)) => {
                let is_it = key.algorithm() == algorithm && trace(&key) == seed;
                let is_it = is_it && key.seed().value().is_none();
                is_it.then_some(key).ok_or(DecodeError::WrongHasher)?
            }
            _ => return Err(DecodeError::Reserved),
        };
        // Before anything is reckoned with the count: there is no memory that
        // the bytes themselves do not take.
        match count.checked_mul(kind.bytes()) {
            Some(expected) if expected == bits.len() as u64 => {}
            Some(expected) if expected < bits.len() as u64 => return Err(DecodeError::TooLong),
            _ => return Err(DecodeError::Truncated),
        }
        if verify == Verify::All && sum != checksum(bits) {
            return Err(DecodeError::Checksum);
        }
        let bits_per_key = head[15];
        let header = Header {
            kind,
            bits_per_key,
            hasher,
            count,
            items,
        };
        Ok((header, bits))
    }
}

/// No secret, as it is not meant to keep anybody from changing a file.
fn checksum(bytes: &[u8]) -> u64 {
    Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(bytes)
}

/// 32 bits that another seed has with a chance of one in 2^32, so that a
/// filter is not asked with a wrong one, which would deny what it holds. They
/// tell less of the seed than the bits do, of which each key tells where it is.
fn trace(hasher: &Hasher) -> u64 {
    mix(hasher.hash(&MAGIC)) >> 32
}
