//! Keeping back what the other side would refuse: callers that heed the
//! admission level that answers bring.

mod config;
mod future;
mod heard_cell;
mod layer;
mod service;
#[expect(
    clippy::module_inception,
    reason = "the mechanism has the module's name"
)]
mod upstream;

pub use config::Config;
pub use future::ResponseFuture;
pub use layer::UpstreamLayer;
pub use service::UpstreamService;
pub use upstream::{Snapshot, Upstream};
