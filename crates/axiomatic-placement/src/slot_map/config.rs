use super::error::SlotMapError;
use super::slotting::{REDIS_SLOTS, Slotting};

/// What a slot map is to be like.
///
/// ```
/// use axiomatic_core::hash::Seed;
/// use axiomatic_placement::slot_map::{Config, Slotting, Spread};
///
/// let config = Config::new(Slotting::Xxh3(Seed::fixed(0)))
///     .slots(4096)
///     .copies(2, Spread::BestEffort);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) slotting: Slotting,
    pub(super) slots: u32,
    pub(super) copies: u8,
    pub(super) spread: Spread,
}

/// What is to be done where the copies of a slot cannot all be in racks of
/// their own.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Spread {
    /// Spread them as far as there are zones, then racks, then nodes; how far
    /// that is, tells [`SlotMap::spreading`](super::SlotMap::spreading).
    #[default]
    BestEffort = 0,
    /// Make no such map. Where there are enough racks, and a budget is too
    /// small to use them at once, plan after plan comes to it.
    Strict = 1,
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
            spread: Spread::BestEffort,
        }
    }

    /// How many slots there are, for ever: a hundred a node or more, of the
    /// most nodes there will ever be, so that shares differ by 1 % at most.
    pub const fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// How many other nodes have a copy of each slot, beside its owner.
    pub const fn copies(mut self, copies: u8, spread: Spread) -> Self {
        self.copies = copies;
        self.spread = spread;
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
