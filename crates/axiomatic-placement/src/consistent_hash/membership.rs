use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::error::MembershipError;
use super::node::{Node, State};

/// Who there is, at one moment: an immutable snapshot, numbered by an epoch.
///
/// Its nodes are sorted by identity, so that the order in which they were
/// listed decides nothing. It cannot be such that nobody owns a key, so
/// lookups have no errors. Cheap to clone.
///
/// ```
/// use axiomatic_placement::consistent_hash::{Membership, Node, State};
///
/// let nodes = ["c", "a", "b"].map(Node::new);
/// let membership = Membership::new(1, nodes)?;
/// let ids: Vec<_> = membership.members().iter().map(|m| m.id()).collect();
/// assert_eq!(ids, [b"a", b"b", b"c"]);
///
/// // A node that is down keeps its place, and loses its turn.
/// let later = membership.marked("b", State::Down)?;
/// assert_eq!(later.epoch(), 2);
/// assert!(later.has_roster_of(&membership));
/// assert_eq!(later.eligible().count(), 2);
/// # Ok::<(), axiomatic_placement::consistent_hash::MembershipError>(())
/// ```
#[derive(Clone)]
pub struct Membership {
    epoch: u64,
    roster: Arc<Roster>,
    overlay: Arc<Overlay>,
}

/// Who there is, apart from how they are.
struct Roster {
    members: Box<[Member]>,
    total_weight: u64,
}

/// How they are.
struct Overlay {
    states: Box<[State]>,
    /// Who may own keys: whoever weighs something, among them those of the
    /// best state that is there at all.
    eligible: Box<[bool]>,
    is_whole: bool,
    /// How many may own keys, and how many zones and racks they are in.
    nodes: usize,
    zones: usize,
    racks: usize,
}

/// A node in its membership.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    node: Node,
    index: u32,
    /// The first member of the same zone, and of the same rack.
    zone: u32,
    rack: u32,
}

impl Membership {
    /// The most nodes there can be: 2^24.
    pub const MAX_NODES: usize = 1 << 24;

    /// The members of an epoch.
    ///
    /// An epoch is whatever grows with each change: a version, a revision, a
    /// term. Of two memberships the one of the greater epoch is the newer.
    ///
    /// # Errors
    ///
    /// If there are no nodes, or more than [`MAX_NODES`](Self::MAX_NODES), if
    /// one has an empty identity or the identity of another, or if none weighs
    /// anything.
    pub fn new(epoch: u64, nodes: impl IntoIterator<Item = Node>) -> Result<Self, MembershipError> {
        let mut nodes: Vec<Node> = nodes.into_iter().collect();
        nodes.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        if nodes.len() > Self::MAX_NODES {
            return Err(MembershipError::TooMany { nodes: nodes.len() });
        }
        // Sorted, so an empty identity would be the first.
        if nodes.first().ok_or(MembershipError::Empty)?.id().is_empty() {
            return Err(MembershipError::Unnamed);
        }
        if let Some(twice) = nodes.windows(2).find(|two| two[0].id() == two[1].id()) {
            let id = twice[0].id().into();
            return Err(MembershipError::Duplicate { id });
        }
        let total_weight = nodes.iter().map(|node| u64::from(node.weight())).sum();
        if total_weight == 0 {
            return Err(MembershipError::Weightless);
        }
        let states = nodes.iter().map(Node::state).collect();
        let roster = Roster {
            members: numbered(nodes),
            total_weight,
        };
        let overlay = Overlay::new(&roster.members, states);
        Ok(Membership {
            epoch,
            roster: Arc::new(roster),
            overlay: Arc::new(overlay),
        })
    }

    /// The next epoch, in which one node is in another state.
    ///
    /// After `u64::MAX` there is no next one, and the epoch stays: memberships
    /// that are to be marked need epochs that leave room.
    ///
    /// # Errors
    ///
    /// If there is no node of this identity.
    pub fn marked(&self, id: impl AsRef<[u8]>, state: State) -> Result<Self, MembershipError> {
        let id = id.as_ref();
        let marked = self
            .get(id)
            .ok_or_else(|| MembershipError::Unknown { id: id.into() })?;
        let marked = marked.index;
        Ok(self.with_states(|member| {
            if member.index == marked {
                state
            } else {
                self.state(member)
            }
        }))
    }

    /// The next epoch, if there is one, as by [`marked`](Self::marked), in which
    /// each node is in the state that is told of it.
    #[must_use = "a membership does not change; this is the next one"]
    pub fn with_states(&self, state: impl FnMut(&Member) -> State) -> Self {
        let states = self.members().iter().map(state).collect();
        Membership {
            epoch: self.epoch.saturating_add(1),
            roster: Arc::clone(&self.roster),
            overlay: Arc::new(Overlay::new(self.members(), states)),
        }
    }

    /// Its number.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// All nodes, by identity, whatever their state.
    pub fn members(&self) -> &[Member] {
        &self.roster.members
    }

    /// Those that may own keys, by identity: of those that weigh something
    /// the ones that are up; if there is none, the draining ones; and if there
    /// is none of these either, all. For if everything is said to be down, it
    /// is more likely that who says so is wrong.
    pub fn eligible(&self) -> impl Iterator<Item = &Member> {
        let members = self.members().iter().zip(&self.overlay.eligible);
        members.filter_map(|(member, eligible)| eligible.then_some(member))
    }

