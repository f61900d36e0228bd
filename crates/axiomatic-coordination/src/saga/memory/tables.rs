//! The tables of sagas, and the places by which they are found.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use foldhash::{HashMap, HashSet};

use super::lines::Lines;
use crate::Timestamp;
use crate::outbox::{Bucket, Epoch};
use crate::saga::change::{Change, Wake};
use crate::saga::id::{BUCKETS, ExecutorId, Lease, SagaId};
use crate::saga::mail::Mail;
use crate::saga::record::{Recorded, Stage};
use crate::saga::store::{Definition, Found, Loaded, Summary};

/// The tables of sagas.
#[derive(Debug)]
pub(crate) struct SagaTables {
    pub(super) sagas: HashMap<SagaId, Box<Saga>>,
    pub(super) places: Places,
    pub(super) lines: Lines,
    pub(super) archive: BTreeMap<SagaId, Found>,
    /// By bucket.
    pub(super) leases: Box<[Held]>,
    /// Who is here, until when.
    pub(super) executors: BTreeMap<ExecutorId, Timestamp>,
}

/// A saga's row and log.
#[derive(Debug)]
pub(super) struct Saga {
    pub(super) bucket: Bucket,
    pub(super) definition: Definition,
    pub(super) input: Bytes,
    pub(super) stage: Stage,
    pub(super) result: Option<Bytes>,
    pub(super) records: Vec<Recorded>,
    /// The oldest first, and when each was posted.
    pub(super) mail: VecDeque<(Mail, Timestamp)>,
    /// How many of the letters do not make it due.
    pub(super) put_off: usize,
    pub(super) sleep: Sleep,
    pub(super) deadline: Option<Timestamp>,
    pub(super) started: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) loads: u32,
}

/// When it is looked at, if no mail comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    /// Somebody runs it.
    Held,
    /// Then.
    Until(Timestamp),
    /// Never.
    ForEver,
}

/// Who has a bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) owner: Option<ExecutorId>,
    pub(super) epoch: Epoch,
    pub(super) until: Timestamp,
}

/// Where sagas are found without looking at all of them.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Those that are due some day, by their bucket and time.
    pub(super) due: BTreeSet<(Bucket, Timestamp, SagaId)>,
    /// Those that somebody runs, by their bucket.
    pub(super) held: HashMap<Bucket, HashSet<SagaId>>,
    /// Those that have ended, in the order in which they did.
    pub(super) ended: VecDeque<(Timestamp, SagaId)>,
    /// How many there are at each stage.
    pub(super) counts: [u64; 7],
}

/// Where one of them is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    due: Option<Timestamp>,
    is_held: bool,
    stage: Stage,
}

impl Default for SagaTables {
    fn default() -> Self {
        let leases = BUCKETS.all().map(|_| Held::default());
        SagaTables {
            sagas: HashMap::default(),
            places: Places::default(),
            lines: Lines::default(),
            archive: BTreeMap::new(),
            leases: leases.collect(),
            executors: BTreeMap::new(),
        }
    }
}

impl Held {
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        self.owner.is_some() && self.until > now
    }

    pub(super) fn is_held_by(&self, executor: &ExecutorId, now: Timestamp) -> bool {
        self.owner.as_ref() == Some(executor) && self.until > now
    }
}

impl SagaTables {
    /// The fence: owner, epoch and expiry, compared in the transaction that
    /// changes what the lease guards.
    pub(super) fn holds(&self, lease: &Lease, now: Timestamp) -> bool {
        let held = self.leases.get(usize::from(lease.bucket.0));
        held.is_some_and(|held| held.epoch == lease.epoch && held.is_held_by(&lease.owner, now))
    }

    /// Changes a saga, if it is there, and where it is found.
    pub(super) fn amend<T>(
        &mut self,
        id: SagaId,
        now: Timestamp,
        amend: impl FnOnce(&mut Saga) -> T,
    ) -> Option<T> {
        let saga = self.sagas.get_mut(&id)?;
        let before = saga.place();
        let amended = amend(saga);
        let after = saga.place();
        self.places.relocate(id, saga.bucket, before, after, now);
        Some(amended)
    }

    /// Forgets a saga.
    pub(super) fn remove(&mut self, id: SagaId) {
        if let Some(saga) = self.sagas.remove(&id) {
            self.places.leave(id, saga.bucket, saga.place());
            self.places.counts[saga.stage as usize] -= 1;
        }
    }
}

impl Saga {
    /// Whether something is written at this line.
    pub(super) fn stands_at(&self, after: u64) -> bool {
        !self.stage.is_end() && self.records.len() as u64 == after
    }

