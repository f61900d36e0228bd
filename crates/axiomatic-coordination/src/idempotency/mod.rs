//! Idempotent requests: a client repeats a request until it has an answer, and
//! its effects happen once.

mod claim;
mod key;
mod message;
mod phases;
mod step;
mod store;

pub use claim::{Adopt, Adopted, Claim, Claimed, Fence, Lease, Mine, Owner};
pub use key::{Fingerprint, Key, KeyError, Name, Scope};
pub use message::{StoredRequest, StoredResponse, StoredShape};
pub use phases::{Begun, DerivedKey, Phase, PhaseError, Phases};
pub use step::{Kind, Step};
pub use store::Store;
