//! Rates: so many in a time, and the rest is refused or waits. Work in progress:
//! the essay comes with the mechanism.

mod announcing;
mod config;
mod core;
mod error;
mod future;
mod gate;
mod holes;
mod inheritance;
pub mod keyed;
mod layer;
mod learning;
mod limiter;
mod line;
mod permit;
mod quota;
mod reservation;
mod rule;
mod service;
mod sliding;
mod snapshot;
mod telemetry;
mod terms;
mod together;
#[cfg(feature = "tokio")]
mod waiting;
#[cfg(feature = "tokio")]
mod waiting_service;
mod word_cell;

pub use announcing::Announcing;
pub use config::{Algorithm, Config, WhenLimited};
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use gate::{ByCost, Gate, WaitingGate};
pub use inheritance::Inheritance;
#[cfg(feature = "keyed")]
pub use keyed::ExactKeyedRateLimiter;
pub use keyed::KeyedRateLimiter;
pub use layer::RateLimitLayer;
#[cfg(feature = "tokio")]
pub use layer::WaitingRateLimitLayer;
pub use learning::{HeedingFuture, HeedingService, LearningRateLimitLayer};
pub use limiter::RateLimiter;
pub use permit::Permit;
pub use quota::Quota;
pub use reservation::Reservation;
pub use service::RateLimitService;
pub use snapshot::{Snapshot, Standing};
#[cfg(feature = "tokio")]
pub use waiting_service::{WaitingRateLimitService, WaitingResponseFuture};
