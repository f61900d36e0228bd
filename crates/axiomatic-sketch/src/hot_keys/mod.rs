//! Hot keys.
mod error;
#[expect(clippy::module_inception, reason = "named for what it holds")]
mod hot_keys;
mod list;
mod slots_cell;
mod snapshot;

pub use error::BuildError;
pub use hot_keys::{HotKey, HotKeys};
pub use snapshot::Snapshot;
