//! A rate limiter whose quota all processes share, over Redis.

mod config;
mod core;
mod decision;
mod error;
mod future;
mod gcra;
mod key;
mod layer;
mod lease_cell;
mod leases;
mod limiter;
mod link;
mod on_failure;
mod script;
mod service;
mod shares;
mod snapshot;
mod store;
mod telemetry;

pub use config::{Config, Lease};
pub use decision::{Claim, Decision, SharedQuota, Source, Standing};
pub use error::{ConfigError, ConnectError};
pub use future::ResponseFuture;
pub use layer::RateLimitLayer;
pub use limiter::RedisRateLimiter;
pub use on_failure::OnFailure;
pub use service::RateLimitService;
pub use snapshot::Snapshot;
