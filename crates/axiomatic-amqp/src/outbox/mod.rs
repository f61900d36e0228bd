//! The publisher.

mod answer;
mod check;
mod config;
mod properties;
mod publisher;
mod requirements;
mod route;
mod telemetry;

pub use check::{CheckError, QueueReport};
pub use config::{Config, ConfigError};
pub use properties::KEY;
pub use publisher::RabbitMq;
pub use requirements::{Caveat, Losses, Queue, Requirements, Unfit, WhenFull};
pub use route::{Route, RouteError, RouteFault, Routes};
