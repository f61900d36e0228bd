use std::fmt;

use axiomatic_core::Ratio;

use super::state::State;
use crate::consistent_hash::Member;

/// What a [`BoundedLoad`](super::BoundedLoad) has to say to its operators.
///
/// Each number is right by itself. They are read one after the other, so while
/// requests come and go they need not fit together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    balance: Ratio,
    in_flight: u64,
    picks: u64,
    displaced: u64,
    fallbacks: u64,
    nodes: Vec<NodeLoad>,
}

/// How much a node has to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeLoad {
    member: Member,
    is_eligible: bool,
    in_flight: u64,
    cap: u64,
}

impl Snapshot {
    pub(super) fn of(state: &State) -> Self {
        let rule = state.next_rule();
        let node = |member: &Member| NodeLoad {
            is_eligible: state.membership.is_eligible(member),
            in_flight: state.held(member.index()),
            cap: rule.cap(member.weight()),
            member: member.clone(),
        };
        Snapshot {
            balance: rule.balance,
            in_flight: rule.in_flight - 1,
            picks: state.common.total.begun(),
            displaced: state.common.displaced.load(),
            fallbacks: state.common.fallbacks.load(),
            nodes: state.membership.members().iter().map(node).collect(),
        }
    }

    /// How far above its share a node may be.
    pub fn balance(&self) -> Ratio {
        self.balance
    }

    /// How many requests are in flight, those included at nodes that have left.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// How many requests were placed, ever.
    pub fn picks(&self) -> u64 {
        self.picks
    }

    /// How many of them did not go to the owner of their key, since it was
    /// full.
    pub fn displaced(&self) -> u64 {
        self.displaced
    }

    /// How many found no node with room, as others were placed at the same
    /// time, and went to the one that had the least to do for its weight.
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks
    }

    /// All nodes, by identity.
    pub fn nodes(&self) -> &[NodeLoad] {
        &self.nodes
    }

    /// The eligible node that is nearest to its cap, or furthest above it.
    pub fn fullest(&self) -> Option<&NodeLoad> {
        let eligible = self.nodes.iter().filter(|node| node.is_eligible);
        let product =
            |one: &NodeLoad, other: &NodeLoad| u128::from(one.in_flight) * u128::from(other.cap);
        eligible.max_by(|a, b| product(a, b).cmp(&product(b, a)))
    }
}

impl NodeLoad {
    /// Which one.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Whether it may be picked.
    pub fn is_eligible(&self) -> bool {
        self.is_eligible
    }

    /// How many requests are in flight there.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// How many there may be with the next one, if it may be picked. It falls
    /// as requests end elsewhere, so there may be more.
    pub fn cap(&self) -> u64 {
        self.cap
    }
}

/// `bounded load 125 %: 80 in flight at 8 nodes, the fullest cache-3 with 12
/// of 13; 90210 picks, 12 displaced, 0 by fallback`, in one line.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (in_flight, nodes) = (self.in_flight, self.nodes.len());
        write!(f, "bounded load {}: ", self.balance)?;
        write!(f, "{in_flight} in flight at {nodes} nodes")?;
        if let Some(node) = self.fullest() {
            let id = node.member.id().escape_ascii();
            let (held, cap) = (node.in_flight, node.cap);
            write!(f, ", the fullest {id} with {held} of {cap}")?;
        }
        let (picks, displaced) = (self.picks, self.displaced);
        let fallbacks = self.fallbacks;
        write!(
            f,
            "; {picks} picks, {displaced} displaced, {fallbacks} by fallback"
        )
    }
}
