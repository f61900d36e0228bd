use crate::consistent_hash::Membership;

/// In the place of a node: nobody.
pub(super) const NOBODY: u32 = u32::MAX;

/// Who holds each slot, by the indices of a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) owners: Box<[u32]>,
    /// So many for each slot, one slot after the other; those that are missing
    /// are the last.
    pub(super) copies: Box<[u32]>,
    pub(super) copies_each: usize,
}

impl Table {
    /// One in which nobody holds anything.
    pub(super) fn empty(slots: u32, copies: u8) -> Self {
        let (slots, copies) = (slots as usize, usize::from(copies));
        Table {
            owners: vec![NOBODY; slots].into(),
            copies: vec![NOBODY; slots * copies].into(),
            copies_each: copies,
        }
    }

    pub(super) fn copies(&self, slot: usize) -> &[u32] {
        &self.copies[slot * self.copies_each..][..self.copies_each]
    }

    pub(super) fn copies_mut(&mut self, slot: usize) -> &mut [u32] {
        &mut self.copies[slot * self.copies_each..][..self.copies_each]
    }

    /// Its owner, then the others that hold it.
    pub(super) fn holders(&self, slot: usize) -> impl Iterator<Item = u32> + '_ {
        let owner = std::iter::once(self.owners[slot]);
        let holders = owner.chain(self.copies(slot).iter().copied());
        holders.filter(|holder| *holder != NOBODY)
    }

    pub(super) fn is_held_by(&self, slot: usize, node: u32) -> bool {
        self.holders(slot).any(|holder| holder == node)
    }

    /// The same by other indices: the new one of each old one.
    pub(super) fn renumbered(&self, new: &[u32]) -> Self {
        let of = |old: &u32| new.get(*old as usize).copied().unwrap_or(NOBODY);
        Table {
            owners: self.owners.iter().map(of).collect(),
            copies: self.copies.iter().map(of).collect(),
            copies_each: self.copies_each,
        }
    }

    /// How many different zones and racks hold a slot, when one of its
    /// holders is another.
    pub(super) fn breadth(
        &self,
        membership: &Membership,
        slot: usize,
        instead: Option<(u32, u32)>,
    ) -> Breadth {
        let member = |index: u32| &membership.members()[index as usize];
        let (out, into) = instead.unwrap_or((NOBODY, NOBODY));
        let holders = || {
            self.holders(slot)
                .map(|holder| member(if holder == out { into } else { holder }))
        };
        let mut breadth = Breadth::default();
        for (at, holder) in holders().enumerate() {
            let mut before = holders().take(at);
            breadth.nodes += 1;
            breadth.racks += usize::from(!before.any(|other| other.shares_rack_with(holder)));
            let mut before = holders().take(at);
            breadth.zones += usize::from(!before.any(|other| other.shares_zone_with(holder)));
        }
        breadth
    }
}

/// Over how many different zones, racks and nodes; more zones are better than
/// more racks.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Breadth {
    pub(super) zones: usize,
    pub(super) racks: usize,
    pub(super) nodes: usize,
}
