use crate::consistent_hash::{Member, Membership, Node, Shortage, State};

use super::config::Config;
use super::copies::{Copies, breadth_of};
use super::error::SlotMapError;
use super::map::SlotMap;
use super::owners::Owners;
use super::plan::Plan;
use super::table::{NOBODY, Table};

impl SlotMap {
    /// A first map, of epoch 1: every node that may own keys has its exact
    /// share of the slots, as one range.
    ///
    /// # Errors
    ///
    /// If there cannot be so many slots or copies, or if they cannot be spread
    /// as they have to be.
    pub fn new(membership: &Membership, config: Config) -> Result<Self, SlotMapError> {
        let config = config.checked()?;
        let empty = Table::empty(config.slots, config.copies);
        let merged = Merged::new(membership, &[])?;
        let (table, _) = balanced(&merged, config, &empty, u64::MAX)?;
        Ok(SlotMap::of_parts(config, 1, merged.membership, table))
    }

    /// What is to move, now that the members are these, so that each has its
    /// exact share again; at most so many transfers, each of one slot to one
    /// node that did not hold it.
    ///
    /// Owners change first, and of them those that are down or have left, then
    /// those that are to own nothing, then whoever has the most too many. Then
    /// copies are replaced that are lost, those that are to be lost, those
    /// that stand too close together, and those of whoever has too many. A
    /// copy that becomes the owner's costs nothing.
    ///
    /// With the same members, plan after plan, it comes to an end, and no slot
    /// changes its owner twice. A budget of `u64::MAX` is enough for all of it at once.
    ///
    /// # Errors
    ///
    /// If copies cannot be spread as they have to be, or if this was the last
    /// epoch.
    pub fn rebalanced(&self, membership: &Membership, budget: u64) -> Result<Plan, SlotMapError> {
        let epoch = self.next_epoch()?;
        let merged = Merged::new(membership, self.membership().members())?;
        let new: Vec<u32> = self
            .membership()
            .members()
            .iter()
            .map(|member| merged.index_of(member.id()))
            .collect();
        let before = self.table().renumbered(&new);
        let (table, remaining) = balanced(&merged, self.config(), &before, budget)?;
        let (membership, table) = merged.without_idle(table)?;
        let after = SlotMap::of_parts(self.config(), epoch, membership, table);
        let diff = self.diff(&after)?;
        Ok(Plan {
            before: self.clone(),
            after,
            diff,
            remaining,
        })
    }
}

/// The members there are and those that have left, for these may still hold
/// slots.
struct Merged {
    membership: Membership,
    departed: Box<[bool]>,
}

impl Merged {
    fn new(membership: &Membership, before: &[Member]) -> Result<Self, SlotMapError> {
        let members = membership.members().iter();
        let present = members.map(|m| m.node().clone().being(membership.state(m)));
        let left = before.iter().filter(|m| membership.get(m.id()).is_none());
        let left = left.map(|m| m.node().clone().weighing(0).being(State::Down));
        let merged = Membership::new(membership.epoch(), present.chain(left))?;
        let members = merged.members().iter();
        let departed = members.map(|m| membership.get(m.id()).is_none()).collect();
        Ok(Merged {
            membership: merged,
            departed,
        })
    }

    fn index_of(&self, id: &[u8]) -> u32 {
        // A membership has fewer than 2^32 nodes.
        self.membership.get(id).map_or(NOBODY, |m| m.index() as u32)
    }

    /// Without those that have left and hold nothing any more.
    fn without_idle(self, table: Table) -> Result<(Membership, Table), SlotMapError> {
        let mut stays: Vec<bool> = self.departed.iter().map(|departed| !departed).collect();
        let holders = table.owners.iter().chain(&table.copies);
        for holder in holders.filter(|holder| **holder != NOBODY) {
            stays[*holder as usize] = true;
        }
        if stays.iter().all(|stays| *stays) {
            return Ok((self.membership, table));
        }
        let mut next = 0;
        let new = stays.iter().map(|stays| {
            let index = if *stays { next } else { NOBODY };
            next += u32::from(*stays);
            index
        });
        let new: Vec<u32> = new.collect();
        let members = self.membership.members().iter().zip(&stays);
        let nodes: Vec<Node> = members
            .filter(|(_, stays)| **stays)
            .map(|(member, _)| member.node().clone())
            .collect();
        let membership = Membership::new(self.membership.epoch(), nodes)?;
        Ok((membership, table.renumbered(&new)))
    }
}

/// The table after it, and how many slots still have to move.
fn balanced(
    merged: &Merged,
    config: Config,
    before: &Table,
    mut budget: u64,
) -> Result<(Table, u64), SlotMapError> {
    let membership = &merged.membership;
    let racks = breadth_of(membership).racks;
    let needed = 1 + usize::from(config.copies);
    if config.shortage == Shortage::Strict && racks < needed {
        return Err(SlotMapError::TooFewRacks { racks, needed });
    }
    let mut table = before.clone();
    let mut owners = Owners::new(membership, &table);
    owners.promote(&mut table);
    owners.level(membership, &mut table, &mut budget);

    if config.copies > 0 {
        let departed = &merged.departed;
        let mut copies = Copies::new(membership, departed, &owners.fit, before, &table);
        copies.mend_all(&mut table, &mut budget);
        copies.level(&mut table, &mut budget);
    }
    Ok((table, owners.missing()))
}
