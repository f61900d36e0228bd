use super::table::{Narrow, Point, Table, Wide};

/// The points of a ring, of either width.
pub(super) enum Points {
    Narrow(Table<Narrow>),
    Wide(Table<Wide>),
}

impl Points {
    pub(super) fn len(&self) -> usize {
        match self {
            Points::Narrow(table) => table.len(),
            Points::Wide(table) => table.len(),
        }
    }

    /// The place of the first point that is not below the hash, and whose it
    /// is.
    #[inline]
    pub(super) fn first(&self, hash: u64) -> (usize, u32) {
        match self {
            Points::Narrow(table) => {
                let place = table.first(hash & u64::from(u32::MAX));
                (place, table.point(place).owner())
            }
            Points::Wide(table) => {
                let place = table.first(hash);
                (place, table.point(place).owner())
            }
        }
    }

    #[inline]
    pub(super) fn owner(&self, place: usize) -> u32 {
        match self {
            Points::Narrow(table) => table.point(place).owner(),
            Points::Wide(table) => table.point(place).owner(),
        }
    }

    pub(super) fn hash(&self, place: usize) -> u64 {
        match self {
            Points::Narrow(table) => table.point(place).hash(),
            Points::Wide(table) => table.point(place).hash(),
        }
    }

    #[inline]
    pub(super) fn after(&self, place: usize) -> usize {
        if place + 1 == self.len() {
            0
        } else {
            place + 1
        }
    }

    #[inline]
    pub(super) fn before(&self, place: usize) -> usize {
        place.checked_sub(1).unwrap_or(self.len() - 1)
    }
}
