//! Publishes to JetStream.
mod answer;
mod check;
mod config;
mod headers;
mod publisher;
mod requirements;
mod subject;

pub use check::{CheckError, EnsureError, StreamReport};
pub use config::{Config, ConfigError, Durability};
pub use headers::KEY;
pub use publisher::JetStream;
pub use requirements::{Caveat, Requirements, Unfit, Volatile};
pub use subject::{SubjectError, SubjectFault, Subjects};
