//! Consistent hashing: who owns this key, on every machine, for ever.

mod error;
mod maglev;
mod membership;
mod moved;
mod node;
mod numbered;
mod placement;
mod rendezvous;
mod replicas;
mod skeleton;

pub use error::{MembershipError, PlacementError};
pub use maglev::Maglev;
pub use membership::{Member, Membership};
pub use moved::{Movement, Share, moved, sample};
pub use node::{Node, State};
pub use placement::{Algorithm, Placement};
pub use rendezvous::Rendezvous;
pub use replicas::{Replicas, Shortage, Spread};
pub use skeleton::Skeleton;
