//! What operators want to know.

use std::fmt;
use std::num::NonZeroU16;

use crate::count_min;

/// How full a list of hot keys is, and what it takes to get in.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub(super) keys: NonZeroU16,
    pub(super) listed: u64,
    pub(super) floor: u64,
    pub(super) promotions: u64,
    pub(super) missed: u64,
    pub(super) sketch: count_min::Snapshot,
}

impl Snapshot {
    /// How many keys the list has at most.
    pub fn keys(&self) -> NonZeroU16 {
        self.keys
    }

    /// How many it has.
    pub fn listed(&self) -> u64 {
        self.listed
    }

    /// The count above which a key gets in, 0 while there is room. It may be
    /// behind the least count of the list, and is never ahead of it.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// How many times a key got in.
    pub fn promotions(&self) -> u64 {
        self.promotions
    }

    /// How many times a key that could have got in found the lock taken.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// How full the sketch beneath is.
    pub fn sketch(&self) -> count_min::Snapshot {
        self.sketch
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} keys, above {}; {} came in, {} found the lock taken; {}",
            self.listed, self.keys, self.floor, self.promotions, self.missed, self.sketch
        )
    }
}
