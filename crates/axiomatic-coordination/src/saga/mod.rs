//! Sagas: several steps, each in a place of its own, that all happen or are
//! all undone.

mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
mod fault;
mod id;
mod mail;
mod memory;
mod record;
mod store;

pub use change::{Append, Appended, Change, Wake};
pub use fault::Fault;
pub use id::{BUCKETS, ExecutorId, Lease, SagaId};
pub use mail::{Mail, Posted, Subject};
pub use memory::{MemorySagas, MemoryWork};
pub use record::{Kind, Record, Recorded, Stage};
pub use store::{
    Attended, Broken, Definition, Departing, Found, Loaded, Start, Started, Store, Summary, Taken,
    Then, Worked,
};

pub(crate) use memory::SagaTables;
