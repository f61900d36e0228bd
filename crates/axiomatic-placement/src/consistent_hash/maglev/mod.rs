mod build;
mod slots;

use std::fmt;
use std::sync::Arc;

use axiomatic_core::hash::Seed;

use super::error::PlacementError;
use super::membership::{Member, Membership};
use super::placement::{Algorithm, Placement};
use super::rendezvous::{Order, Walk};

use slots::Slots;

/// Maglev hashing: a table in which the nodes take turns at the slots that
/// each prefers; a lookup is one load.
///
/// For paths on which a nanosecond counts, and hundreds of nodes. Shares are
/// as even as slots allow: of equal weights no two nodes differ by more than
/// one slot. When a node comes or goes, some slots more change hands than have
/// to: with 65,537 slots 0.2 % of them at 10 nodes, 0.6 % at 100, 1 % at 400,
/// and 0.6 % at 1000. The table's size is the operator's, once and for all, since
/// another size places everything anew.
///
/// Tables of equal weights are those of Envoy, slot by slot, for nodes whose
/// identity is Envoy's key of the host, and so are owners, by Envoy's hash of a
/// request. Of unequal weights they nearly are: Envoy counts turns in `f64`, and
/// where a turn is due to the digit, what it rounded may put it off by a round.
/// After the owner, candidates come in the order of
/// [`Rendezvous`](super::Rendezvous), which no change elsewhere disturbs; the
/// next slots of the table, which Envoy tries, would not be so steady. A node
/// that is not to serve keeps its slots, and those who come next for each of
/// its keys serve them.
///
/// ```
/// use axiomatic_placement::consistent_hash::{Maglev, Membership, Node, Placement};
///
/// let members = Membership::new(1, ["a", "b", "c"].map(Node::new))?;
/// let placement = Maglev::new(&members)?;
/// let shares: Vec<_> = placement.shares().collect();
/// assert_eq!(shares.iter().sum::<u32>(), Maglev::SLOTS);
/// assert!(shares.iter().all(|share| share.abs_diff(Maglev::SLOTS / 3) <= 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// D. E. Eisenbud et al., "Maglev: a fast and reliable software network load
/// balancer", NSDI 2016, section 3.4; weights by skipped turns, as Envoy has
/// them.
#[derive(Clone)]
pub struct Maglev {
    membership: Membership,
    slots: Slots,
    /// The index of each slot's owner.
    owners: Arc<[u32]>,
    /// Of whom to ask where the table's answer is not to serve, and after it.
    order: Arc<Order>,
    /// Of the membership, and here so that a lookup has it at hand.
    is_whole: bool,
    seed: Seed,
}

impl Maglev {
    /// How many slots there are unless something else is said. Good for 655
    /// nodes, if shares are to be within one in a hundred.
    pub const SLOTS: u32 = 65_537;
    /// More slots, for ten times as many nodes.
    pub const MANY_SLOTS: u32 = 655_373;

    /// With [`SLOTS`](Self::SLOTS) slots.
    ///
    /// # Errors
    ///
    /// If there are more nodes than slots.
    pub fn new(membership: &Membership) -> Result<Self, PlacementError> {
        Self::with_slots(membership, Self::SLOTS)
    }

    /// With that many slots, a prime number, of four bytes each: nearly 8 GiB
    /// for the most there can be.
    ///
    /// # Errors
    ///
    /// If the number is no prime below 2^31, or if there are more nodes than
    /// slots.
    pub fn with_slots(membership: &Membership, slots: u32) -> Result<Self, PlacementError> {
        Self::seeded(membership, slots, Seed::fixed(0))
    }

    /// With a seed: another one places all keys anew. Envoy's is 0.
    ///
    /// # Errors
    ///
    /// As [`with_slots`](Self::with_slots).
    pub fn seeded(membership: &Membership, slots: u32, seed: Seed) -> Result<Self, PlacementError> {
        let slots = Slots::new(slots).ok_or(PlacementError::NotPrime { slots })?;
        let nodes = membership.members().len();
        if nodes > slots.count() as usize {
            let slots = slots.count();
            return Err(PlacementError::TooFewSlots { slots, nodes });
        }
        let owners = build::owners(membership.members(), slots.count(), seed);
        Ok(Maglev {
            slots,
            owners: owners.into(),
            order: Arc::new(Order::new(membership, seed)),
            is_whole: membership.is_whole(),
            membership: membership.clone(),
            seed,
        })
    }

    /// How many slots there are.
    pub fn slots(&self) -> u32 {
        self.slots.count()
    }

    /// How many slots each member has, in the order of members.
    pub fn shares(&self) -> impl Iterator<Item = u32> {
        let mut shares = vec![0; self.membership.members().len()];
        for owner in &*self.owners {
            shares[*owner as usize] += 1;
        }
        shares.into_iter()
    }

    /// Whom the table says, whatever its state.
    #[inline]
    fn listed(&self, hash: u64) -> &Member {
        let slot = self.slots.of(hash);
        let index = self.owners[slot as usize];
        &self.membership.members()[index as usize]
    }

    /// Apart, so that the load that a lookup is goes wherever it is asked for.
    #[cold]
    #[inline(never)]
    fn listed_is_out(&self, hash: u64) -> &Member {
        &self.membership.members()[self.order.first(hash)]
    }
}

impl Placement for Maglev {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Maglev
    }

    fn membership(&self) -> &Membership {
        &self.membership
    }

    #[inline]
    fn owner(&self, hash: u64) -> &Member {
        let listed = self.listed(hash);
        if self.is_whole || self.membership.is_eligible(listed) {
            listed
        } else {
            self.listed_is_out(hash)
        }
    }

    /// The owner, then all others by rendezvous.
    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Member> {
        let owner = self.owner(hash);
        Walk::behind(&self.order, hash, owner.index())
            .map(|index| &self.membership.members()[index])
    }

    /// # Errors
    ///
    /// If there are more nodes than slots.
    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        if !membership.has_roster_of(&self.membership) {
            return Self::seeded(membership, self.slots(), self.seed);
        }
        Ok(Maglev {
            slots: self.slots,
            owners: Arc::clone(&self.owners),
            order: Arc::new(Order::new(membership, self.seed)),
            is_whole: membership.is_whole(),
            membership: membership.clone(),
            seed: self.seed,
        })
    }
}

impl fmt::Debug for Maglev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maglev")
            .field("slots", &self.slots())
            .field("seed", &self.seed)
            .field("membership", &self.membership)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistent_hash::{Node, State};

    #[test]
    fn over_other_states_of_the_same_nodes_the_table_is_shared() {
        let nodes = || ["a", "b", "c"].map(Node::new);
        let members = Membership::new(1, nodes()).unwrap();
        let maglev = Maglev::with_slots(&members, 101).unwrap();
        let shares = |other: &Membership| {
            let other = maglev.over(other).unwrap();
            Arc::ptr_eq(&maglev.owners, &other.owners)
        };
        assert!(shares(&members.marked("b", State::Down).unwrap()));
        let described = nodes().map(|node| node.being(State::Draining));
        assert!(shares(&Membership::new(2, described).unwrap()));
        assert!(!shares(
            &Membership::new(2, ["a", "b"].map(Node::new)).unwrap()
        ));
    }
}
