//! Idempotent requests: a client repeats a request until it has an answer, and
//! its effects happen once.

mod claim;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "http")]
pub mod http;
mod key;
mod memory;
mod message;
mod phases;
mod step;
mod store;

pub use claim::{Adopt, Adopted, Claim, Claimed, Fence, Lease, Mine, Owner};
pub use key::{Fingerprint, Key, KeyError, Name, Scope};
pub(crate) use memory::IdempotencyTables;
pub use memory::MemoryIdempotency;
pub use message::{StoredRequest, StoredResponse, StoredShape};
pub use phases::{Begun, DerivedKey, Phase, PhaseError, Phases};
pub use step::{Kind, Step};
pub use store::Store;
