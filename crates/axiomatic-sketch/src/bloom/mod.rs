//! Bloom filters: was this key ever seen, surely not or maybe, at the price of
//! one cache line.
mod atomic;
mod bits_cell;
mod error;
mod filter;
mod kernels;
pub(crate) mod mask;
#[cfg(feature = "parquet")]
mod parquet;
mod recent;
mod ring_cell;
mod ring_shape;
mod ring_snapshot;
mod ring_word;
mod scalable;
mod shape;
mod shared_block;
mod snapshot;
mod stored;
mod table;
mod tick_cell;
mod view;
mod windowed;
mod word;
mod word_rate;
mod word_shape;

pub use atomic::AtomicBloomFilter;
#[cfg(feature = "parquet")]
pub use error::ParquetError;
pub use error::{BuildError, DecodeError, Mismatch, ShapeError, WindowedError};
pub use filter::BloomFilter;
#[cfg(feature = "parquet")]
pub use parquet::PARQUET;
pub use recent::{RecentConfig, RecentFilter};
pub use ring_shape::Generations;
pub use ring_snapshot::WindowedSnapshot;
pub use scalable::{GrowError, ScalableConfig, ScalableFilter};
pub use shape::{Shape, Sizing};
pub use snapshot::{Estimate, Snapshot};
pub use stored::Verify;
pub use view::BloomView;
pub use windowed::{WindowedConfig, WindowedFilter, WindowedSizing};
pub use word::AtomicWordFilter;
pub use word_shape::{WordShape, WordSizing};
