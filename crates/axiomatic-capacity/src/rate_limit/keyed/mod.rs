//! Limits by key. The essay follows.

#[cfg(feature = "keyed")]
mod arrival_cell;
mod config;
mod error;
#[cfg(feature = "keyed")]
mod exact;
mod hash;
mod limiter;
mod pace;
mod pace_cell;
mod permit;
mod set_cell;
mod snapshot;
mod table;
mod word;

pub use config::{Config, Table, WhenCrowded};
pub use error::ConfigError;
#[cfg(feature = "keyed")]
pub use exact::ExactKeyedRateLimiter;
pub use hash::{Key, KeyHasher, network};
pub use limiter::KeyedRateLimiter;
pub use permit::Permit;
pub use snapshot::Snapshot;
