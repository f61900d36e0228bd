use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use crate::bytes::{Reader, Writer};
use crate::consistent_hash::{Membership, Node, Shortage, State};

use super::config::Config;
use super::error::{DecodeError, EncodeError};
use super::map::SlotMap;
use super::slotting::Slotting;
use super::table::{NOBODY, Table};

const MAGIC: &[u8; 4] = b"AXSM";
const VERSION: u16 = 1;
/// Where the length of all stands.
const LENGTH_AT: usize = 6;
const CHECKSUM_LEN: usize = 8;
/// An identity of one byte, a weight, a zone, a rack and a state.
const LEAST_NODE: usize = 4 + 1 + 4 + 4 + 4 + 1;
const RUN_LEN: usize = 8;

impl SlotMap {
    /// As bytes, which are the same on every machine and in every version:
    ///
    /// | Bytes | What |
    /// |---|---|
    /// | 4 | `AXSM` |
    /// | 2 | the version, 1 |
    /// | 4 | the length of all, the checksum included |
    /// | 2 | the [number](axiomatic_core::hash::Algorithm::id) of the hash: 1 is XXH3, 7 Redis Cluster's |
    /// | 8 | its seed |
    /// | 4 | how many slots |
    /// | 1, 1 | how many copies of each, and whether they are spread strictly |
    /// | 8, 8 | the epoch of the map, and of the membership |
    /// | 4 | how many nodes, and by identity, each: |
    /// | 4 + n | the length of the identity, and it |
    /// | 4 | the weight |
    /// | 4 + n, 4 + n | the zone and the rack, with their lengths |
    /// | 1 | 0 if it is up, 1 draining, 2 down |
    /// | 4 | how many runs of slots that have the same owner, and each: |
    /// | 4, 4 | of how many slots, and which node, by its place above |
    /// | … | as many such lists of runs as there are copies; node 2^32 - 1 is nobody |
    /// | 8 | XXH3 of all before it, with seed 0 |
    ///
    /// Numbers are little-endian.
    ///
    /// # Errors
    ///
    /// If the seed is secret, or if it would have more than 2^32 - 1 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let seed = self.slotting().stored_seed();
        let seed = seed.ok_or(EncodeError::SecretSeed)?;
        let (membership, table) = (self.membership(), self.table());
        let mut writer = Writer::default();
        writer.raw(MAGIC).u16(VERSION).u32(0);
        writer.u16(self.slotting().id()).u64(seed);
        writer.u32(self.slots()).u8(self.copies());
        writer.u8(u8::from(self.shortage() == Shortage::Strict));
        writer.u64(self.epoch()).u64(membership.epoch());
        // No more than `Membership::MAX_NODES`.
        writer.u32(membership.members().len() as u32);
        for member in membership.members() {
            let write = |writer: &mut Writer| {
                writer.counted(member.id())?.u32(member.weight());
                writer.counted(member.zone().as_bytes())?;
                writer.counted(member.rack().as_bytes())?;
                writer.u8(membership.state(member) as u8);
                Some(())
            };
            write(&mut writer).ok_or(EncodeError::TooLong)?;
        }
        write_runs(&mut writer, table.owners.iter());
        for copy in 0..table.copies_each {
            write_runs(
                &mut writer,
                table.copies.iter().skip(copy).step_by(table.copies_each),
            );
        }
        let length = writer.as_bytes().len() + CHECKSUM_LEN;
        let length = u32::try_from(length).map_err(|_| EncodeError::TooLong)?;
        writer.patch_u32(LENGTH_AT, length);
        let checksum = checksum(writer.as_bytes());
        writer.u64(checksum);
        Ok(writer.into_bytes())
    }

    /// From bytes, which may come from anybody: whatever is no map that could
    /// be made is refused, and what is taken encodes to the same bytes.
    ///
    /// Nothing is allocated on the strength of a number but what there are
    /// bytes for, and the table: no more than 4 bytes a slot and copy, 32 MiB.
    ///
    /// # Errors
    ///
    /// If they are not what [`encode`](Self::encode) writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(checked(bytes)?);
        let (id, seed) = (reader.u16()?, reader.u64()?);
        let slotting = Slotting::stored(id, seed).ok_or(DecodeError::Slotting { id })?;
        let (slots, copies) = (reader.u32()?, reader.u8()?);
        let shortage = match reader.u8()? {
            0 => Shortage::BestEffort,
            1 => Shortage::Strict,
            shortage => return Err(DecodeError::Shortage { shortage }),
        };
        let config = Config::new(slotting).slots(slots).copies(copies, shortage);
        let config = config.checked()?;
        let (epoch, of_members) = (reader.u64()?, reader.u64()?);

        let count = reader.count(LEAST_NODE)?;
        let mut nodes: Vec<Node> = Vec::with_capacity(count);
        for _ in 0..count {
            let node = read_node(&mut reader)?;
            if nodes.last().is_some_and(|before| before.id() >= node.id()) {
                return Err(DecodeError::Unsorted);
            }
            nodes.push(node);
        }
        let membership = Membership::new(of_members, nodes)?;

        // All runs are looked at before there is room made for any.
        let runs: Vec<Runs<'_>> = (0..=copies)
            .map(|_| Runs::read(&mut reader, slots))
            .collect::<Result<_, _>>()?;
        if reader.remaining() > 0 {
            let bytes = reader.remaining();
            return Err(DecodeError::TrailingBytes { bytes });
        }
        let mut table = Table::empty(slots, copies);
        for (at, runs) in runs.iter().enumerate() {
            for (slot, holder) in runs.holders().enumerate() {
                match at.checked_sub(1) {
                    None => table.owners[slot] = holder,
                    Some(copy) => table.copies_mut(slot)[copy] = holder,
                }
            }
        }
        SlotMap::validated(config, epoch, membership, table)
    }

    /// A map of what was read.
    pub(super) fn validated(
        config: Config,
        epoch: u64,
        membership: Membership,
        table: Table,
    ) -> Result<Self, DecodeError> {
        let nodes = membership.members().len();
        for slot in 0..table.owners.len() {
            let copies = table.copies(slot);
            let present = copies.iter().take_while(|copy| **copy != NOBODY).count();
            let missing = &copies[present..];
            let mut holders = copies[..present].iter().enumerate();
            let owner = table.owners[slot];
            let valid = (owner as usize) < nodes
                && missing.iter().all(|copy| *copy == NOBODY)
                && holders.all(|(at, copy)| {
                    (*copy as usize) < nodes && *copy != owner && !copies[..at].contains(copy)
                });
            if !valid {
                let slot = slot as u32;
                return Err(DecodeError::Holder { slot });
            }
        }
        Ok(SlotMap::of_parts(config, epoch, membership, table))
    }
}

