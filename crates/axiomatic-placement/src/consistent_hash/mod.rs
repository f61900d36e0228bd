//! Consistent hashing: who owns this key, on every machine, for ever.

mod error;
mod membership;
mod node;
mod numbered;
mod placement;
mod rendezvous;

pub use error::{MembershipError, PlacementError};
pub use membership::{Member, Membership};
pub use node::{Node, State};
pub use placement::{Algorithm, Placement};
pub use rendezvous::Rendezvous;
pub(crate) use rendezvous::{Order, Walk};
