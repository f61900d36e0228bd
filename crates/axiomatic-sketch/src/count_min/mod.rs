//! Count-min sketches.
mod error;
mod estimate;
mod line_cell;
mod shape;
mod sketch;
mod snapshot;
mod total_cell;

pub use error::{BuildError, ShapeError};
pub use estimate::Estimate;
pub(crate) use line_cell::MOST;
pub use shape::{Shape, Sizing};
pub use sketch::{Ageing, CountMinSketch};
pub use snapshot::Snapshot;
