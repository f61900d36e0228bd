use std::cmp::Reverse;

use crate::consistent_hash::{Membership, State};

use super::owners::weights;
use super::shares::shares;
use super::table::{Breadth, NOBODY, Table};

/// The work on copies: what is lost is replaced, then what stands too close
/// together is moved apart, and at last shares are levelled.
pub(super) struct Copies<'a> {
    membership: &'a Membership,
    /// Nodes that have left: whatever they hold is to be replaced.
    departed: &'a [bool],
    fit: &'a [bool],
    /// Who held what before: to hold it again costs nothing.
    before: &'a Table,
    /// The breadth that every slot can have.
    ideal: Breadth,
    target: Vec<u64>,
    have: Vec<u64>,
}

impl<'a> Copies<'a> {
    pub(super) fn new(
        membership: &'a Membership,
        departed: &'a [bool],
        fit: &'a [bool],
        before: &'a Table,
        table: &Table,
    ) -> Self {
        let there = breadth_of(membership);
        let holders = 1 + table.copies_each;
        let ideal = Breadth {
            zones: there.zones.min(holders),
            racks: there.racks.min(holders),
            nodes: there.nodes.min(holders),
        };
        // No more than there are other nodes for.
        let copies = table.owners.len() * (ideal.nodes - 1);
        let mut have = vec![0; fit.len()];
        for copy in table.copies.iter().filter(|copy| **copy != NOBODY) {
            have[*copy as usize] += 1;
        }
        Copies {
            membership,
            departed,
            fit,
            before,
            ideal,
            target: shares(copies as u64, &weights(membership)),
            have,
        }
    }

    /// Mends slots one after the other: all, the most urgent first.
    pub(super) fn mend_all(&mut self, table: &mut Table, budget: &mut u64) {
        let mut order: Vec<(u8, usize)> = (0..table.owners.len())
            .map(|slot| (self.urgency(table, slot), slot))
            .filter(|(urgency, _)| *urgency < 3)
            .collect();
        order.sort_unstable();
        for (_, slot) in order {
            self.mend(table, slot, budget);
        }
    }

    /// 0 if a copy is lost, 1 if one is to be lost, 2 if two stand too close.
    fn urgency(&self, table: &Table, slot: usize) -> u8 {
        let lost = |copy: &u32| {
            *copy == NOBODY
                || self
                    .membership
                    .state(&self.membership.members()[*copy as usize])
                    == State::Down
        };
        let unfit = |copy: &u32| *copy == NOBODY || !self.fit[*copy as usize];
        let copies = table.copies(slot);
        if copies.iter().any(|copy| unfit(copy) && lost(copy)) {
            0
        } else if copies.iter().any(unfit) {
            1
        } else if table.breadth(self.membership, slot, None) < self.ideal {
            2
        } else {
            3
        }
    }

    /// Replaces the copies of a slot that are lost or on nodes that are to
    /// have none, and then those that share a zone, or a rack, that they need
    /// not share; whatever the budget is for, and what costs nothing.
    fn mend(&mut self, table: &mut Table, slot: usize, budget: &mut u64) {
        for at in 0..table.copies_each {
            let copy = table.copies(slot)[at];
            if copy != NOBODY && self.fit[copy as usize] {
                continue;
            }
            // Those that are to be replaced as well do not stand in the way.
            let stays = |holder: &u32| self.fit[*holder as usize];
            let holders: Vec<u32> = table.holders(slot).filter(stays).collect();
            if let Some(new) = self.best(table, slot, &holders, *budget) {
                self.replace(table, slot, at, new, budget);
            } else if copy != NOBODY
                && self.departed[copy as usize]
                && self.best(table, slot, &holders, u64::MAX).is_none()
            {
                // It is not for want of a budget: there is nobody else.
                self.drop_copy(table, slot, at);
            }
        }
        // What is missing comes last.
        table.copies_mut(slot).sort_by_key(|copy| *copy == NOBODY);

        while let Some((at, new)) = self.wider(table, slot, *budget) {
            self.replace(table, slot, at, new, budget);
        }
    }

