use super::error::SlotMapError;
use super::slotting::{REDIS_SLOTS, Slotting};
use crate::consistent_hash::Shortage;

/// What a slot map is to be like.
///
/// ```
/// use axiomatic_core::hash::Seed;
/// use axiomatic_placement::consistent_hash::Shortage;
/// use axiomatic_placement::slot_map::{Config, Slotting};
///
/// let config = Config::new(Slotting::Xxh3(Seed::fixed(0)))
///     .slots(4096)
///     .copies(2, Shortage::BestEffort);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) slotting: Slotting,
    pub(super) slots: u32,
    pub(super) copies: u8,
    pub(super) shortage: Shortage,
}

impl Config {
    /// The most slots there can be: 2^20.
    pub const MAX_SLOTS: u32 = 1 << 20;

    /// The most copies of a slot beside its owner's: 7.
    pub const MAX_COPIES: u8 = 7;

    /// 16384 slots that nobody has a copy of but their owners.
    pub const fn new(slotting: Slotting) -> Self {
        Config {
            slotting,
            slots: REDIS_SLOTS,
            copies: 0,
            shortage: Shortage::BestEffort,
        }
    }

    /// How many slots there are, for ever: a hundred a node or more, of the
    /// most nodes there will ever be, so that shares differ by 1 % at most.
    pub const fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// How many other nodes have a copy of each slot, beside its owner: in
    /// zones of their own, then in racks, then wherever there are nodes. How far
    /// that was possible, tells [`SlotMap::spreading`](super::SlotMap::spreading).
    ///
    /// Strict: no map in which two copies of a slot share a rack is made.
    /// Where there are enough racks, and a budget is too small to use them at
    /// once, plan after plan comes to it.
    pub const fn copies(mut self, copies: u8, shortage: Shortage) -> Self {
        self.copies = copies;
        self.shortage = shortage;
        self
    }

    pub(super) fn checked(self) -> Result<Self, SlotMapError> {
        let Config { slots, copies, .. } = self;
        if slots == 0 || slots > Self::MAX_SLOTS || !self.slotting.takes(slots) {
            return Err(SlotMapError::Slots { slots });
        }
        if copies > Self::MAX_COPIES {
            return Err(SlotMapError::TooManyCopies { copies });
        }
        Ok(self)
    }
}
