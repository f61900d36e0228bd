use std::error::Error;
use std::fmt;

use crate::consistent_hash::MembershipError;

/// Why there is no such slot map, or no such plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotMapError {
    /// There cannot be so many slots: none, more than
    /// [`Config::MAX_SLOTS`](super::Config::MAX_SLOTS), or other than the 16384
    /// of a Redis Cluster.
    Slots {
        /// How many were asked for.
        slots: u32,
    },
    /// There are more copies than [`Config::MAX_COPIES`](super::Config::MAX_COPIES).
    TooManyCopies {
        /// How many were asked for.
        copies: u8,
    },
    /// The copies of a slot were to be in racks of their own, and there are
    /// not enough of them.
    TooFewRacks {
        /// How many racks there are.
        racks: usize,
        /// How many it needs.
        needed: usize,
    },
    /// The nodes, with those that have left and still hold slots, are no
    /// membership.
    Membership(MembershipError),
    /// There is no epoch after this one.
    LastEpoch,
    /// Two maps do not have the same slots.
    Incomparable,
}

impl fmt::Display for SlotMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlotMapError::Slots { slots } => write!(f, "there cannot be {slots} slots"),
            SlotMapError::TooManyCopies { copies } => {
                let most = super::Config::MAX_COPIES;
                write!(f, "{copies} copies are more than {most}")
            }
            SlotMapError::TooFewRacks { racks, needed } => {
                write!(f, "{racks} racks are too few, it needs {needed}")
            }
            SlotMapError::Membership(error) => error.fmt(f),
            SlotMapError::LastEpoch => f.write_str("there is no epoch after this one"),
            SlotMapError::Incomparable => f.write_str("the maps do not have the same slots"),
        }
    }
}

impl Error for SlotMapError {}

impl From<MembershipError> for SlotMapError {
    fn from(error: MembershipError) -> Self {
        SlotMapError::Membership(error)
    }
}

/// Why a plan is not for this map.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplyError {
    /// It was made for another epoch.
    OtherEpoch {
        /// The one it was made for.
        planned: u64,
        /// The map's.
        found: u64,
    },
    /// It was made for this epoch of another map: there were two of it.
    OtherMap {
        /// That epoch.
        epoch: u64,
    },
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::OtherEpoch { planned, found } => {
                write!(f, "the plan is for epoch {planned}, the map of {found}")
            }
            ApplyError::OtherMap { epoch } => {
                write!(f, "the plan is for another map of epoch {epoch}")
            }
        }
    }
}

impl Error for ApplyError {}

/// Why a slot map cannot be stored.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Its seed is secret, and without it nobody finds a slot.
    SecretSeed,
    /// It has more than 2^32 - 1 bytes.
    TooLong,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::SecretSeed => "a secret seed is not stored",
            EncodeError::TooLong => "the slot map has more than 2^32 - 1 bytes",
        })
    }
}

impl Error for EncodeError {}

/// Why what was stored is no slot map.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// It does not begin as one.
    NotASlotMap,
    /// It is of a version that this program does not know.
    Version {
        /// That version.
        version: u16,
    },
    /// It ends too soon.
    Truncated,
    /// It goes on after its end.
    TrailingBytes {
        /// For how many bytes.
        bytes: usize,
    },
    /// Its checksum is another.
    Checksum,
    /// Its slots are numbered in a way this program does not know.
    Slotting {
        /// The number of that way.
        id: u16,
    },
    /// There is no such [`Shortage`](crate::consistent_hash::Shortage).
    Shortage {
        /// Its number.
        shortage: u8,
    },
    /// There is no such [`State`](crate::consistent_hash::State).
    State {
        /// Its number.
        state: u8,
    },
    /// The name of a zone or a rack is not UTF-8, or in JSON an identity is
    /// neither text nor in hexadecimal digits.
    NotText,
    /// The nodes are not in the order of their identities, or one is there
    /// twice.
    Unsorted,
    /// Its runs do not cover each slot once, or two of them could be one.
    Runs,
    /// A slot is held by a node that is not there, or twice by one.
    Holder {
        /// That slot.
        slot: u32,
    },
    /// It is none that could be made.
    Invalid(SlotMapError),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::NotASlotMap => f.write_str("it does not begin as a slot map"),
            DecodeError::Version { version } => write!(f, "unknown version {version}"),
            DecodeError::Truncated => f.write_str("it ends too soon"),
            DecodeError::TrailingBytes { bytes } => {
                write!(f, "it goes on for {bytes} bytes after its end")
            }
            DecodeError::Checksum => f.write_str("the checksum is another"),
            DecodeError::Slotting { id } => write!(f, "unknown slotting {id}"),
            DecodeError::Shortage { shortage } => write!(f, "unknown shortage {shortage}"),
            DecodeError::State { state } => write!(f, "unknown state {state}"),
            DecodeError::NotText => f.write_str("a name is not UTF-8, or not in digits"),
            DecodeError::Unsorted => f.write_str("the nodes are not in order, each once"),
            DecodeError::Runs => f.write_str("the runs do not cover each slot once"),
            DecodeError::Holder { slot } => {
                write!(f, "slot {slot} is held by nobody known, or twice by one")
            }
            DecodeError::Invalid(error) => error.fmt(f),
        }
    }
}

impl Error for DecodeError {}

impl From<crate::bytes::Truncated> for DecodeError {
    fn from(_: crate::bytes::Truncated) -> Self {
        DecodeError::Truncated
    }
}

impl From<SlotMapError> for DecodeError {
    fn from(error: SlotMapError) -> Self {
        DecodeError::Invalid(error)
    }
}

impl From<MembershipError> for DecodeError {
    fn from(error: MembershipError) -> Self {
        DecodeError::Invalid(error.into())
    }
}
