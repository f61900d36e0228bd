use std::fmt;

use axiomatic_core::hash::mix;
use smallvec::SmallVec;

use super::sharder::ShuffleShard;
use crate::consistent_hash::Member;
use crate::consistent_hash::rendezvous::Identities;

/// Indices of the membership.
pub(super) type Indices = SmallVec<[u32; 8]>;

/// The nodes of one customer.
#[derive(Clone)]
pub struct Shard<'a> {
    shards: &'a ShuffleShard,
    indices: Indices,
}

impl<'a> Shard<'a> {
    pub(super) fn new(shards: &'a ShuffleShard, indices: Indices) -> Self {
        Shard { shards, indices }
    }

    /// Its nodes: cell by cell as the customer prefers them, the nodes of each
    /// as the customer prefers them.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &'a Member> {
        let members = self.shards.membership().members();
        self.indices.iter().map(|index| &members[*index as usize])
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether it has none, since all nodes of its cells are down.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Whether it has fewer nodes than a shard is to have: a cell has too few
    /// of them, or too few that are up, or there are no nodes where the
    /// coordinates that are left meet.
    pub fn is_short(&self) -> bool {
        self.len() < self.shards.shard_size()
    }

    /// Whether the node of this identity is one of its.
    pub fn contains(&self, id: impl AsRef<[u8]>) -> bool {
        let member = self.shards.membership().get(id);
        member.is_some_and(|member| self.indices.contains(&(member.index() as u32)))
    }

    /// How many nodes both have, by identity.
    pub fn overlap(&self, other: &Shard<'_>) -> usize {
        if std::ptr::eq(self.shards, other.shards) {
            let theirs = |index: &&u32| other.indices.contains(index);
            return self.indices.iter().filter(theirs).count();
        }
        self.nodes()
            .filter(|node| other.contains(node.id()))
            .count()
    }

    /// Which of its nodes is to serve the request of this hash: each an equal
    /// part of them. (What a node weighs has told already how many shards it
    /// is in.)
    pub fn owner(&self, request: u64) -> Option<&'a Member> {
        self.candidates(request).next()
    }

    /// All its nodes in the order in which the request of this hash prefers
    /// them: where one fails, try the next.
    pub fn candidates(&self, request: u64) -> impl ExactSizeIterator<Item = &'a Member> {
        let identities = Identities::new(self.shards.seed());
        let members = self.shards.membership().members();
        let mut draws: SmallVec<[(u64, u32); 8]> = (self.indices.iter())
            .map(|index| (identities.hash(members[*index as usize].id()), *index))
            .map(|(seed, index)| (mix(request ^ seed), index))
            .collect();
        draws.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        draws.into_iter().map(|(_, index)| &members[index as usize])
    }
}

/// The same nodes in the same order, by identity.
impl PartialEq for Shard<'_> {
    fn eq(&self, other: &Self) -> bool {
        let theirs = other.nodes().map(Member::id);
        self.nodes().map(Member::id).eq(theirs)
    }
}

impl Eq for Shard<'_> {}

impl fmt::Debug for Shard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.nodes()).finish()
    }
}
