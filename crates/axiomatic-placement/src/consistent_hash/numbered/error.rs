use std::error::Error;
use std::fmt;

use super::MAX_SHARDS;

/// Why there is no such set of shards.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShardsError {
    /// Nobody would own the keys.
    Empty,
    /// More shards than [`MAX_SHARDS`].
    TooMany(u32),
    /// A shard whose number is not below the capacity of its set.
    BeyondCapacity {
        /// The shard.
        shard: u32,
        /// The capacity.
        capacity: u32,
    },
}

impl fmt::Display for ShardsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShardsError::Empty => f.write_str("without a shard nobody owns the keys"),
            ShardsError::TooMany(shards) => {
                write!(f, "{shards} shards are more than {MAX_SHARDS}")
            }
            ShardsError::BeyondCapacity { shard, capacity } => write!(
                f,
                "shard {shard} is beyond the capacity, which is fixed at {capacity}"
            ),
        }
    }
}

impl Error for ShardsError {}

/// Why bytes are not the stored form of a [`ShardSet`](super::ShardSet).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeShardsError {
    /// They do not begin as one.
    Magic,
    /// They are too few, or too many, for what they say they are.
    Length {
        /// How many there should be.
        expected: u64,
        /// How many there are.
        actual: u64,
    },
    /// Their last eight are not the hash of those before.
    Checksum,
    /// A form that this version of the library does not know.
    Version(u16),
    /// The stored form of something else that places keys.
    Algorithm(u16),
    /// A capacity of 0, or of more than [`MAX_SHARDS`].
    Capacity(u32),
    /// A shard whose number is not below the capacity.
    BeyondCapacity,
    /// No shard is in it.
    Empty,
}

impl fmt::Display for DecodeShardsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeShardsError::Magic => f.write_str("these bytes are not a set of shards"),
            DecodeShardsError::Length { expected, actual } => {
                write!(f, "a set of shards of {expected} bytes has {actual}")
            }
            DecodeShardsError::Checksum => f.write_str("the set of shards is damaged"),
            DecodeShardsError::Version(version) => {
                write!(f, "version {version} of the stored form is not known")
            }
            DecodeShardsError::Algorithm(id) => {
                write!(f, "algorithm {id} is not that of a set of shards")
            }
            DecodeShardsError::Capacity(capacity) => {
                write!(f, "a capacity of {capacity} is not in 1..={MAX_SHARDS}")
            }
            DecodeShardsError::BeyondCapacity => f.write_str("a shard is beyond the capacity"),
            DecodeShardsError::Empty => f.write_str("no shard is in the set"),
        }
    }
}

impl Error for DecodeShardsError {}
