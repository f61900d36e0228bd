//! Placeholder essay.

mod breaker;
mod cell;
mod config;
mod future;
mod layer;
mod permit;
mod service;
mod settings_cell;
mod snapshot;
mod state;
mod telemetry;

pub use breaker::CircuitBreaker;
pub use config::{Config, ConfigError, HalfOpen, OpenFor, ThrottledCounts, TripWhen, Window};
pub use future::ResponseFuture;
pub use layer::CircuitBreakerLayer;
pub use permit::{OwnedPermit, Permit};
pub use service::CircuitBreakerService;
pub use snapshot::{Snapshot, UpdateError};
pub use state::State;
