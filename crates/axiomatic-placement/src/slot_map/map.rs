use std::fmt;
use std::sync::Arc;

use crate::consistent_hash::{Member, Membership, Shortage};

use super::config::Config;
use super::error::SlotMapError;
use super::ranges::Ranges;
use super::slotting::Slotting;
use super::table::{NOBODY, Table};

/// Who owns each slot, and who has copies of it: an immutable table, numbered
/// by an epoch. Cheap to clone.
///
/// ```
/// use axiomatic_core::hash::Seed;
/// use axiomatic_placement::consistent_hash::{Membership, Node};
/// use axiomatic_placement::slot_map::{Config, SlotMap, Slotting};
///
/// let nodes = Membership::new(1, ["a", "b", "c"].map(Node::new))?;
/// let map = SlotMap::new(&nodes, Config::new(Slotting::Xxh3(Seed::fixed(0))))?;
///
/// let slot = map.slot_of(b"user:17");
/// assert_eq!(map.owner(slot), Some(map.owner_of(b"user:17")));
/// assert_eq!(map.slots_of("a").to_string(), "0-5461");
/// # Ok::<(), axiomatic_placement::slot_map::SlotMapError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SlotMap(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    config: Config,
    epoch: u64,
    membership: Membership,
    table: Table,
}

/// How far apart those are that hold the same slot, where they are closest.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spreading {
    /// Some slot has fewer copies than were asked for.
    Short,
    /// They are different nodes.
    Nodes,
    /// They are in different racks.
    Racks,
    /// They are in different zones.
    Zones,
}

/// How many slots a node holds.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// As their owner.
    pub owned: u32,
    /// As one that has a copy.
    pub copies: u32,
}

impl SlotMap {
    pub(super) fn of_parts(
        config: Config,
        epoch: u64,
        membership: Membership,
        table: Table,
    ) -> Self {
        SlotMap(Arc::new(Parts {
            config,
            epoch,
            membership,
            table,
        }))
    }

    /// Its number: 1 to begin with, and one more after each plan.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// Its nodes, as they were when it was made. Those that have left by then
    /// and still hold slots are among them, down and of no weight.
    pub fn membership(&self) -> &Membership {
        &self.0.membership
    }

    /// How many slots there are.
    pub fn slots(&self) -> u32 {
        self.0.config.slots
    }

    /// How keys have their slots.
    pub fn slotting(&self) -> Slotting {
        self.0.config.slotting
    }

    /// How many copies each slot is to have beside its owner's.
    pub fn copies(&self) -> u8 {
        self.0.config.copies
    }

    /// What was to be done where copies cannot be in racks of their own.
    pub fn shortage(&self) -> Shortage {
        self.0.config.shortage
    }

    pub(super) fn config(&self) -> Config {
        self.0.config
    }

    pub(super) fn table(&self) -> &Table {
        &self.0.table
    }

    /// The slot of a key.
    #[inline]
    pub fn slot_of(&self, key: &[u8]) -> u32 {
        self.slot_of_hash(self.0.config.slotting.hash(key))
    }

    /// The slot of a key whose [hash](Slotting::hash) is known.
    #[inline]
    pub fn slot_of_hash(&self, hash: u64) -> u32 {
        self.0.config.slotting.slot(hash, self.0.config.slots)
    }

    /// Who owns a slot; nobody where there is no such slot.
    #[inline]
    pub fn owner(&self, slot: u32) -> Option<&Member> {
        let owner = self.0.table.owners.get(slot as usize)?;
        self.0.membership.members().get(*owner as usize)
    }

    /// Who owns the slot of a key.
    #[inline]
    pub fn owner_of(&self, key: &[u8]) -> &Member {
        let slot = self.slot_of(key) as usize;
        &self.0.membership.members()[self.0.table.owners[slot] as usize]
    }

    /// Who holds a slot: its owner first, then whoever has a copy; nobody
    /// where there is no such slot.
    pub fn holders(&self, slot: u32) -> impl Iterator<Item = &Member> {
        let slot = (slot < self.slots()).then_some(slot as usize);
        let holders = slot.into_iter().flat_map(|slot| self.0.table.holders(slot));
        holders.map(|holder| &self.0.membership.members()[holder as usize])
    }

    /// The slots that the node of this identity owns.
    pub fn slots_of(&self, id: impl AsRef<[u8]>) -> Ranges {
        let Some(member) = self.0.membership.get(id) else {
            return Ranges::default();
        };
        let owners = (0u32..).zip(&self.0.table.owners);
        owners
            .filter(|(_, owner)| **owner as usize == member.index())
            .map(|(slot, _)| slot)
            .collect()
    }

    /// How many slots each node holds, by identity.
    pub fn counts(&self) -> impl Iterator<Item = (&Member, Held)> {
        let members = self.0.membership.members();
        let mut held = vec![Held::default(); members.len()];
        for owner in &self.0.table.owners {
            held[*owner as usize].owned += 1;
        }
        for copy in self.0.table.copies.iter().filter(|copy| **copy != NOBODY) {
            held[*copy as usize].copies += 1;
        }
        members.iter().zip(held)
    }

    /// How far apart those are that hold the same slot, where they are
    /// closest.
    pub fn spreading(&self) -> Spreading {
        let wanted = 1 + usize::from(self.copies());
        let table = &self.0.table;
        let of = |slot| {
            let breadth = table.breadth(&self.0.membership, slot, None);
            if breadth.nodes < wanted {
                Spreading::Short
            } else if breadth.racks < wanted {
                Spreading::Nodes
            } else if breadth.zones < wanted {
                Spreading::Racks
            } else {
                Spreading::Zones
            }
        };
        let slots = 0..table.owners.len();
        slots.map(of).min().unwrap_or(Spreading::Zones)
    }

    pub(super) fn next_epoch(&self) -> Result<u64, SlotMapError> {
        self.epoch().checked_add(1).ok_or(SlotMapError::LastEpoch)
    }
}

impl fmt::Debug for SlotMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotMap")
            .field("epoch", &self.0.epoch)
            .field("config", &self.0.config)
            .field("membership", &self.0.membership)
            .finish_non_exhaustive()
    }
}

/// `epoch 2, 16384 slots`, and a line for each node that owns some:
/// `a: 0-5461`.
impl fmt::Display for SlotMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "epoch {}, {} slots", self.epoch(), self.slots())?;
        for member in self.membership().members() {
            let slots = self.slots_of(member.id());
            if !slots.is_empty() {
                writeln!(f, "{}: {slots}", member.id().escape_ascii())?;
            }
        }
        Ok(())
    }
}
