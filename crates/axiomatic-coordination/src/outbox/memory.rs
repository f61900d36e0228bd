//! The outbox in a [`Memory`].
//!
//! Written to be read beside the traits: each operation is one transaction,
//! and says what it changes and how that is undone. Nothing here is fast on
//! purpose, but that a fetch never looks at what stands behind the first
//! messages of a lane.

mod operating;
mod storing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::lane::{Bucket, Buckets, Lane};
use super::message::Message;
use super::operations::{Blocked, DeadLetter, Scope};
use super::record::{Epoch, RowId, Sequence, Stored};
use super::store::{Lease, RelayId};
use super::wake::Wake;
use crate::memory::{MemoryTransaction, Tables};
use crate::{Memory, StoreError, Timestamp, TransactError};

/// What an outbox does with messages that are published.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// They are deleted.
    #[default]
    Nothing,
    /// They are kept for so long, to be [replayed](super::Operate::replay).
    Archive(Duration),
}

/// The outbox of a [`Memory`]: a [`Store`](super::Store), and what operators
/// ask it ([`Operate`](super::Operate)).
#[derive(Clone, Debug)]
pub struct MemoryOutbox {
    memory: Memory,
    buckets: Buckets,
    keep: Keep,
    wake: Wake,
}

impl MemoryOutbox {
    /// The outbox of this database, with 64 buckets, which keeps nothing.
    pub fn new(memory: &Memory) -> Self {
        MemoryOutbox {
            memory: memory.clone(),
            buckets: Buckets::default(),
            keep: Keep::default(),
            wake: memory.wake().clone(),
        }
    }

    /// With another number of buckets.
    #[must_use]
    pub fn with_buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = buckets;
        self
    }

    /// Which keeps what was published.
    #[must_use]
    pub fn keeping(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    fn transact<T>(
        &self,
        work: impl FnOnce(&mut MemoryTransaction<'_>) -> T,
    ) -> Result<T, StoreError> {
        let done = self.memory.transact(|tx| Ok(work(tx)));
        done.map_err(
            |error: TransactError<std::convert::Infallible>| match error {
                TransactError::Store(error) => error,
                TransactError::Rejected(never) => match never {},
            },
        )
    }
}

/// The tables of the outbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryTables {
    last_row: i64,
    rows: BTreeMap<(Lane, RowId), Stored>,
    blocks: HashMap<Lane, Block>,
    leases: HashMap<Bucket, Held>,
    relays: HashMap<RelayId, Timestamp>,
    paused: BTreeSet<Scope>,
    dead: BTreeMap<RowId, DeadLetter>,
    archive: BTreeMap<RowId, (Stored, Timestamp)>,
    sequences: HashMap<(Option<Box<str>>, Box<str>), u64>,
}

/// Why a lane is not ready.
#[derive(Clone, Debug)]
struct Block {
    /// Nothing if it is parked.
    until: Option<Timestamp>,
    blocked: Blocked,
}

#[derive(Clone, Debug, Default)]
struct Held {
    owner: Option<RelayId>,
    epoch: Epoch,
    until: Timestamp,
    suspect_through: RowId,
}

impl Held {
    fn is_held(&self, now: Timestamp) -> bool {
        self.owner.is_some() && self.until > now
    }

    /// The fence: owner, epoch and expiry, compared in the transaction that
    /// changes what the lease guards.
    fn is_held_by(&self, relay: &RelayId, lease: &Lease, now: Timestamp) -> bool {
        self.owner.as_ref() == Some(relay) && self.epoch == lease.epoch && self.until > now
    }
}

impl MemoryTables {
    fn holds(&self, relay: &RelayId, lease: &Lease, now: Timestamp) -> bool {
        let held = self.leases.get(&lease.bucket);
        held.is_some_and(|held| held.is_held_by(relay, lease, now))
    }
}

impl MemoryTransaction<'_> {
    /// The message is published if this transaction commits.
    pub fn enqueue(&mut self, message: Message) {
        let sequence = message
            .is_ordered()
            .then(|| self.next_in_sequence(&message));
        self.insert(message, sequence);
        self.wake_when_done();
    }

    fn next_in_sequence(&mut self, message: &Message) -> Sequence {
        let key = message.key().expect("what is ordered has a key");
        let key = (message.tenant().map(Box::from), Box::from(key));
        let before = self.tables().outbox.sequences.get(&key).copied();
        // Above all that the key ever had: it had a row for each.
        let from_here = self.tables().outbox.last_row.unsigned_abs() + 1;
        let number = before.map_or(from_here, |before| before + 1);
        let again = key.clone();
        self.change(
            |tables| tables.outbox.sequences.insert(key, number),
            move |tables| put_back(&mut tables.outbox.sequences, again, before),
        );
        Sequence {
            number,
            first: before.is_none(),
        }
    }

    fn insert(&mut self, message: Message, sequence: Option<Sequence>) -> RowId {
        let row = RowId(self.tables().outbox.last_row + 1);
        let lane = message.lane();
        let stored = Stored {
            row,
            lane,
            sequence,
            failures: 0,
            started: 0,
            enqueued_at: self.now(),
            message,
        };
        self.change(
            |tables| {
                tables.outbox.last_row = row.0;
                tables.outbox.rows.insert((lane, row), stored);
            },
            // The number of a row that was undone is not used again.
            move |tables| drop(tables.outbox.rows.remove(&(lane, row))),
        );
        row
    }

    /// Removes a row, if it is there.
    fn take(&mut self, lane: Lane, row: RowId) -> Option<Stored> {
        let stored = self.tables().outbox.rows.get(&(lane, row)).cloned()?;
        let again = stored.clone();
        self.change(
            |tables| drop(tables.outbox.rows.remove(&(lane, row))),
            move |tables| drop(tables.outbox.rows.insert((lane, row), again)),
        );
        Some(stored)
    }

    /// Changes a row, if it is there.
    fn amend(&mut self, lane: Lane, row: RowId, amend: impl FnOnce(&mut Stored)) {
        let Some(before) = self.tables().outbox.rows.get(&(lane, row)).cloned() else {
            return;
        };
        self.change(
            |tables| {
                let stored = tables.outbox.rows.get_mut(&(lane, row));
                amend(stored.expect("it is there"));
            },
            move |tables| drop(tables.outbox.rows.insert((lane, row), before)),
        );
    }

    /// Blocks a lane, or frees it.
    fn block(&mut self, lane: Lane, block: Option<Block>) {
        let before = self.tables().outbox.blocks.get(&lane).cloned();
        self.change(
            |tables| put_back(&mut tables.outbox.blocks, lane, block),
            move |tables| put_back(&mut tables.outbox.blocks, lane, before),
        );
    }

    fn change_lease(&mut self, bucket: Bucket, held: Held) {
        let before = self.tables().outbox.leases.get(&bucket).cloned();
        self.change(
            |tables| put_back(&mut tables.outbox.leases, bucket, Some(held)),
            move |tables| put_back(&mut tables.outbox.leases, bucket, before),
        );
    }

    /// Makes several changes, which are taken back by putting back a copy of
    /// the outbox's tables: for what operators do seldom.
    fn change_outbox<T>(&mut self, change: impl FnOnce(&mut MemoryTables) -> T) -> T
    where
        T: 'static,
    {
        let before = self.tables().outbox.clone();
        self.change(
            |tables: &mut Tables| change(&mut tables.outbox),
            move |tables| tables.outbox = before,
        )
    }
}

/// Makes the value of a key what it was.
fn put_back<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}
