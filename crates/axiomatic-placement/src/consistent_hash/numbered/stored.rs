use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use super::shard_set::words_for;
use super::{DecodeShardsError, MAX_SHARDS, NumberedShards, ShardSet};
use crate::bytes::{Reader, Truncated, Writer};

/// What the stored form begins with.
const MAGIC: [u8; 4] = *b"AxSh";

/// The only version of the stored form so far.
const VERSION: u16 = 1;

/// Magic, version, algorithm, capacity.
const HEADER: usize = 4 + 2 + 2 + 4;

/// XXH3-64, seed 0, of all bytes before it.
const CHECKSUM: usize = 8;

impl ShardSet {
    /// The stored form: magic (`AxSh`), version (16 bits), algorithm (16),
    /// capacity (32), a bit for each number in words of 64, and the XXH3-64 of
    /// all that; all little-endian. One set has one form.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer
            .raw(&MAGIC)
            .u16(VERSION)
            .u16(Self::ALGORITHM)
            .u32(self.capacity());
        for word in self.words() {
            writer.u64(*word);
        }
        writer.u64(checksum(writer.as_bytes()));
        writer.into_bytes()
    }

    /// The set of a stored form.
    ///
    /// # Errors
    ///
    /// If these bytes are not what [`encode`](Self::encode) says, to the last
    /// bit. No memory is taken for more than the bytes hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeShardsError> {
        let (content, sum) = bytes
            .split_at_checked(bytes.len().wrapping_sub(CHECKSUM))
            .unwrap_or_default();
        let mut reader = Reader::new(content);
        let length = |expected| DecodeShardsError::Length {
            expected,
            actual: bytes.len() as u64,
        };
        let short = |Truncated| length((HEADER + 8 + CHECKSUM) as u64);
        if reader.raw(MAGIC.len()).map_err(short)? != MAGIC {
            return Err(DecodeShardsError::Magic);
        }
        // Before the checksum: another version may have another one.
        let version = reader.u16().map_err(short)?;
        if version != VERSION {
            return Err(DecodeShardsError::Version(version));
        }
        let algorithm = reader.u16().map_err(short)?;
        if algorithm != Self::ALGORITHM {
            return Err(DecodeShardsError::Algorithm(algorithm));
        }
        let capacity = reader.u32().map_err(short)?;
        if !(1..=MAX_SHARDS).contains(&capacity) {
            return Err(DecodeShardsError::Capacity(capacity));
        }
        // In 64 bits: 2^31 bits and a header may be more than a usize counts.
        let expected = HEADER as u64 + 8 * words_for(capacity) as u64 + CHECKSUM as u64;
        if bytes.len() as u64 != expected {
            return Err(length(expected));
        }
        if sum != checksum(content).to_le_bytes() {
            return Err(DecodeShardsError::Checksum);
        }
        let words = (0..words_for(capacity)).map(|_| reader.u64());
        let words: Vec<u64> = words.collect::<Result<_, _>>().map_err(short)?;
        let odd = capacity % 64;
        if odd != 0 && words.last().is_some_and(|last| last >> odd != 0) {
            return Err(DecodeShardsError::BeyondCapacity);
        }
        Self::from_words(capacity, words).ok_or(DecodeShardsError::Empty)
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(bytes)
}
