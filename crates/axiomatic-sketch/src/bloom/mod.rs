//! Bloom filters: was this key ever seen, surely not or maybe, at the price of
//! one cache line.
mod error;
mod filter;
pub(crate) mod mask;
mod shape;
mod snapshot;
mod table;

pub use error::{BuildError, Mismatch, ShapeError};
pub use filter::BloomFilter;
pub use shape::{Shape, Sizing};
pub use snapshot::{Estimate, Snapshot};
