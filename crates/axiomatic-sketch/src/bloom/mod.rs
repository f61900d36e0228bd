//! Bloom filters: was this key ever seen, surely not or maybe, at the price of
//! one cache line.
mod atomic;
mod bits_cell;
mod error;
mod filter;
mod mask;
mod shape;
mod shared_block;
mod snapshot;
mod table;
mod word;
mod word_rate;
mod word_shape;

pub use atomic::AtomicBloomFilter;
pub use error::{BuildError, Mismatch, ShapeError};
pub use filter::BloomFilter;
pub use shape::{Shape, Sizing};
pub use snapshot::{Estimate, Snapshot};
pub use word::AtomicWordFilter;
pub use word_shape::{WordShape, WordSizing};
