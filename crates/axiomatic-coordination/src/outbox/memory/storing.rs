//! What relays ask of it.

use std::time::Duration;

use super::{Block, Held, Keep, MemoryOutbox, MemoryTables, put_back};
use crate::memory::MemoryTransaction;
use crate::outbox::lane::{Bucket, Buckets, Lane};
use crate::outbox::operations::{Blocked, DeadLetter, Scope};
use crate::outbox::record::{Attempt, Epoch, RowId};
use crate::outbox::store::{
    Departing, Failure, Fate, Fetch, Fetched, Lease, RelayId, Settled, Settlement, Store,
};
use crate::outbox::wake::WakeUps;
use crate::{StoreError, Timestamp};

impl Store for MemoryOutbox {
    fn buckets(&self) -> Buckets {
        self.buckets
    }

    fn wake_ups(&self) -> WakeUps {
        self.wake.wake_ups()
    }

    async fn attend(&self, relay: &RelayId, ttl: Duration) -> Result<Vec<RelayId>, StoreError> {
        self.transact(|tx| {
            let now = tx.now();
            let until = now.saturating_add(ttl);
            let before = tx.tables().outbox.relays.get(relay).copied();
            let (key, again) = (relay.clone(), relay.clone());
            tx.change(
                |tables| put_back(&mut tables.outbox.relays, key, Some(until)),
                move |tables| put_back(&mut tables.outbox.relays, again, before),
            );
            let relays = tx.tables().outbox.relays.iter();
            let there = relays.filter(|(_, until)| **until > now);
            there.map(|(relay, _)| relay.clone()).collect()
        })
    }

    async fn claim(
        &self,
        relay: &RelayId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        self.transact(|tx| {
            let now = tx.now();
            let mut claimed = Vec::new();
            for bucket in wanted {
                let held = tx.tables().outbox.leases.get(bucket).cloned();
                let held = held.unwrap_or_default();
                if held.is_held(now) {
                    continue;
                }
                // Who did not release it may have had messages in flight.
                let suspect_through = match held.owner {
                    Some(_) => RowId(tx.tables().outbox.last_row),
                    None => held.suspect_through,
                };
                let lease = Lease {
                    bucket: *bucket,
                    epoch: Epoch(held.epoch.0 + 1),
                    suspect_through,
                };
                tx.change_lease(
                    *bucket,
                    Held {
                        owner: Some(relay.clone()),
                        epoch: lease.epoch,
                        until: now.saturating_add(ttl),
                        suspect_through,
                    },
                );
                claimed.push(lease);
            }
            claimed
        })
    }

    async fn renew(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        ttl: Duration,
    ) -> Result<Vec<Bucket>, StoreError> {
        self.transact(|tx| {
            let until = tx.now().saturating_add(ttl);
            tx.of_those_held(
                relay,
                leases.iter().map(|lease| (*lease, ())),
                |tx, lease, ()| {
                    let held = tx.tables().outbox.leases[&lease.bucket].clone();
                    tx.change_lease(lease.bucket, Held { until, ..held });
                },
            )
        })
    }

    async fn release(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        self.transact(|tx| {
            tx.of_those_held(
                relay,
                leases.iter().map(|lease| (*lease, ())),
                |tx, lease, ()| {
                    let held = tx.tables().outbox.leases[&lease.bucket].clone();
                    tx.change_lease(
                        lease.bucket,
                        Held {
                            owner: None,
                            ..held
                        },
                    );
                },
            );
            if departing == Departing::Yes {
                let before = tx.tables().outbox.relays.get(relay).copied();
                let (key, again) = (relay.clone(), relay.clone());
                tx.change(
                    |tables| put_back(&mut tables.outbox.relays, key, None),
                    move |tables| put_back(&mut tables.outbox.relays, again, before),
                );
            }
            // Others may take what was given back.
            tx.wake_when_done();
        })
    }

    async fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, StoreError> {
        self.transact(|tx| tx.tables().outbox.fetch(fetch, self.buckets, tx.now()))
    }

