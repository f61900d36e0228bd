//! placeholder

mod config;
#[expect(
    clippy::module_inception,
    reason = "the mechanism of the pattern, in the file of its name"
)]
mod fail_fast;
mod future;
mod layer;
mod service;
mod snapshot;
mod telemetry;
mod timer;
mod unready_cell;
mod wait;

pub use config::{Config, ConfigError};
pub use fail_fast::{FailFast, Verdict};
pub use future::ResponseFuture;
pub use layer::FailFastLayer;
pub use service::FailFastService;
pub use snapshot::Snapshot;
pub use wait::Wait;
