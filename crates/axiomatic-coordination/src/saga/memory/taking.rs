//! What is found.

use std::collections::BTreeSet;
use std::time::Duration;

use super::tables::{SagaTables, Sleep};
use crate::Timestamp;
use crate::outbox::Bucket;
use crate::saga::id::{Lease, SagaId};
use crate::saga::record::Stage;
use crate::saga::store::{Found, Loaded, Summary, Swept, Taken};
use uuid::Uuid;

const FIRST: SagaId = SagaId(Uuid::nil());
const LAST: SagaId = SagaId(Uuid::max());

impl SagaTables {
    pub(super) fn take(&mut self, leases: &[Lease], at_most: usize, now: Timestamp) -> Taken {
        let mut buckets = BTreeSet::new();
        let is_held = |lease: &&Lease| self.holds(lease, now) && buckets.insert(lease.bucket);
        let held: Vec<_> = leases.iter().filter(is_held).collect();

        // The first of each bucket are enough, whichever they are.
        let enough = at_most.saturating_add(1);
        let mut due: Vec<_> = held
            .iter()
            .flat_map(|lease| {
                let due = self.due(lease.bucket, now).take(enough);
                due.map(move |(due, saga)| (due, saga, *lease))
            })
            .collect();
        due.sort_unstable_by_key(|(due, saga, _)| (*due, *saga));
        let more = due.len() > at_most;
        due.truncate(at_most);

        let next = held.iter().filter_map(|lease| self.next(lease.bucket, now));
        let next = next.min().map(|next| next.saturating_since(now));
        let sagas = due.into_iter().filter_map(|(_, id, lease)| {
            self.amend(id, now, |saga| {
                if saga.sleep != Sleep::Held {
                    saga.sleep = Sleep::Held;
                    saga.loads = saga.loads.saturating_add(1);
                }
                Ok(saga.load(id, lease, now))
            })
        });
        Taken {
            sagas: sagas.collect(),
            more,
            next,
        }
    }

    /// Those that are due, the longest first.
    fn due(&self, bucket: Bucket, now: Timestamp) -> impl Iterator<Item = (Timestamp, SagaId)> {
        let due = (bucket, Timestamp::from_micros(i64::MIN), FIRST)..=(bucket, now, LAST);
        let due = self.places.due.range(due);
        due.map(|(_, due, saga)| (*due, *saga))
    }

    /// When the first is due that is not yet.
    fn next(&self, bucket: Bucket, now: Timestamp) -> Option<Timestamp> {
        let last = Timestamp::from_micros(i64::MAX);
        let mut later = self
            .places
            .due
            .range((bucket, now, LAST)..=(bucket, last, LAST));
        later.find(|(_, due, _)| *due > now).map(|(_, due, _)| *due)
    }

    pub(super) fn load(&self, lease: &Lease, id: SagaId, now: Timestamp) -> Option<Loaded> {
        let saga = self.sagas.get(&id).filter(|saga| {
            saga.bucket == lease.bucket && !saga.stage.is_end() && self.holds(lease, now)
        })?;
        Some(saga.load(id, lease, now))
    }

    pub(super) fn find(&self, id: SagaId) -> Option<Found> {
        match self.sagas.get(&id) {
            Some(saga) => Some(saga.found(id)),
            None => self.archive.get(&id).cloned(),
        }
    }

    /// Looks at all of them: operators ask seldom, and a list by stage would
    /// cost each saga more than it is worth.
    pub(super) fn list(&self, stage: Stage, after: Option<SagaId>, at_most: usize) -> Vec<Summary> {
        let of_stage = self.sagas.iter().filter(|(_, saga)| saga.stage == stage);
        let mut ids: Vec<_> = of_stage
            .map(|(id, _)| *id)
            .filter(|id| after.is_none_or(|after| *id > after))
            .collect();
        ids.sort_unstable();
        ids.truncate(at_most);
        let summaries = ids.into_iter().map(|id| self.sagas[&id].summary(id));
        summaries.collect()
    }

    pub(super) fn sweep(
        &mut self,
        retention: Duration,
        how: Swept,
        at_most: usize,
        now: Timestamp,
    ) -> usize {
        let latest = now.saturating_sub(retention);
        let mut swept = 0;
        while swept < at_most {
            let id = match self.places.ended.front() {
                Some((ended, id)) if *ended <= latest => *id,
                _ => break,
            };
            if let (Swept::Archived, Some(saga)) = (how, self.sagas.get(&id)) {
                self.archive.insert(id, saga.found(id));
            }
            self.remove(id);
            self.places.ended.pop_front();
            swept += 1;
        }
        self.executors.retain(|_, until| *until > now);
        // What is empty for the most part is given back.
        if self.sagas.capacity() / 8 > self.sagas.len() {
            self.sagas.shrink_to(self.sagas.len() * 2);
            self.places.ended.shrink_to(self.places.ended.len() * 2);
        }
        swept
    }
}
