use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use axiomatic_core::hash::Seed;

use super::error::PlacementError;
use super::membership::{Member, Membership};
use super::placement::{Algorithm, Placement};
use super::rendezvous::{Identities, Order, Walk};

/// Rendezvous hashing in two steps: of a fixed number of groups first, which
/// weigh what their nodes weigh together, and then of the nodes of one group.
///
/// For more than about 512 nodes of weights that a table's slots would not do
/// justice to: with `n` nodes in `g` groups a lookup looks at `g + n / g` of
/// them. Shares are exact. What it costs is movement: when a node comes or
/// goes, its group's share changes, and with it up to as many other keys of
/// the group move as had to move anyway.
///
/// A node's group follows from its identity alone, and the number of groups is
/// the operator's, once and for all. After the owner, candidates come in the
/// order of [`Rendezvous`](super::Rendezvous) among all nodes, so that those
/// of a node that is not to serve go to everybody and not to its group.
///
/// ```
/// use axiomatic_placement::consistent_hash::{Membership, Node, Placement, Skeleton};
///
/// let nodes = (0..1000).map(|n| Node::new(format!("node-{n}")));
/// let placement = Skeleton::new(&Membership::new(1, nodes)?);
/// assert_eq!(placement.groups(), 32);
/// assert_eq!(placement.owner(17).id(), placement.candidates(17).next().unwrap().id());
/// # Ok::<(), axiomatic_placement::consistent_hash::MembershipError>(())
/// ```
///
/// W. Wang and C. V. Ravishankar, "Hash-based virtual hierarchies for scalable
/// location service in mobile ad-hoc networks", Mobile Networks and
/// Applications, 2009; here of two levels, and weighted.
#[derive(Clone)]
pub struct Skeleton {
    membership: Membership,
    bones: Arc<Bones>,
    order: Arc<Order>,
    seed: Seed,
}

struct Bones {
    groups: NonZeroU32,
    /// Of the groups that weigh something: its indices are those of `within`.
    among: Order,
    within: Box<[Order]>,
}

impl Skeleton {
    /// How many groups there are unless something else is said.
    pub const GROUPS: NonZeroU32 = NonZeroU32::new(32).unwrap();

    /// With [`GROUPS`](Self::GROUPS) groups.
    pub fn new(membership: &Membership) -> Self {
        Self::with_groups(membership, Self::GROUPS)
    }

    /// With that many groups: the root of the number of nodes is best.
    pub fn with_groups(membership: &Membership, groups: NonZeroU32) -> Self {
        Self::seeded(membership, groups, Seed::fixed(0))
    }

    /// With a seed: another one places all keys anew.
    pub fn seeded(membership: &Membership, groups: NonZeroU32, seed: Seed) -> Self {
        Skeleton {
            bones: Arc::new(Bones::new(membership.members(), groups, seed)),
            order: Arc::new(Order::new(membership, seed)),
            membership: membership.clone(),
            seed,
        }
    }

    /// How many groups there are.
    pub fn groups(&self) -> u32 {
        self.bones.groups.get()
    }

    /// Whom the bones say, whatever its state.
    #[inline]
    fn listed(&self, hash: u64) -> &Member {
        let group = self.bones.among.first(hash);
        let index = self.bones.within[group].first(hash);
        &self.membership.members()[index]
    }

    #[cold]
    #[inline(never)]
    fn listed_is_out(&self, hash: u64) -> &Member {
        &self.membership.members()[self.order.first(hash)]
    }
}

impl Bones {
    fn new(members: &[Member], groups: NonZeroU32, seed: Seed) -> Self {
        let identities = Identities::new(seed);
        let group_of = |member: &&Member| group_of(identities.hash(member.id()), groups);
        let mut members: Vec<&Member> = members.iter().filter(|m| m.weight() > 0).collect();
        members.sort_by_key(group_of);
        let grouped: Vec<&[&Member]> = members
            .chunk_by(|a, b| group_of(a) == group_of(b))
            .collect();
        let weights = grouped.iter().map(|group| {
            let weight = group.iter().map(|member| u64::from(member.weight())).sum();
            // A group is known by its number, hashed as the identity of a node
            // would be, by which its nodes are no more alike than any.
            let number = group_of(&group[0]).to_le_bytes();
            (identities.hash(&number), weight)
        });
        Bones {
            groups,
            among: Order::of((0..).zip(weights)),
            within: grouped
                .iter()
                .map(|group| Order::among(group.iter().copied(), seed))
                .collect(),
        }
    }
}

/// The group of a node, from the hash of its identity: multiplied into range.
fn group_of(hash: u64, groups: NonZeroU32) -> u32 {
    ((u128::from(hash) * u128::from(groups.get())) >> 64) as u32
}

impl Placement for Skeleton {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Skeleton
    }

    fn membership(&self) -> &Membership {
        &self.membership
    }

    #[inline]
    fn owner(&self, hash: u64) -> &Member {
        let listed = self.listed(hash);
        if self.membership.is_eligible(listed) {
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

    /// Never fails.
    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        if !membership.has_roster_of(&self.membership) {
            return Ok(Self::seeded(membership, self.bones.groups, self.seed));
        }
        Ok(Skeleton {
            bones: Arc::clone(&self.bones),
            order: Arc::new(Order::new(membership, self.seed)),
            membership: membership.clone(),
            seed: self.seed,
        })
    }
}

impl fmt::Debug for Skeleton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skeleton")
            .field("groups", &self.groups())
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
    fn over_other_states_of_the_same_nodes_the_bones_are_shared() {
        let members = Membership::new(1, ["a", "b", "c"].map(Node::new)).unwrap();
        let skeleton = Skeleton::new(&members);
        let down = members.marked("b", State::Down).unwrap();
        let (same, fewer) = (skeleton.over(&down).unwrap(), ["a", "b"].map(Node::new));
        let fewer = skeleton.over(&Membership::new(2, fewer).unwrap()).unwrap();
        assert!(Arc::ptr_eq(&skeleton.bones, &same.bones));
        assert!(!Arc::ptr_eq(&skeleton.bones, &fewer.bones));
    }
}
