mod ln;
mod near;
mod order;
mod walk;
mod weights;

use std::fmt;
use std::sync::Arc;

use axiomatic_core::hash::Seed;

use super::error::PlacementError;
use super::membership::{Member, Membership};
use super::placement::{Algorithm, Placement};

pub(crate) use order::{Identities, Order};
pub(crate) use walk::Walk;

/// Weighted rendezvous hashing, or highest random weight: every node draws a
/// number for the key, and who draws best owns it.
///
/// The one to choose unless there is a reason for another: no state but a word
/// a node, shares as exact as the weights, and when a node comes, goes or
/// changes its weight, no key moves but to it or from it. A lookup looks at
/// every node; with hundreds of them see [`Skeleton`](super::Skeleton) and
/// [`Maglev`](super::Maglev).
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_placement::consistent_hash::{Membership, Node, Placement, Rendezvous};
///
/// let nodes = ["a", "b", "c"].map(|id| Node::new(id).weighing(2));
/// let placement = Rendezvous::new(&Membership::new(1, nodes)?);
///
/// let hash = Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(b"user:17");
/// let order: Vec<_> = placement.candidates(hash).map(|node| node.id()).collect();
/// assert_eq!(placement.owner(hash).id(), order[0]);
/// assert_eq!(order.len(), 3);
/// # Ok::<(), axiomatic_placement::consistent_hash::MembershipError>(())
/// ```
///
/// D. G. Thaler and C. V. Ravishankar, "Using name-based mappings to increase
/// hit rates", IEEE/ACM Transactions on Networking, 1998; with weights by the logarithmic
/// method of C. Schindelhauer and G. Schomaker, "Weighted distributed hash
/// tables", SPAA 2005: the least of -ln(u) / w.
/// The draw is the product of the key's hash and of the node's identity's, by
/// XXH3, both [mixed](axiomatic_core::hash::mix), folded to 64 bits.
#[derive(Clone)]
pub struct Rendezvous(Arc<Parts>);

struct Parts {
    membership: Membership,
    seed: Seed,
    order: Order,
}

impl Rendezvous {
    /// With the seed that everybody has: 0.
    pub fn new(membership: &Membership) -> Self {
        Self::seeded(membership, Seed::fixed(0))
    }

    /// With a seed: another one places all keys anew. One that only this
    /// process knows is for what nobody else places.
    pub fn seeded(membership: &Membership, seed: Seed) -> Self {
        Rendezvous(Arc::new(Parts {
            order: Order::new(membership, seed),
            membership: membership.clone(),
            seed,
        }))
    }

    /// Its seed.
    pub fn seed(&self) -> Seed {
        self.0.seed
    }

    /// The index of the owner.
    #[inline]
    pub(crate) fn first(&self, hash: u64) -> usize {
        self.0.order.first(hash)
    }
}

impl Placement for Rendezvous {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Rendezvous
    }

    fn membership(&self) -> &Membership {
        &self.0.membership
    }

    #[inline]
    fn owner(&self, hash: u64) -> &Member {
        &self.0.membership.members()[self.first(hash)]
    }

    /// Allocates nothing, and looks at every node once for the first four
    /// together, then for each eight.
    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Member> {
        Walk::new(&self.0.order, hash).map(|index| &self.0.membership.members()[index])
    }

    /// Never fails.
    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        Ok(Self::seeded(membership, self.0.seed))
    }
}

impl fmt::Debug for Rendezvous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendezvous")
            .field("seed", &self.0.seed)
            .field("membership", &self.0.membership)
            .finish()
    }
}
