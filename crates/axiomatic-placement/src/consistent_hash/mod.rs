//! Consistent hashing: who owns this key, on every machine, for ever.

mod error;
mod membership;
mod multi_probe;
mod node;
mod numbered;
mod placement;
mod rendezvous;
mod ring;

pub use error::{MembershipError, PlacementError};
pub use membership::{Member, Membership};
pub use multi_probe::MultiProbe;
pub use node::{Node, State};
pub use placement::{Algorithm, Placement};
pub use rendezvous::Rendezvous;
pub use ring::{Format, Ring};