    async fn start(
        &self,
        relay: &RelayId,
        rows: &[Settlement<Attempt>],
    ) -> Result<Vec<Bucket>, StoreError> {
        let rows = rows
            .iter()
            .map(|of_bucket| (of_bucket.lease, &of_bucket.rows));
        self.transact(|tx| {
            tx.of_those_held(relay, rows, |tx, lease, rows| {
                let is_of_it = |attempt: &&Attempt| self.buckets.of(attempt.lane) == lease.bucket;
                for Attempt { lane, row, number } in rows.iter().filter(is_of_it) {
                    tx.amend(*lane, *row, |stored| stored.started = *number);
                }
            })
        })
    }

    async fn settle(
        &self,
        relay: &RelayId,
        fates: &[Settlement<Settled>],
    ) -> Result<Vec<Bucket>, StoreError> {
        let fates = fates
            .iter()
            .map(|of_bucket| (of_bucket.lease, &of_bucket.rows));
        self.transact(|tx| {
            tx.of_those_held(relay, fates, |tx, _, fates| {
                for settled in fates {
                    tx.settle(settled, self.keep);
                }
            })
        })
    }

    async fn tidy(&self) -> Result<bool, StoreError> {
        let keep = self.keep;
        self.transact(|tx| {
            let now = tx.now();
            let oldest = match keep {
                Keep::Nothing => now,
                Keep::Archive(retention) => now.saturating_sub(retention),
            };
            let tables = &tx.tables().outbox;
            let is_old = tables.archive.values().any(|(_, at)| *at < oldest)
                || tables.relays.values().any(|until| *until <= now);
            if is_old {
                tx.change_outbox(|tables| {
                    tables.archive.retain(|_, (_, at)| *at >= oldest);
                    tables.relays.retain(|_, until| *until > now);
                });
            }
            false
        })
    }
}

impl MemoryTransaction<'_> {
    /// Does something for each lease that the relay holds still, and returns
    /// the buckets of these.
    fn of_those_held<T>(
        &mut self,
        relay: &RelayId,
        leases: impl Iterator<Item = (Lease, T)>,
        mut work: impl FnMut(&mut Self, Lease, T),
    ) -> Vec<Bucket> {
        let now = self.now();
        let mut kept = Vec::new();
        for (lease, with) in leases {
            if self.tables().outbox.holds(relay, &lease, now) {
                work(self, lease, with);
                kept.push(lease.bucket);
            }
        }
        kept
    }

    fn settle(&mut self, settled: &Settled, keep: Keep) {
        let now = self.now();
        let Settled { row, lane, fate } = settled;
        match fate {
            Fate::Published => {
                self.free(*lane);
                let Some(stored) = self.take(*lane, *row) else {
                    return;
                };
                if let Keep::Archive(_) = keep {
                    let row = *row;
                    self.change(
                        |tables| drop(tables.outbox.archive.insert(row, (stored, now))),
                        move |tables| drop(tables.outbox.archive.remove(&row)),
                    );
                }
            }
            Fate::Again { after, failure } => {
                self.fail(*lane, *row, failure.is_some());
                let until = Some(now.saturating_add(*after));
                self.keep_waiting(*lane, until, failure.as_ref());
            }
            Fate::Parked(failure) => {
                self.fail(*lane, *row, true);
                self.keep_waiting(*lane, None, Some(failure));
            }
            Fate::Buried(failure) => {
                self.free(*lane);
                self.fail(*lane, *row, true);
                let Some(stored) = self.take(*lane, *row) else {
                    return;
                };
                let letter = DeadLetter {
                    stored,
                    cause: failure.cause,
                    error: failure.error.clone(),
                    since: now,
                };
                let row = *row;
                self.change(
                    |tables| drop(tables.outbox.dead.insert(row, letter)),
                    move |tables| drop(tables.outbox.dead.remove(&row)),
                );
            }
        }
    }

    fn fail(&mut self, lane: Lane, row: RowId, charged: bool) {
        self.amend(lane, row, |stored| {
            stored.failures += u32::from(charged);
            stored.started = 0;
        });
    }

    /// A lane that was tried again and came through waits no more; one that is
    /// parked was parked by somebody meanwhile, and stays so.
    fn free(&mut self, lane: Lane) {
        let block = self.tables().outbox.blocks.get(&lane);
        if block.is_some_and(|block| block.until.is_some()) {
            self.block(lane, None);
        }
    }

    fn keep_waiting(&mut self, lane: Lane, until: Option<Timestamp>, failure: Option<&Failure>) {
        let block = self.tables().outbox.blocks.get(&lane);
        if until.is_some() && block.is_some_and(|block| block.until.is_none()) {
            return;
        }
        let error = failure.map(|failure| failure.error.clone());
        let blocked = Blocked {
            lane,
            left: None,
            cause: failure.map(|failure| failure.cause),
            error: error.unwrap_or_else(|| "the outcome is not known".into()),
            since: self.now(),
        };
        self.block(lane, Some(Block { until, blocked }));
    }
}

