//! Consumes.
mod answer;
mod arrival;
mod config;
mod consumer;
mod handling;
mod snapshot;

pub use answer::{Acknowledge, Answer};
pub use arrival::Arrival;
pub use config::{Config, ConfigError};
pub use consumer::{ConsumeError, Consumer, ConsumerHandle};
pub use snapshot::Snapshot;
