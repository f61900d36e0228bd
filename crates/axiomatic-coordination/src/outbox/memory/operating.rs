//! What operators ask of it.

use std::time::Duration;

use super::{Block, MemoryOutbox, MemoryTables};
use crate::outbox::lane::Lane;
use crate::outbox::operations::{
    Backlog, Blocked, DeadLetter, Holding, Ids, Operate, Replay, Scope, Waiting,
};
use crate::outbox::record::{RowId, Stored};
use crate::{MessageId, StoreError, Timestamp};

impl Operate for MemoryOutbox {
    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.transact(|tx| tx.tables().outbox.backlog(tx.now()))
    }

    async fn leases(&self) -> Result<Vec<Holding>, StoreError> {
        self.transact(|tx| {
            let now = tx.now();
            let leases = &tx.tables().outbox.leases;
            let holdings = self.buckets.all().map(|bucket| {
                let held = leases.get(&bucket).cloned().unwrap_or_default();
                Holding {
                    bucket,
                    epoch: held.epoch,
                    left: match held.owner {
                        Some(_) => held.until.saturating_since(now),
                        None => Duration::ZERO,
                    },
                    owner: held.owner,
                }
            });
            holdings.collect()
        })
    }

    async fn pause(&self, what: &Scope) -> Result<(), StoreError> {
        let what = what.clone();
        self.transact(|tx| {
            tx.change_outbox(|tables| tables.paused.insert(what));
        })
    }

    async fn resume(&self, what: &Scope) -> Result<bool, StoreError> {
        self.transact(|tx| {
            tx.wake_when_done();
            tx.change_outbox(|tables| tables.paused.remove(what))
        })
    }

    async fn paused(&self) -> Result<Vec<Scope>, StoreError> {
        self.transact(|tx| tx.tables().outbox.paused.iter().cloned().collect())
    }

    async fn peek(&self, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.transact(|tx| {
            let now = tx.now();
            let tables = &tx.tables().outbox;
            let mut waiting: Vec<_> = tables.rows.values().collect();
            waiting.sort_unstable_by_key(|stored| stored.row);
            let waiting = waiting.into_iter().take(most);
            let waiting = waiting.map(|stored| Waiting {
                stored: stored.clone(),
                blocked: tables
                    .blocks
                    .get(&stored.lane)
                    .and_then(|block| block.at(now)),
            });
            waiting.collect()
        })
    }

    async fn blocked(&self, most: usize) -> Result<Vec<Blocked>, StoreError> {
        self.transact(|tx| {
            let now = tx.now();
            let blocks = tx.tables().outbox.blocks.values();
            let mut blocked: Vec<_> = blocks.filter_map(|block| block.at(now)).collect();
            blocked.sort_unstable_by_key(|blocked| (blocked.since, blocked.lane));
            blocked.truncate(most);
            blocked
        })
    }

    async fn unblock(&self, lane: Lane) -> Result<bool, StoreError> {
        self.transact(|tx| {
            tx.wake_when_done();
            tx.change_outbox(|tables| {
                let was_blocked = tables.blocks.remove(&lane).is_some();
                let of_lane = (lane, RowId(i64::MIN))..=(lane, RowId(i64::MAX));
                if let Some((_, first)) = tables.rows.range_mut(of_lane).next() {
                    first.failures = 0;
                    first.started = 0;
                }
                was_blocked
            })
        })
    }

    async fn dead(&self, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.transact(|tx| {
            let dead = tx.tables().outbox.dead.values();
            dead.take(most).cloned().collect()
        })
    }

    async fn requeue(&self, rows: &[RowId]) -> Result<u64, StoreError> {
        self.transact(|tx| {
            tx.wake_when_done();
            let now = tx.now();
            tx.change_outbox(|tables| {
                let dead: Vec<_> = rows
                    .iter()
                    .filter_map(|row| tables.dead.remove(row))
                    .collect();
                let requeued = dead.len() as u64;
                for letter in dead {
                    tables.put_behind(letter.stored, now);
                }
                requeued
            })
        })
    }

    async fn discard(&self, rows: &[RowId]) -> Result<u64, StoreError> {
        self.transact(|tx| {
            tx.change_outbox(|tables| {
                let dead = rows.iter().filter_map(|row| tables.dead.remove(row));
                dead.count() as u64
            })
        })
    }

    async fn replay(&self, what: &Replay, most: usize) -> Result<Option<RowId>, StoreError> {
        self.transact(|tx| {
            tx.wake_when_done();
            let now = tx.now();
            tx.change_outbox(|tables| {
                let behind = tables
                    .archive
                    .range(RowId(what.after.0.saturating_add(1))..);
                let wanted = behind.map(|(_, (stored, _))| stored).filter(|stored| {
                    let message = &stored.message;
                    what.topic
                        .as_deref()
                        .is_none_or(|topic| topic == message.topic())
                        && what
                            .key
                            .as_deref()
                            .is_none_or(|key| Some(key) == message.key())
                });
                let wanted: Vec<_> = wanted.take(most).cloned().collect();
                let last = wanted.last().map(|stored| stored.row);
                for mut stored in wanted {
                    if what.ids == Ids::New {
                        // A new message has no number among the old ones.
                        stored.message = stored.message.with_id(MessageId::unique());
                        stored.sequence = None;
                    }
                    tables.put_behind(stored, now);
                }
                last
            })
        })
    }
}

impl MemoryTables {
    fn backlog(&self, now: Timestamp) -> Backlog {
        let is_parked = |lane: &Lane| {
            let block = self.blocks.get(lane);
            block.is_some_and(|block| block.until.is_none())
        };
        let parked = self
            .rows
            .values()
            .filter(|stored| is_parked(&stored.lane))
            .count();
        let parked_lanes = self.blocks.keys().filter(|lane| is_parked(lane)).count();
        let blocked = self
            .blocks
            .values()
            .filter(|block| block.until.is_some_and(|until| until > now));
        let waiting = self.rows.values().filter(|stored| !is_parked(&stored.lane));
        let oldest = waiting.map(|stored| stored.enqueued_at).min();
        Backlog {
            messages: self.rows.len() as u64,
            parked: parked as u64,
            parked_lanes: parked_lanes as u64,
            blocked_lanes: blocked.count() as u64,
            dead: self.dead.len() as u64,
            lag: oldest.map_or(Duration::ZERO, |oldest| now.saturating_since(oldest)),
        }
    }

    /// The message waits behind all others, as if it were new.
    fn put_behind(&mut self, stored: Stored, now: Timestamp) {
        self.last_row += 1;
        let row = RowId(self.last_row);
        let stored = Stored {
            row,
            lane: stored.message.lane(),
            failures: 0,
            started: 0,
            enqueued_at: now,
            ..stored
        };
        self.rows.insert((stored.lane, row), stored);
    }
}

impl Block {
    /// What it is at this time, if it is one still.
    fn at(&self, now: Timestamp) -> Option<Blocked> {
        if self.until.is_some_and(|until| until <= now) {
            return None;
        }
        Some(Blocked {
            left: self.until.map(|until| until.saturating_since(now)),
            ..self.blocked.clone()
        })
    }
}
