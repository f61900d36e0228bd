use std::error::Error;
use std::fmt;

use crate::consistent_hash::{MembershipError, PlacementError};

/// There is no node, and none can come any more: discovery has ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct NoNodes;

impl fmt::Display for NoNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no node to route to, and discovery has ended")
    }
}

impl Error for NoNodes {}

/// Why the nodes that were discovered last could not be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// They are no membership.
    Membership(MembershipError),
    /// The placement cannot be over them.
    Placement(PlacementError),
    /// The placement that was made is over another membership than the one it
    /// was to be made over.
    Elsewhere,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Membership(error) => error.fmt(f),
            Trouble::Placement(error) => error.fmt(f),
            Trouble::Elsewhere => f.write_str("the placement is over another membership"),
        }
    }
}

impl Error for Trouble {}

impl From<MembershipError> for Trouble {
    fn from(error: MembershipError) -> Self {
        Trouble::Membership(error)
    }
}

impl From<PlacementError> for Trouble {
    fn from(error: PlacementError) -> Self {
        Trouble::Placement(error)
    }
}
