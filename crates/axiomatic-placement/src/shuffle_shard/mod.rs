//! x
mod error;
mod lattice;
mod overlap;
mod registry;
mod shard;
mod sharder;

pub use error::{ImportError, NoRoom, ShardError};
pub use lattice::Lattice;
pub use overlap::{Blast, OverlapReport, WorstPair};
pub use registry::{Assignment, Registry};
pub use shard::Shard;
pub use sharder::{Config, ShuffleShard, SmallCells};