    /// Whether this member may own keys; see [`eligible`](Self::eligible).
    ///
    /// # Panics
    ///
    /// Unless all may: if the index of the member is beyond all of this membership.
    #[inline]
    pub fn is_eligible(&self, member: &Member) -> bool {
        self.overlay.is_whole || self.overlay.eligible[member.index as usize]
    }

    /// Whether all nodes may own keys.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.overlay.is_whole
    }

    /// How many may own keys.
    pub fn eligible_nodes(&self) -> usize {
        self.overlay.nodes
    }

    /// How many zones those who may own keys are in.
    pub fn zones(&self) -> usize {
        self.overlay.zones
    }

    /// How many racks those who may own keys are in.
    pub fn racks(&self) -> usize {
        self.overlay.racks
    }

    /// The state of a member.
    ///
    /// # Panics
    ///
    /// If the index of the member is beyond all of this membership.
    pub fn state(&self, member: &Member) -> State {
        self.overlay.states[member.index as usize]
    }

    /// The node of this identity.
    pub fn get(&self, id: impl AsRef<[u8]>) -> Option<&Member> {
        let members = self.members();
        let found = members.binary_search_by(|member| member.id().cmp(id.as_ref()));
        found.ok().map(|index| &members[index])
    }

    /// The sum of all weights.
    pub fn total_weight(&self) -> u64 {
        self.roster.total_weight
    }

    /// Whether both have the same nodes of the same weights in the same
    /// places, whatever their states. What is built over one, such as a table,
    /// is then good for the other.
    pub fn has_roster_of(&self, other: &Membership) -> bool {
        Arc::ptr_eq(&self.roster, &other.roster) || self.roster == other.roster
    }
}

/// As members, each with the first of its zone and of its rack.
fn numbered(nodes: Vec<Node>) -> Box<[Member]> {
    let zone_of: fn(&Node) -> (&str, &str) = |node| (node.zone(), "");
    let zones = firsts(&nodes, zone_of);
    let racks = firsts(&nodes, |node| (node.zone(), node.rack()));
    let numbers = (0u32..).zip(zones.into_iter().zip(racks));
    let members = nodes.into_iter().zip(numbers);
    members
        .map(|(node, (index, (zone, rack)))| Member {
            node,
            index,
            zone,
            rack,
        })
        .collect()
}

/// For each node the index of the first one with the same name.
fn firsts<'a>(nodes: &'a [Node], name: impl Fn(&'a Node) -> (&'a str, &'a str)) -> Vec<u32> {
    let mut first = BTreeMap::new();
    let named = (0u32..).zip(nodes);
    named
        .map(|(index, node)| *first.entry(name(node)).or_insert(index))
        .collect()
}

impl Overlay {
    fn new(members: &[Member], states: Box<[State]>) -> Self {
        let weighty = || {
            members
                .iter()
                .zip(&states)
                .filter(|(member, _)| member.weight() > 0)
        };
        let best = weighty().map(|(_, state)| *state).min();
        let eligible: Box<[bool]> = members
            .iter()
            .zip(&states)
            .map(|(member, state)| member.weight() > 0 && Some(*state) == best)
            .collect();
        let domains = |domain: fn(&Member) -> u32| {
            let chosen = members
                .iter()
                .zip(&eligible)
                .filter(|(_, eligible)| **eligible);
            chosen
                .map(|(member, _)| domain(member))
                .collect::<BTreeSet<_>>()
                .len()
        };
        Overlay {
            is_whole: eligible.iter().all(|eligible| *eligible),
            nodes: eligible.iter().filter(|eligible| **eligible).count(),
            zones: domains(|member| member.zone),
            racks: domains(|member| member.rack),
            states,
            eligible,
        }
    }
}

impl Member {
    /// Its place among the [members](Membership::members), which are sorted
    /// by identity.
    #[inline]
    pub fn index(&self) -> usize {
        self.index as usize
    }

    /// The node as it was described.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its identity.
    pub fn id(&self) -> &[u8] {
        self.node.id()
    }

    /// Its weight.
    pub fn weight(&self) -> u32 {
        self.node.weight()
    }

    /// Its zone.
    pub fn zone(&self) -> &str {
        self.node.zone()
    }

    /// Its rack, within its zone.
    pub fn rack(&self) -> &str {
        self.node.rack()
    }

    /// Whether another member of the same membership is in the same zone.
    pub fn shares_zone_with(&self, other: &Member) -> bool {
        self.zone == other.zone
    }

    /// Whether another member of the same membership is in the same rack of
    /// the same zone.
    pub fn shares_rack_with(&self, other: &Member) -> bool {
        self.rack == other.rack
    }
}

/// The states in which nodes were described are left out: which they are in, the
/// overlay says.
impl PartialEq for Roster {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&Member, &Member)| one.node.is_but_for_state(&other.node);
        self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(same)
    }
}

impl PartialEq for Membership {
    fn eq(&self, other: &Self) -> bool {
        self.epoch == other.epoch
            && self.has_roster_of(other)
            && self.overlay.states == other.overlay.states
    }
}

impl Eq for Membership {}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("epoch", &self.epoch)
            .field("members", &self.members())
            .field("states", &self.overlay.states)
            .finish()
    }
}

/// `epoch 7: 8 nodes (6 up, 1 draining, 1 down), weight 24`.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |state| self.overlay.states.iter().filter(|s| **s == state).count();
        write!(
            f,
            "epoch {}: {} nodes ({} up, {} draining, {} down), weight {}",
            self.epoch,
            self.members().len(),
            count(State::Up),
            count(State::Draining),
            count(State::Down),
            self.total_weight(),
        )
    }
}
