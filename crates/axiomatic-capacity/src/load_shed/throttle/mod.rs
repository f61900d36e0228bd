//! Throttle.

mod config;
mod core;
mod error;
mod future;
mod layer;
mod permit;
mod probe_cell;
mod rule;
mod service;
mod share;
mod share_cell;
mod snapshot;
mod telemetry;
mod throttler;

pub use config::Config;
pub use error::{ConfigError, UpdateError};
pub use future::ResponseFuture;
pub use layer::ThrottleLayer;
pub use permit::{OwnedPermit, Permit};
pub use rule::Rule;
pub use service::ThrottleService;
pub use share::Share;
pub use snapshot::Snapshot;
pub use throttler::Throttler;
