//! The transactional outbox: what a transaction says to others commits with
//! it, and is published afterwards.

mod cloud_event;
#[cfg(feature = "conformance")]
pub mod history;
mod lane;
mod message;
mod operations;
mod publisher;
mod record;
mod store;
mod trace;
mod wake;

pub use cloud_event::CloudEvent;
pub use lane::{Bucket, Buckets, Lane};
pub use message::Message;
pub use operations::{Backlog, Blocked, DeadLetter, Holding, Ids, Operate, Replay, Scope, Waiting};
pub use publisher::{Class, Publisher, Verdict};
pub use record::{Envelope, Epoch, RowId, Sequence, Stored};
pub use store::{
    Cause, Departing, Failure, Fate, Fetch, Fetched, Lease, RelayId, Settled, Settlement, Store,
};
pub use trace::{TraceContext, TraceError};
pub use wake::{Wake, WakeUps};
