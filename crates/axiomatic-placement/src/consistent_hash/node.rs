use std::fmt;

/// A node as its operator describes it: an identity, and what is to be known
/// of it when keys are placed.
///
/// ```
/// use axiomatic_placement::consistent_hash::Node;
///
/// let node = Node::new("cache-7").weighing(3).in_rack("eu-1a", "r12");
/// assert_eq!(node.id(), b"cache-7");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    id: Box<[u8]>,
    weight: u32,
    zone: Box<str>,
    rack: Box<str>,
    state: State,
}

/// What is to be done with the keys of a node, right now.
///
/// It is an overlay: whatever is said here, the node keeps its place, its keys
/// go to those that come next for each of them, and they come back.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// It serves its keys.
    #[default]
    Up = 0,
    /// It is to serve none, and would if nobody else did.
    Draining = 1,
    /// It serves none.
    Down = 2,
}

impl Node {
    /// A node of weight one, in no zone and no rack that has a name, that is
    /// up.
    ///
    /// The identity is bytes that mean the same node on every machine, for as
    /// long as it holds keys: a name, rather than an address that the next
    /// restart changes.
    pub fn new(id: impl AsRef<[u8]>) -> Self {
        Node {
            id: id.as_ref().into(),
            weight: 1,
            zone: "".into(),
            rack: "".into(),
            state: State::Up,
        }
    }

    /// How much it holds, beside the others: of two nodes the one of weight 3
    /// has three times the keys of one of weight 1. None at weight 0, which
    /// takes its keys from it for good and leaves its name.
    pub fn weighing(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// What fails together with it: a zone, "" by default. Nodes that name none
    /// share one.
    pub fn in_zone(mut self, zone: impl AsRef<str>) -> Self {
        self.zone = zone.as_ref().into();
        self
    }

    /// What fails together with it: a zone, and a rack in it. Racks of the same
    /// name in two zones are two racks.
    pub fn in_rack(self, zone: impl AsRef<str>, rack: impl AsRef<str>) -> Self {
        let mut node = self.in_zone(zone);
        node.rack = rack.as_ref().into();
        node
    }

    /// The state it is in to begin with.
    pub fn being(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// Its identity.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// Its weight.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Its zone.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Its rack, within its zone.
    pub fn rack(&self) -> &str {
        &self.rack
    }

    /// Whether both are described alike, apart from the state.
    pub(super) fn is_but_for_state(&self, other: &Node) -> bool {
        self.id == other.id
            && self.weight == other.weight
            && self.zone == other.zone
            && self.rack == other.rack
    }

    /// The state it was described in. What became of it since, its
    /// [membership](super::Membership::state) says.
    pub fn state(&self) -> State {
        self.state
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({}", self.id.escape_ascii())?;
        if self.weight != 1 {
            write!(f, " x{}", self.weight)?;
        }
        if !self.zone.is_empty() || !self.rack.is_empty() {
            write!(f, " in {}/{}", self.zone, self.rack)?;
        }
        if self.state != State::Up {
            write!(f, " {:?}", self.state)?;
        }
        f.write_str(")")
    }
}
