use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use super::shard_set::words_for;
use super::{DecodeShardsError, MAX_SHARDS, NumberedShards, ShardSet};

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
        let mut bytes = Vec::with_capacity(HEADER + 8 * self.words().len() + CHECKSUM);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(Self::ALGORITHM.to_le_bytes());
        bytes.extend(self.capacity().to_le_bytes());
        for word in self.words() {
            bytes.extend(word.to_le_bytes());
        }
        let checksum = checksum(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// The set of a stored form.
    ///
    /// # Errors
    ///
    /// If these bytes are not what [`encode`](Self::encode) says, to the last
    /// bit. No memory is taken for more than the bytes hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeShardsError> {
        let header = bytes
            .first_chunk::<HEADER>()
            .ok_or(DecodeShardsError::Length {
                expected: (HEADER + 8 + CHECKSUM) as u64,
                actual: bytes.len() as u64,
            })?;
        let [m0, m1, m2, m3, v0, v1, a0, a1, capacity @ ..] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(DecodeShardsError::Magic);
        }
        // Before the checksum: another version may have another one.
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return Err(DecodeShardsError::Version(version));
        }
        let algorithm = u16::from_le_bytes([a0, a1]);
        if algorithm != Self::ALGORITHM {
            return Err(DecodeShardsError::Algorithm(algorithm));
        }
        let capacity = u32::from_le_bytes(capacity);
        if !(1..=MAX_SHARDS).contains(&capacity) {
            return Err(DecodeShardsError::Capacity(capacity));
        }
        // In 64 bits: 2^31 bits and a header may be more than a usize counts.
        let expected = HEADER as u64 + 8 * words_for(capacity) as u64 + CHECKSUM as u64;
        if bytes.len() as u64 != expected {
            let actual = bytes.len() as u64;
            return Err(DecodeShardsError::Length { expected, actual });
        }
        let (content, sum) = bytes.split_at(bytes.len() - CHECKSUM);
        if sum != checksum(content).to_le_bytes() {
            return Err(DecodeShardsError::Checksum);
        }
        let words: Vec<u64> = content[HEADER..]
            .chunks_exact(8)
            .map(|word| {
                word.iter()
                    .rev()
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            })
            .collect();
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
