//! Sagas: several steps, each in a place of its own, that all happen or are
//! all undone.

mod change;
#[cfg(feature = "tokio")]
mod client;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "tokio")]
mod definition;
#[cfg(feature = "tokio")]
mod executor;
mod fault;
mod id;
#[cfg(feature = "tokio")]
mod machine;
mod mail;
mod memory;
mod record;
mod store;
#[cfg(feature = "trial")]
pub mod trial;

pub use change::{Append, Appended, Change, Wake};
#[cfg(feature = "tokio")]
pub use client::{Client, Ended, StartError, Why};
#[cfg(feature = "tokio")]
pub use definition::{
    After, Builder, Committed, Context, DefinitionError, Description, Each, Handle, Inputs,
    LocalAction, Phase, Probed, Saga, Step, StepKey, Undoable, Was, encode,
};
#[cfg(feature = "tokio")]
pub use executor::{Config, ConfigError, Executor, ExecutorError, Plans};
pub use fault::Fault;
pub use id::{BUCKETS, ExecutorId, Lease, SagaId};
pub use mail::{Mail, Posted, Subject};
#[cfg(feature = "tokio")]
pub use memory::MemoryLocal;
pub use memory::{MemorySagas, MemoryWork};
pub use record::{Kind, Record, Recorded, Stage};
pub use store::{
    Attended, Broken, Definition, Departing, Found, Loaded, Start, Started, Store, Summary, Taken,
    Then, Worked,
};

pub(crate) use memory::SagaTables;
