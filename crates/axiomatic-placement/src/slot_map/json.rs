use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::consistent_hash::{Membership, Node, Shortage, State};

use super::config::Config;
use super::error::{DecodeError, EncodeError};
use super::map::SlotMap;
use super::ranges::Ranges;
use super::slotting::Slotting;
use super::table::{NOBODY, Table};

const VERSION: u16 = 1;

/// A slot map as people read it: by nodes, with ranges of slots.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u16,
    /// The number of the hash, as in the binary form.
    hash: u16,
    /// In hexadecimal digits, since many a reader of JSON rounds numbers.
    seed: String,
    slots: u32,
    copies: u8,
    strict: bool,
    epoch: u64,
    membership_epoch: u64,
    nodes: Vec<StoredNode>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredNode {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The identity in hexadecimal digits, where it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_hex: Option<String>,
    weight: u32,
    zone: String,
    rack: String,
    state: StoredState,
    owns: String,
    /// The slots of which it has the first copy, the second, and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    copies: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredState {
    Up,
    Draining,
    Down,
}

/// By nodes, with the ranges of slots that each has.
///
/// Fails if the seed is secret.
impl Serialize for SlotMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seed = self.slotting().stored_seed();
        let seed = seed.ok_or_else(|| S::Error::custom(EncodeError::SecretSeed))?;
        let (membership, table) = (self.membership(), self.table());
        let mut owns = vec![Vec::new(); membership.members().len()];
        let mut copies = vec![vec![Vec::new(); table.copies_each]; owns.len()];
        for (slot, owner) in (0u32..).zip(&table.owners) {
            owns[*owner as usize].push(slot);
            for (at, copy) in table.copies(slot as usize).iter().enumerate() {
                if *copy != NOBODY {
                    copies[*copy as usize][at].push(slot);
                }
            }
        }
        let ranges = |slots: Vec<u32>| slots.into_iter().collect::<Ranges>().to_string();
        let members = membership
            .members()
            .iter()
            .zip(owns.into_iter().zip(copies));
        let text = |id| std::str::from_utf8(id).ok().map(str::to_owned);
        let nodes = members.map(|(member, (owns, copies))| StoredNode {
            id: text(member.id()),
            id_hex: text(member.id()).is_none().then(|| hex(member.id())),
            weight: member.weight(),
            zone: member.zone().to_owned(),
            rack: member.rack().to_owned(),
            state: match membership.state(member) {
                State::Up => StoredState::Up,
                State::Draining => StoredState::Draining,
                State::Down => StoredState::Down,
            },
            owns: ranges(owns),
            copies: copies.into_iter().map(ranges).collect(),
        });
        let stored = Stored {
            version: VERSION,
            hash: self.slotting().id(),
            seed: format!("{seed:016x}"),
            slots: self.slots(),
            copies: self.copies(),
            strict: self.shortage() == Shortage::Strict,
            epoch: self.epoch(),
            membership_epoch: membership.epoch(),
            nodes: nodes.collect(),
        };
        stored.serialize(serializer)
    }
}

/// Refuses what is no map that could be made, as `decode` does.
impl<'de> Deserialize<'de> for SlotMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        stored.into_map().map_err(D::Error::custom)
    }
}

impl Stored {
    fn into_map(self) -> Result<SlotMap, DecodeError> {
        if self.version != VERSION {
            let version = self.version;
            return Err(DecodeError::Version { version });
        }
        let slotting = u64::from_str_radix(&self.seed, 16).ok();
        let slotting = slotting.filter(|seed| self.seed == format!("{seed:016x}"));
        let slotting = slotting.and_then(|seed| Slotting::stored(self.hash, seed));
        let slotting = slotting.ok_or(DecodeError::Slotting { id: self.hash })?;
        let shortage = match self.strict {
            true => Shortage::Strict,
            false => Shortage::BestEffort,
        };
        let config = Config::new(slotting).slots(self.slots);
        let config = config.copies(self.copies, shortage).checked()?;
        let nodes = self.nodes.iter().map(StoredNode::node);
        let nodes: Vec<Node> = nodes.collect::<Result<_, _>>()?;
        if !nodes.is_sorted_by(|a, b| a.id() < b.id()) {
            return Err(DecodeError::Unsorted);
        }
        let membership = Membership::new(self.membership_epoch, nodes)?;

        let mut table = Table::empty(self.slots, self.copies);
        for (index, node) in (0u32..).zip(&self.nodes) {
            if node.copies.len() != usize::from(self.copies) {
                return Err(DecodeError::Runs);
            }
            fill(&mut table.owners, (0, 1), &node.owns, index)?;
            for (at, copies) in node.copies.iter().enumerate() {
                fill(&mut table.copies, (at, table.copies_each), copies, index)?;
            }
        }
        SlotMap::validated(config, self.epoch, membership, table)
    }
}

/// Writes a node into the places of its slots, which are empty: one in `each`,
/// from `at`.
fn fill(
    places: &mut [u32],
    (at, each): (usize, usize),
    ranges: &str,
    node: u32,
) -> Result<(), DecodeError> {
    let ranges: Ranges = ranges.parse().map_err(|_| DecodeError::Runs)?;
    for slot in ranges.slots() {
        let place = (slot as usize).checked_mul(each);
        let place = place.and_then(|place| places.get_mut(place.checked_add(at)?));
        let place = place.ok_or(DecodeError::Runs)?;
        if std::mem::replace(place, node) != NOBODY {
            return Err(DecodeError::Holder { slot });
        }
    }
    Ok(())
}

impl StoredNode {
    fn node(&self) -> Result<Node, DecodeError> {
        let state = match self.state {
            StoredState::Up => State::Up,
            StoredState::Draining => State::Draining,
            StoredState::Down => State::Down,
        };
        let id = match (&self.id, &self.id_hex) {
            (Some(id), None) => id.as_bytes().to_vec(),
            (None, Some(id)) => unhex(id).ok_or(DecodeError::NotText)?,
            _ => return Err(DecodeError::NotText),
        };
        let node = Node::new(id).weighing(self.weight);
        Ok(node.in_rack(&self.zone, &self.rack).being(state))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).map(|value| value as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}
