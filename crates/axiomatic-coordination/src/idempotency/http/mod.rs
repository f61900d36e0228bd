//! Idempotent requests over HTTP: a tower layer, and what runs requests
//! without their clients.
//!
//! What it does and why is told by the [module above](super).

mod body;
mod completer;
mod config;
mod counts;
mod fingerprint;
mod head;
mod key;
mod layer;
mod problem;
mod run;
mod service;
mod shared;

pub use completer::{Completer, Resumed};
pub use config::{Config, ConfigError, InProgress, Routes, Statuses, Tenants};
pub use counts::Snapshot;
pub use fingerprint::Fingerprints;
pub use layer::IdempotencyLayer;
pub use service::{Answer, IdempotencyService, ResponseFuture};