    /// Writes down what has changed.
    pub(super) fn write(&mut self, change: &Change, now: Timestamp) {
        let records = change.records.iter().cloned();
        self.records
            .extend(records.map(|record| Recorded { record, at: now }));
        self.stage = change.stage;
        if let Some(result) = &change.result {
            self.result = Some(result.clone());
        }
        self.sleep = Sleep::from_wake(change.wake, now);
        self.put_off = match change.stage {
            Stage::Parked => self.mail.len(),
            _ => 0,
        };
        if change.progress {
            self.loads = 0;
        }
        self.changed = now;
    }

    /// Whether the change stands in the log behind this line.
    pub(super) fn has_written(&self, change: &Change, after: u64) -> bool {
        let behind = usize::try_from(after).ok();
        let behind = behind.and_then(|after| self.records.get(after..));
        let Some(behind) = behind.and_then(|behind| behind.get(..change.records.len())) else {
            return false;
        };
        if change.records.is_empty() {
            return self.stage == change.stage && self.records.len() as u64 == after;
        }
        let written = behind.iter().map(|recorded| &recorded.record);
        written.eq(&change.records)
    }

    pub(super) fn knows(&self, mail: &Mail) -> bool {
        let waits = self.mail.iter().any(|(other, _)| other.id == mail.id);
        let is_read = |recorded: &Recorded| recorded.record.mail == Some(mail.id);
        waits || self.records.iter().any(is_read)
    }

    pub(super) fn unread(&self) -> Vec<Mail> {
        self.mail.iter().map(|(mail, _)| mail.clone()).collect()
    }

    pub(super) fn place(&self) -> Place {
        let mail = self.mail.get(self.put_off).map(|(_, posted)| *posted);
        let due = match self.sleep {
            _ if self.stage.is_end() => None,
            Sleep::Until(time) => Some(mail.map_or(time, |posted| posted.min(time))),
            Sleep::Held | Sleep::ForEver => mail,
        };
        Place {
            due,
            is_held: self.sleep == Sleep::Held && !self.stage.is_end(),
            stage: self.stage,
        }
    }

    pub(super) fn load(&self, id: SagaId, lease: &Lease, now: Timestamp) -> Loaded {
        Loaded {
            saga: id,
            lease: lease.clone(),
            definition: self.definition.clone(),
            input: self.input.clone(),
            stage: self.stage,
            records: self.records.clone(),
            mail: self.unread(),
            deadline: self.deadline,
            now,
            loads: self.loads,
        }
    }

    pub(super) fn found(&self, id: SagaId) -> Found {
        Found {
            summary: self.summary(id),
            input: self.input.clone(),
            records: self.records.clone(),
            mail: self.unread(),
        }
    }

    pub(super) fn summary(&self, id: SagaId) -> Summary {
        Summary {
            saga: id,
            definition: self.definition.clone(),
            stage: self.stage,
            result: self.result.clone(),
            started: self.started,
            changed: self.changed,
        }
    }
}

impl Sleep {
    fn from_wake(wake: Wake, now: Timestamp) -> Self {
        match wake {
            Wake::Held => Sleep::Held,
            Wake::In(time) => match now.saturating_add(time) {
                time if time.as_micros() == i64::MAX => Sleep::ForEver,
                time => Sleep::Until(time),
            },
        }
    }
}

impl Place {
    /// When it is looked at.
    pub(super) fn due(self) -> Option<Timestamp> {
        self.due
    }
}

impl Places {
    /// A saga is new.
    pub(super) fn enter(&mut self, id: SagaId, bucket: Bucket, place: Place, now: Timestamp) {
        self.counts[place.stage as usize] += 1;
        self.come(id, bucket, place);
        if place.stage.is_end() {
            self.ended.push_back((now, id));
        }
    }

    /// A saga was there, and is here now.
    pub(super) fn relocate(
        &mut self,
        id: SagaId,
        bucket: Bucket,
        before: Place,
        after: Place,
        now: Timestamp,
    ) {
        if before == after {
            return;
        }
        if before.stage != after.stage {
            self.counts[before.stage as usize] -= 1;
            self.counts[after.stage as usize] += 1;
        }
        match (before.stage.is_end(), after.stage.is_end()) {
            (false, true) => self.ended.push_back((now, id)),
            // Only what is taken back: it was the last.
            (true, false) => drop(self.ended.pop_back()),
            _ => {}
        }
        self.leave(id, bucket, before);
        self.come(id, bucket, after);
    }

    fn leave(&mut self, id: SagaId, bucket: Bucket, place: Place) {
        if let Some(due) = place.due {
            self.due.remove(&(bucket, due, id));
        }
        if place.is_held {
            if let Some(held) = self.held.get_mut(&bucket) {
                held.remove(&id);
            }
        }
    }

    fn come(&mut self, id: SagaId, bucket: Bucket, place: Place) {
        if let Some(due) = place.due {
            self.due.insert((bucket, due, id));
        }
        if place.is_held {
            self.held.entry(bucket).or_default().insert(id);
        }
    }
}