impl MemoryTables {
    /// Goes around the lanes of the buckets once, and never past what a lane
    /// may give: behind that, it looks for the next lane.
    fn fetch(&self, fetch: &Fetch<'_>, buckets: Buckets, now: Timestamp) -> Fetched {
        let mut fetched = Fetched::default();
        let mut looked_at = 0;
        for (from, through) in around(fetch, buckets) {
            let mut from = Some(from);
            while let Some(start) = from {
                let mut lane_rows = self.rows.range((start, RowId(i64::MIN))..);
                let Some(((lane, _), _)) =
                    lane_rows.next().filter(|((lane, _), _)| *lane <= through)
                else {
                    break;
                };
                if looked_at == fetch.lanes || fetched.rows.len() >= fetch.rows {
                    return fetched;
                }
                looked_at += 1;
                fetched.reached = Some(*lane);
                if self.is_ready(*lane, fetch, now) {
                    let room = fetch.per_lane.min(fetch.rows - fetched.rows.len());
                    let rows = self
                        .rows
                        .range((*lane, RowId(i64::MIN))..=(*lane, RowId(i64::MAX)));
                    let rows = rows.map(|(_, stored)| stored).take(room);
                    let rows = rows.take_while(|stored| !self.is_paused(stored, buckets));
                    fetched.rows.extend(rows.cloned());
                }
                from = lane.next();
            }
        }
        fetched.came_round = true;
        fetched
    }

    fn is_ready(&self, lane: Lane, fetch: &Fetch<'_>, now: Timestamp) -> bool {
        let block = self.blocks.get(&lane);
        let is_blocked = block.is_some_and(|block| block.until.is_none_or(|until| until > now));
        !is_blocked && fetch.busy.binary_search(&lane).is_err()
    }

    fn is_paused(&self, stored: &crate::outbox::Stored, buckets: Buckets) -> bool {
        if self.paused.is_empty() {
            return false;
        }
        let message = &stored.message;
        let tenant = message.tenant().map(|tenant| Scope::Tenant(tenant.into()));
        let scopes = [
            Some(Scope::All),
            Some(Scope::Topic(message.topic().into())),
            tenant,
            Some(Scope::Bucket(buckets.of(stored.lane))),
        ];
        let mut scopes = scopes.into_iter().flatten();
        scopes.any(|scope| self.paused.contains(&scope))
    }
}

/// The ranges of lanes to go through, in order: from behind the last that was
/// reached to the end, and from the beginning to there.
fn around(fetch: &Fetch<'_>, buckets: Buckets) -> Vec<(Lane, Lane)> {
    let ranges = fetch.leases.iter().map(|lease| buckets.lanes(lease.bucket));
    let ranges: Vec<_> = ranges.map(|lanes| (*lanes.start(), *lanes.end())).collect();
    let behind = ranges.iter().filter(|(_, end)| *end > fetch.after);
    let behind = behind.filter_map(|(start, end)| Some(((*start).max(fetch.after.next()?), *end)));
    let before = ranges.iter().filter(|(start, _)| *start <= fetch.after);
    let before = before.map(|(start, end)| (*start, (*end).min(fetch.after)));
    behind.chain(before).collect()
}
