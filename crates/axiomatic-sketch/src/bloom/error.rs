//! What cannot be built, joined or read.

use std::fmt;
use std::time::Duration;

use axiomatic_core::hash::AlgorithmError;

pub use crate::build::BuildError;

/// Why there is no filter of that size.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A rate is more than 0 and less than 1.
    Rate,
    /// For no items there is no size.
    NoItems,
    /// There is not a single block, or word.
    TooSmall,
    /// It would have more than 2^31 blocks, or words: several filters, by the
    /// upper bits of the hash, hold more.
    TooLarge,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShapeError::Rate => "a rate of false positives is above 0 and below 1",
            ShapeError::NoItems => "there are no items to size a filter for",
            ShapeError::TooSmall => "a filter has at least one block, or word",
            ShapeError::TooLarge => "a filter has at most 2147483648 blocks, or words",
        })
    }
}

impl std::error::Error for ShapeError {}

/// Why two filters cannot become one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// They differ in size.
    Shape,
    /// They hash differently: by another algorithm or another seed.
    Hasher,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mismatch::Shape => "the filters differ in size",
            Mismatch::Hasher => "the filters hash by different algorithms or seeds",
        })
    }
}

impl std::error::Error for Mismatch {}

/// Why bytes are not taken for a filter. What is damaged is refused, never
/// repaired: a filter that lost a bit denies keys that it was given.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are fewer bytes than the header says, or not even a header.
    Truncated,
    /// There are more bytes than the header says.
    TooLong,
    /// They do not begin as a filter does.
    NoFilter,
    /// Written in a form that this version does not know.
    Version(u16),
    /// A filter of another kind than the one asked for.
    Kind(u16),
    /// A checksum disagrees: bytes have changed.
    Checksum,
    /// What must be zero, or one of few values, is not.
    Reserved,
    /// It hashes by an algorithm that this program does not have.
    Algorithm(AlgorithmError),
    /// Its seed is secret and was not written: it must be given.
    SeedNeeded,
    /// The hasher given is not the one that the filter was made with.
    WrongHasher,
    /// A key would set no bit, or more than there is room for.
    BitsPerKey(u8),
    /// No filter has such a size.
    Shape(ShapeError),
    /// What no filter could be made of.
    Build(BuildError),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("the filter is cut short"),
            DecodeError::TooLong => f.write_str("there are bytes after the filter"),
            DecodeError::NoFilter => f.write_str("this is no stored filter"),
            DecodeError::Version(version) => write!(f, "version {version} of a stored filter"),
            DecodeError::Kind(kind) => write!(f, "a stored filter of the other kind {kind}"),
            DecodeError::Checksum => f.write_str("the filter is damaged"),
            DecodeError::Reserved => f.write_str("the header of the filter makes no sense"),
            DecodeError::Algorithm(error) => error.fmt(f),
            DecodeError::SeedNeeded => f.write_str("the seed of the filter is secret"),
            DecodeError::WrongHasher => f.write_str("the filter was made with another hasher"),
            DecodeError::BitsPerKey(bits) => write!(f, "a key of the filter has {bits} bits"),
            DecodeError::Shape(error) => error.fmt(f),
            DecodeError::Build(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DecodeError::Algorithm(error) => Some(error),
            DecodeError::Shape(error) => Some(error),
            DecodeError::Build(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ShapeError> for DecodeError {
    fn from(error: ShapeError) -> Self {
        DecodeError::Shape(error)
    }
}

impl From<BuildError> for DecodeError {
    fn from(error: BuildError) -> Self {
        DecodeError::Build(error)
    }
}

/// Why there is no Parquet filter in these bytes, or of this filter.
#[cfg(feature = "parquet")]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParquetError {
    /// It does not begin with the header of a filter of split blocks, by XXH64,
    /// not compressed.
    Header,
    /// It says to have no bytes, fewer than none, or no whole blocks.
    Length,
    /// There are fewer bytes than the header says.
    Truncated,
    /// Parquet knows one hash, XXH64 with seed 0, and this filter has another.
    Hasher,
    /// Parquet counts bytes in 31 bits.
    TooLarge,
}

#[cfg(feature = "parquet")]
impl fmt::Display for ParquetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParquetError::Header => "this is no header of a Parquet filter",
            ParquetError::Length => "a Parquet filter has a whole number of blocks",
            ParquetError::Truncated => "the Parquet filter is cut short",
            ParquetError::Hasher => "a Parquet filter hashes by XXH64 with seed 0",
            ParquetError::TooLarge => "a Parquet filter has less than 2 GiB",
        })
    }
}

#[cfg(feature = "parquet")]
impl std::error::Error for ParquetError {}

/// Why there is no filter that forgets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowedError {
    /// A window is so long at least, with so many generations.
    TooShort {
        /// How long.
        shortest: Duration,
    },
    /// There is no such size.
    Shape(ShapeError),
    /// It was not made.
    Build(BuildError),
}

impl fmt::Display for WindowedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WindowedError::TooShort { shortest } => {
                write!(f, "a window of these generations is {shortest:?} at least")
            }
            WindowedError::Shape(why) => why.fmt(f),
            WindowedError::Build(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for WindowedError {}

impl From<ShapeError> for WindowedError {
    fn from(why: ShapeError) -> Self {
        WindowedError::Shape(why)
    }
}

impl From<BuildError> for WindowedError {
    fn from(why: BuildError) -> Self {
        WindowedError::Build(why)
    }
}