    /// A copy that stands too close to another holder, and who makes the slot
    /// broader instead.
    fn wider(&self, table: &Table, slot: usize, budget: u64) -> Option<(usize, u32)> {
        let now = table.breadth(self.membership, slot, None);
        if (now.zones, now.racks) >= (self.ideal.zones, self.ideal.racks) {
            return None;
        }
        let copies = table.copies(slot).iter().enumerate().rev();
        let mut present = copies.filter(|(_, copy)| **copy != NOBODY);
        present.find_map(|(at, copy)| {
            let others: Vec<u32> = table
                .holders(slot)
                .filter(|holder| holder != copy)
                .collect();
            let new = self.best(table, slot, &others, budget)?;
            let then = table.breadth(self.membership, slot, Some((*copy, new)));
            (then > now).then_some((at, new))
        })
    }

    /// Who should hold a slot beside others: who is in a zone, or else in a
    /// rack, where none of them is; who held it before; who has the fewest
    /// copies for its weight.
    fn best(&self, table: &Table, slot: usize, others: &[u32], budget: u64) -> Option<u32> {
        let members = self.membership.members();
        let fit = (0u32..).zip(self.fit).filter(|(_, fit)| **fit);
        let may = fit.map(|(node, _)| node).filter(|node| {
            !table.is_held_by(slot, *node) && (budget > 0 || self.before.is_held_by(slot, *node))
        });
        may.max_by_key(|node| {
            let member = &members[*node as usize];
            let mut others = others.iter().map(|other| &members[*other as usize]);
            let mut alone = (true, true);
            others.by_ref().for_each(|other| {
                alone.0 &= !other.shares_zone_with(member);
                alone.1 &= !other.shares_rack_with(member);
            });
            let held = self.before.is_held_by(slot, *node);
            (alone, held, self.lacks(*node), Reverse(*node))
        })
    }

    fn lacks(&self, node: u32) -> i64 {
        // No more than 2^23 copies.
        let of = |counts: &[u64]| counts[node as usize] as i64;
        of(&self.target) - of(&self.have)
    }

    fn replace(&mut self, table: &mut Table, slot: usize, at: usize, new: u32, budget: &mut u64) {
        if !self.before.is_held_by(slot, new) {
            *budget -= 1;
        }
        self.drop_copy(table, slot, at);
        table.copies_mut(slot)[at] = new;
        self.have[new as usize] += 1;
    }

    fn drop_copy(&mut self, table: &mut Table, slot: usize, at: usize) {
        let old = std::mem::replace(&mut table.copies_mut(slot)[at], NOBODY);
        if old != NOBODY {
            self.have[old as usize] -= 1;
        }
    }

    /// Moves copies from nodes that have too many to those that have too few,
    /// where that makes no slot narrower, until there are no such moves. Each
    /// makes the sum of what is too much less by one, so it ends.
    pub(super) fn level(&mut self, table: &mut Table, budget: &mut u64) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for slot in 0..table.owners.len() {
                for at in 0..table.copies_each {
                    let copy = table.copies(slot)[at];
                    if copy == NOBODY || self.lacks(copy) >= 0 {
                        continue;
                    }
                    if let Some(new) = self.lighter(table, slot, copy, *budget) {
                        self.replace(table, slot, at, new, budget);
                        moved = true;
                    }
                }
            }
        }
    }

    /// Who has too few copies, the fewest first, and may hold this instead.
    fn lighter(&self, table: &Table, slot: usize, copy: u32, budget: u64) -> Option<u32> {
        let now = table.breadth(self.membership, slot, None);
        let fit = (0u32..).zip(self.fit).filter(|(_, fit)| **fit);
        fit.map(|(node, _)| node)
            .filter(|node| self.lacks(*node) > 0 && !table.is_held_by(slot, *node))
            .filter(|node| budget > 0 || self.before.is_held_by(slot, *node))
            .filter(|node| table.breadth(self.membership, slot, Some((copy, *node))) >= now)
            .max_by_key(|node| (self.lacks(*node), Reverse(*node)))
    }
}

/// How many zones, racks and nodes there are that may hold slots.
pub(super) fn breadth_of(membership: &Membership) -> Breadth {
    let eligible = || membership.eligible();
    let racks: std::collections::BTreeSet<_> = eligible().map(|m| (m.zone(), m.rack())).collect();
    let zones: std::collections::BTreeSet<_> = racks.iter().map(|(zone, _)| *zone).collect();
    Breadth {
        zones: zones.len(),
        racks: racks.len(),
        nodes: eligible().count(),
    }
}
