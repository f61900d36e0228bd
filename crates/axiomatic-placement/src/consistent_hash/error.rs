use std::error::Error;
use std::fmt;

/// Why there is no such membership.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MembershipError {
    /// There are no nodes.
    Empty,
    /// A node has an empty identity.
    Unnamed,
    /// Two nodes have the same identity.
    Duplicate {
        /// That identity.
        id: Box<[u8]>,
    },
    /// No node weighs anything.
    Weightless,
    /// There are more nodes than [`Membership::MAX_NODES`](super::Membership::MAX_NODES).
    TooMany {
        /// How many there are.
        nodes: usize,
    },
    /// There is no node of this identity.
    Unknown {
        /// That identity.
        id: Box<[u8]>,
    },
}

impl fmt::Display for MembershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MembershipError::Empty => f.write_str("a membership needs a node"),
            MembershipError::Unnamed => f.write_str("a node has an empty identity"),
            MembershipError::Duplicate { id } => {
                write!(f, "two nodes have the identity {}", id.escape_ascii())
            }
            MembershipError::Weightless => f.write_str("all nodes have weight 0"),
            MembershipError::TooMany { nodes } => {
                let most = super::Membership::MAX_NODES;
                write!(f, "{nodes} nodes are more than {most}")
            }
            MembershipError::Unknown { id } => {
                write!(f, "there is no node of the identity {}", id.escape_ascii())
            }
        }
    }
}

impl Error for MembershipError {}

/// Why nothing can be placed so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlacementError {
    /// A table has to have a prime number of slots.
    NotPrime {
        /// How many were asked for.
        slots: u32,
    },
    /// A table needs at least as many slots as there are nodes.
    TooFewSlots {
        /// How many it has.
        slots: u32,
        /// How many nodes there are.
        nodes: usize,
    },
    /// A ring would have more points than it can hold.
    TooManyPoints {
        /// How many it would have.
        points: u64,
        /// The most there can be.
        most: u64,
    },
    /// Nothing could be found: a ring would have no points, or no place would
    /// be probed.
    NoPoints,
    /// A node weighs more than a format can say.
    TooHeavy {
        /// Its identity.
        id: Box<[u8]>,
        /// The most it can say.
        most: u32,
    },
    /// A node's identity is not of the form that a format asks for.
    Malformed {
        /// That identity.
        id: Box<[u8]>,
        /// What the format asks for.
        wanted: &'static str,
    },
}

impl fmt::Display for PlacementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlacementError::NotPrime { slots } => {
                write!(f, "{slots} is not a prime number of slots")
            }
            PlacementError::TooFewSlots { slots, nodes } => {
                write!(f, "{slots} slots are too few for {nodes} nodes")
            }
            PlacementError::TooManyPoints { points, most } => {
                write!(f, "a ring of {points} points has more than {most}")
            }
            PlacementError::NoPoints => f.write_str("there would be nothing to find"),
            PlacementError::TooHeavy { id, most } => {
                write!(f, "the node {} weighs more than {most}", id.escape_ascii())
            }
            PlacementError::Malformed { id, wanted } => {
                write!(f, "the identity {} is not {wanted}", id.escape_ascii())
            }
        }
    }
}

impl Error for PlacementError {}
