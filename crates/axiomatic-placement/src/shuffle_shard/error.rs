use std::error::Error;
use std::fmt;

/// Why there are no such shards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShardError {
    /// They would have no nodes.
    NoNodes,
    /// The lattice has more dimensions than
    /// [`Lattice::MAX_DIMENSIONS`](super::Lattice::MAX_DIMENSIONS).
    TooManyDimensions {
        /// How many it has.
        dimensions: usize,
    },
    /// A cell has fewer nodes that weigh something than each shard is to have
    /// of it.
    CellTooSmall {
        /// Its coordinates.
        cell: Box<[String]>,
        /// How many it has.
        nodes: usize,
        /// How many were asked for.
        wanted: usize,
    },
}

impl fmt::Display for ShardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShardError::NoNodes => f.write_str("a shard needs a node of each cell"),
            ShardError::TooManyDimensions { dimensions } => {
                let most = super::Lattice::MAX_DIMENSIONS;
                write!(f, "{dimensions} dimensions are more than {most}")
            }
            ShardError::CellTooSmall {
                cell,
                nodes,
                wanted,
            } => write!(f, "the cell {cell:?} has {nodes} nodes, not {wanted}"),
        }
    }
}

impl Error for ShardError {}

/// A customer has no shard: each one that was tried has more nodes in common
/// with somebody's than is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoRoom {
    /// The customer.
    pub customer: u64,
    /// How many shards were tried.
    pub attempts: u32,
    /// The best of them has this many nodes in common with somebody's: with
    /// such a maximum there would be room.
    pub least_overlap: usize,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "none of {} shards is free for customer {:#018x}: at best {} nodes are another's too",
            self.attempts, self.customer, self.least_overlap,
        )
    }
}

impl Error for NoRoom {}

/// Why assignments cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportError {
    /// A customer is there twice.
    Duplicate {
        /// The customer.
        customer: u64,
    },
    /// Two customers share more nodes than is allowed: these are assignments
    /// of another membership, lattice, seed or maximum.
    Overlap {
        /// The customer.
        customer: u64,
        /// One that came before it.
        other: u64,
        /// How many nodes they share.
        overlap: usize,
    },
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::Duplicate { customer } => {
                write!(f, "customer {customer:#018x} is there twice")
            }
            ImportError::Overlap {
                customer,
                other,
                overlap,
            } => write!(
                f,
                "customers {other:#018x} and {customer:#018x} share {overlap} nodes"
            ),
        }
    }
}

impl Error for ImportError {}