/// What stands between the length and the checksum, if all three agree.
fn checked(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.raw(MAGIC.len())? != MAGIC {
        return Err(DecodeError::NotASlotMap);
    }
    let version = reader.u16()?;
    if version != VERSION {
        return Err(DecodeError::Version { version });
    }
    let length = usize::try_from(reader.u32()?).map_err(|_| DecodeError::Truncated)?;
    if let Some(bytes @ 1..) = bytes.len().checked_sub(length) {
        return Err(DecodeError::TrailingBytes { bytes });
    }
    if bytes.len() < length {
        return Err(DecodeError::Truncated);
    }
    let body = reader.remaining().checked_sub(CHECKSUM_LEN);
    let body = reader.raw(body.ok_or(DecodeError::Truncated)?)?;
    let before = &bytes[..bytes.len() - CHECKSUM_LEN];
    if reader.u64()? != checksum(before) {
        return Err(DecodeError::Checksum);
    }
    Ok(body)
}

fn checksum(bytes: &[u8]) -> u64 {
    Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(bytes)
}

fn read_node(reader: &mut Reader<'_>) -> Result<Node, DecodeError> {
    let id = reader.counted()?;
    let weight = reader.u32()?;
    let mut text = || std::str::from_utf8(reader.counted()?).map_err(|_| DecodeError::NotText);
    let (zone, rack) = (text()?, text()?);
    let state = match reader.u8()? {
        0 => State::Up,
        1 => State::Draining,
        2 => State::Down,
        state => return Err(DecodeError::State { state }),
    };
    Ok(Node::new(id)
        .weighing(weight)
        .in_rack(zone, rack)
        .being(state))
}

fn write_runs<'a>(writer: &mut Writer, mut holders: impl Iterator<Item = &'a u32>) {
    let count_at = writer.as_bytes().len();
    writer.u32(0);
    let mut count = 0;
    let mut run: Option<(u32, u32)> = None;
    loop {
        let next = holders.next().copied();
        match (&mut run, next) {
            (Some((len, holder)), Some(next)) if *holder == next => *len += 1,
            (run, next) => {
                if let Some((len, holder)) = run {
                    writer.u32(*len).u32(*holder);
                    count += 1;
                }
                let Some(next) = next else { break };
                *run = Some((1, next));
            }
        }
    }
    writer.patch_u32(count_at, count);
}

/// A list of runs that covers each slot once.
struct Runs<'a>(Reader<'a>, usize);

impl<'a> Runs<'a> {
    fn read(reader: &mut Reader<'a>, slots: u32) -> Result<Self, DecodeError> {
        let count = reader.count(RUN_LEN)?;
        let runs = Runs(Reader::new(reader.raw(count * RUN_LEN)?), count);
        let mut left = slots;
        let mut before = None;
        for (len, holder) in runs.iter() {
            left = left.checked_sub(len).ok_or(DecodeError::Runs)?;
            if len == 0 || before == Some(holder) {
                return Err(DecodeError::Runs);
            }
            before = Some(holder);
        }
        if left > 0 {
            return Err(DecodeError::Runs);
        }
        Ok(runs)
    }

    fn iter(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        let Runs(mut reader, count) = Runs(self.0.clone(), self.1);
        (0..count).map_while(move |_| Some((reader.u32().ok()?, reader.u32().ok()?)))
    }

    fn holders(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.iter()
            .flat_map(|(len, holder)| std::iter::repeat_n(holder, len as usize))
    }
}
