//! Load shedding.

mod config;
mod error;
mod estimated_wait;
#[cfg(feature = "tokio")]
pub mod fail_fast;
pub mod fairness;
mod future;
mod layer;
mod permit;
pub mod prioritizer;
mod service;
mod shedder;
pub mod signal;
mod snapshot;
mod sorting;
mod telemetry;
pub mod throttle;
pub mod upstream;

pub use crate::gate::Ask;
pub use config::{Config, Estimate};
pub use error::ConfigError;
pub use estimated_wait::EstimatedWait;
pub use fairness::Fairness;
pub use future::ResponseFuture;
pub use layer::LoadShedLayer;
pub use permit::{OwnedPermit, Permit};
pub use prioritizer::Prioritizer;
pub use service::LoadShedService;
pub use shedder::LoadShedder;
pub use snapshot::Snapshot;
pub use sorting::{AsCarried, ByUser, Exempting, Sorting};
pub use throttle::Throttler;
pub use upstream::Upstream;
