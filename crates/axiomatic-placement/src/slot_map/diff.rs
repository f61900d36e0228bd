use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::error::SlotMapError;
use super::map::SlotMap;
use super::ranges::Ranges;
use super::table::NOBODY;

/// What is another's in another map of the same slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    moves: Vec<Move>,
    transfers: u64,
}

/// One slot that is another's: by identities, which mean the same in both maps.
#[derive(Clone, PartialEq, Eq)]
pub struct Move {
    slot: u32,
    role: Role,
    from: Option<Arc<[u8]>>,
    to: Option<Arc<[u8]>>,
}

/// As what a node holds a slot.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// As its owner.
    Owner,
    /// As one that has a copy.
    Copy,
}

impl Move {
    /// The slot.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// What the one was of it and the other becomes.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The node that was it; nobody where a copy was missing.
    pub fn from(&self) -> Option<&[u8]> {
        self.from.as_deref()
    }

    /// The node that is it now; nobody where a copy is missing.
    pub fn to(&self) -> Option<&[u8]> {
        self.to.as_deref()
    }
}

impl Diff {
    /// Each move, by slots, the owner's first.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Whether everything is as it was.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// How many times a slot has to be copied to a node that did not hold it,
    /// as its owner or otherwise.
    pub fn transfers(&self) -> u64 {
        self.transfers
    }
}

impl SlotMap {
    /// What is another's in a later map, or in an earlier one.
    ///
    /// # Errors
    ///
    /// If that does not number its slots as this one does.
    pub fn diff(&self, new: &SlotMap) -> Result<Diff, SlotMapError> {
        let same = self.slots() == new.slots() && self.slotting() == new.slotting();
        if !same {
            return Err(SlotMapError::Incomparable);
        }
        let ids = |map: &SlotMap| -> Vec<Arc<[u8]>> {
            let members = map.membership().members().iter();
            members.map(|member| member.id().into()).collect()
        };
        let (old_ids, new_ids) = (ids(self), ids(new));
        // The old index of each new one, so that slots are compared by numbers.
        let old_of = new_ids.iter().map(|id| match old_ids.binary_search(id) {
            Ok(index) => index as u32,
            Err(_) => NOBODY,
        });
        let old_of: Vec<u32> = old_of.collect();
        let of_new = |index: &u32| (old_of[*index as usize], &new_ids[*index as usize]);

        let mut diff = Diff::default();
        for slot in 0..self.table().owners.len() {
            let mut add = |role, from: Option<u32>, to: Option<&Arc<[u8]>>| {
                diff.moves.push(Move {
                    slot: slot as u32,
                    role,
                    from: from.map(|from| Arc::clone(&old_ids[from as usize])),
                    to: to.map(Arc::clone),
                });
            };
            let owner = self.table().owners[slot];
            let (as_old, id) = of_new(&new.table().owners[slot]);
            if as_old != owner {
                add(Role::Owner, Some(owner), Some(id));
            }
            let old = self.table().copies(slot);
            let present = |copy: &&u32| **copy != NOBODY;
            let new_copies = new.table().copies(slot).iter().filter(present).map(of_new);
            let mut gone = old.iter().filter(present).copied().filter(|copy| {
                let mut new = new_copies.clone();
                !new.any(|(as_old, _)| as_old == *copy)
            });
            let come = new_copies
                .clone()
                .filter(|(as_old, _)| !old.contains(as_old) || *as_old == NOBODY);
            for (_, id) in come {
                add(Role::Copy, gone.next(), Some(id));
            }
            gone.for_each(|copy| add(Role::Copy, Some(copy), None));

            let holders = new.table().holders(slot);
            let held = holders.filter(|holder| {
                let as_old = old_of[*holder as usize];
                as_old == NOBODY || !self.table().is_held_by(slot, as_old)
            });
            diff.transfers += held.count() as u64;
        }
        Ok(diff)
    }
}

impl<'a> IntoIterator for &'a Diff {
    type Item = &'a Move;
    type IntoIter = std::slice::Iter<'a, Move>;

    fn into_iter(self) -> Self::IntoIter {
        self.moves.iter()
    }
}

/// Slots that go the same way, together, a line each: `0-99,200: a -> b`, and
/// `0-99: copy a -> nobody`.
impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ways: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for each in &self.moves {
            let way = (each.role, each.from(), each.to());
            ways.entry(way).or_default().push(each.slot);
        }
        let mut ways: Vec<_> = ways.into_iter().collect();
        ways.sort_by_key(|((role, ..), slots)| (*role, slots.first().copied()));
        for ((role, from, to), slots) in ways {
            let ranges: Ranges = slots.into_iter().collect();
            let copy = if role == Role::Copy { "copy " } else { "" };
            writeln!(f, "{ranges}: {copy}{} -> {}", Name(from), Name(to))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (Name(self.from()), Name(self.to()));
        write!(f, "{:?} of {}: {from} -> {to}", self.role, self.slot)
    }
}

struct Name<'a>(Option<&'a [u8]>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => id.escape_ascii().fmt(f),
            None => f.write_str("nobody"),
        }
    }
}
