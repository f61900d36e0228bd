//! stub

mod call;
mod config;
mod delay;
mod error;
#[cfg(feature = "tokio")]
mod future;
#[expect(
    clippy::module_inception,
    reason = "the mechanism of the pattern, in the file of its name"
)]
mod hedge;
#[cfg(feature = "tokio")]
mod layer;
#[cfg(feature = "tokio")]
mod service;
mod settings;
mod snapshot;
mod telemetry;
#[cfg(feature = "tokio")]
mod verdict;

pub use call::{Attempt, Call, Permit};
pub use config::{Config, OwnBudget};
pub use delay::Delay;
pub use error::{ConfigError, UpdateError};
#[cfg(feature = "tokio")]
pub use future::ResponseFuture;
pub use hedge::Hedge;
#[cfg(feature = "tokio")]
pub use layer::HedgeLayer;
#[cfg(feature = "tokio")]
pub use service::HedgeService;
pub use snapshot::Snapshot;
