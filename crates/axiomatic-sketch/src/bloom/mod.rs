//! Bloom filters: was this key ever seen, surely not or maybe, at the price of
//! one cache line.
mod atomic;
mod bits_cell;
mod error;
mod filter;
mod kernels;
mod mask;
#[cfg(feature = "parquet")]
mod parquet;
mod scalable;
mod shape;
mod snapshot;
mod stored;
mod table;
mod view;
mod word;
mod word_shape;

pub use atomic::AtomicBloomFilter;
#[cfg(feature = "parquet")]
pub use error::ParquetError;
pub use error::{BuildError, DecodeError, Mismatch, ShapeError};
pub use filter::BloomFilter;
#[cfg(feature = "parquet")]
pub use parquet::PARQUET;
pub use scalable::{GrowError, ScalableConfig, ScalableFilter};
pub use shape::{Shape, Sizing};
pub use snapshot::{Estimate, Snapshot};
pub use stored::Verify;
pub use view::BloomView;
pub use word::AtomicWordFilter;
pub use word_shape::{WordShape, WordSizing};
