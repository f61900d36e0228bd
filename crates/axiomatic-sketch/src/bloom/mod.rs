//! Bloom filters: was this key ever seen, surely not or maybe, at the price of
//! one cache line.
mod error;
mod filter;
mod mask;
mod recent;
mod ring_cell;
mod ring_shape;
mod ring_snapshot;
mod ring_word;
mod shape;
mod snapshot;
mod table;
mod tick_cell;
mod windowed;

pub use error::{BuildError, Mismatch, ShapeError, WindowedError};
pub use filter::BloomFilter;
pub use recent::{RecentConfig, RecentFilter};
pub use ring_shape::Generations;
pub use ring_snapshot::WindowedSnapshot;
pub use shape::{Shape, Sizing};
pub use snapshot::{Estimate, Snapshot};
pub use windowed::{WindowedConfig, WindowedFilter, WindowedSizing};
