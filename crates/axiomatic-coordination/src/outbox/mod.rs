//! The transactional outbox: what a transaction says to others commits with
//! it, and is published afterwards.

#[cfg(feature = "tokio")]
mod assignment;
mod cloud_event;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "tokio")]
mod desk;
#[cfg(feature = "tokio")]
mod fate;
#[cfg(feature = "conformance")]
pub mod history;
mod in_process;
mod lane;
mod memory;
mod message;
mod operations;
mod publisher;
mod record;
#[cfg(feature = "tokio")]
mod relay;
#[cfg(feature = "tokio")]
mod snapshot;
mod store;
#[cfg(feature = "tokio")]
mod telemetry;
mod trace;
mod wake;

pub use cloud_event::CloudEvent;
pub use config::{Config, ConfigError, HeadPolicy};
pub use in_process::{Delivery, InProcess, PublishWith, Subscriber, in_process, publish_with};
pub use lane::{Bucket, Buckets, Lane};
pub(crate) use memory::MemoryTables;
pub use memory::{Keep, MemoryOutbox};
pub use message::Message;
pub use operations::{Backlog, Blocked, DeadLetter, Holding, Ids, Operate, Replay, Scope, Waiting};
pub use publisher::{Class, Publisher, Verdict};
pub use record::{Envelope, Epoch, RowId, Sequence, Stored};
#[cfg(feature = "tokio")]
pub use relay::{Relay, RelayError, RelayHandle};
#[cfg(feature = "tokio")]
pub use snapshot::Snapshot;
pub use store::{
    Cause, Departing, Failure, Fate, Fetch, Fetched, Lease, RelayId, Settled, Settlement, Store,
};
pub use trace::{TraceContext, TraceError};
pub use wake::{Wake, WakeUps};
