//! The inbox's consumer on RabbitMQ.

mod answer;
mod arrival;
mod config;
mod consumer;
mod error;
mod handling;
mod queue;
mod session;
mod snapshot;
mod telemetry;

pub use answer::Answer;
pub use arrival::Arrival;
pub use config::{Config, ConfigError};
pub use consumer::{Consumer, ConsumerHandle};
pub use error::ConsumeError;
pub use queue::{DeadLetters, DeliveryLimit, Queue};
pub use snapshot::Snapshot;
