//! Placeholder essay.

mod breaker;
mod cell;
mod config;
mod core;
mod error;
mod future;
mod layer;
mod permit;
mod policy;
mod service;
mod settings_cell;
mod snapshot;
mod state;
mod telemetry;

pub use breaker::CircuitBreaker;
pub use config::{Config, Window};
pub use error::{ConfigError, UpdateError};
pub use future::ResponseFuture;
pub use layer::CircuitBreakerLayer;
pub use permit::{OwnedPermit, Permit};
pub use policy::{HalfOpen, OpenFor, ThrottledCounts, TripWhen};
pub use service::CircuitBreakerService;
pub use snapshot::Snapshot;
pub use state::State;
