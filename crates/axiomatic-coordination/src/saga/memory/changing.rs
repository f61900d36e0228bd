//! What is written of a saga.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use bytes::Bytes;

use super::Work;
use super::tables::{Saga, SagaTables, Sleep};
use crate::saga::change::{Append, Appended, Change};
use crate::saga::fault::Fault;
use crate::saga::id::{Lease, SagaId};
use crate::saga::mail::{Mail, Posted};
use crate::saga::record::Stage;
use crate::saga::store::{Start, Started};
use crate::{MemoryTransaction, StoreError, Timestamp};

impl SagaTables {
    pub(super) fn start(&mut self, start: &Start, now: Timestamp) -> Started {
        let held = start.held.as_ref();
        // The hash that makes a bucket of the id is that of any lease of it.
        let bucket = start.saga.bucket();
        let held = held.filter(|(lease, _)| lease.bucket == bucket && self.holds(lease, now));
        let vacant = match self.sagas.entry(start.saga) {
            Entry::Vacant(vacant) => vacant,
            Entry::Occupied(before) => {
                let before = before.get();
                let is_same =
                    before.definition.name == start.definition.name && before.input == start.input;
                return if is_same {
                    Started::Before
                } else {
                    Started::Other
                };
            }
        };
        let saga = vacant.insert(Box::new(Saga {
            bucket,
            definition: start.definition.clone(),
            input: start.input.clone(),
            stage: Stage::Running,
            result: None,
            records: Vec::new(),
            mail: VecDeque::new(),
            put_off: 0,
            sleep: Sleep::Until(now),
            deadline: start.deadline.map(|deadline| now.saturating_add(deadline)),
            started: now,
            changed: now,
            loads: 0,
        }));
        if let Some((_, change)) = held {
            // The most sagas have a few lines more.
            saga.records.reserve_exact(change.records.len() + 7);
            saga.write(change, now);
        }
        self.places.enter(start.saga, bucket, saga.place(), now);
        match held {
            Some(_) => Started::Held,
            None => Started::Waits,
        }
    }

    /// Whether executors should hear of it, too: it is due at another time.
    pub(super) fn append(
        &mut self,
        lease: &Lease,
        append: &Append,
        now: Timestamp,
    ) -> (Appended, bool) {
        if !self.holds(lease, now) {
            return (Appended::Lost, false);
        }
        let Append { after, change, .. } = append;
        let Some(saga) = self.sagas.get_mut(&append.saga) else {
            return (Appended::Conflict, false);
        };
        if saga.bucket != lease.bucket {
            return (Appended::Lost, false);
        }
        if !saga.stands_at(*after) {
            let is_asked_again = saga.has_written(change, *after);
            let appended = if is_asked_again {
                Appended::Held
            } else {
                Appended::Conflict
            };
            return (appended, false);
        }
        let before = saga.place();
        let read = saga.mail.len().min(append.read as usize);
        saga.mail.drain(..read);
        saga.write(change, now);
        let after = saga.place();
        self.places
            .relocate(append.saga, saga.bucket, before, after, now);
        let is_due = after.due().is_some() && after.due() != before.due();
        let has_left = saga.stage.is_end() && self.leave_lines(append.saga, now);
        (Appended::Held, is_due || has_left)
    }

    pub(super) fn post(&mut self, id: SagaId, mail: &Mail, now: Timestamp) -> Posted {
        let posted = self.amend(id, now, |saga| {
            if saga.knows(mail) {
                return Posted::Accepted;
            }
            if saga.stage.is_end() {
                return Posted::Ended;
            }
            saga.mail.push_back((mail.clone(), now));
            Posted::Accepted
        });
        posted.unwrap_or(Posted::Missing)
    }

    /// Whether a change may be appended there.
    fn may_append(&self, lease: &Lease, id: SagaId, after: u64, now: Timestamp) -> Appended {
        let saga = self.sagas.get(&id);
        let is_of_bucket = saga.is_none_or(|saga| saga.bucket == lease.bucket);
        if !is_of_bucket || !self.holds(lease, now) {
            return Appended::Lost;
        }
        if saga.is_some_and(|saga| saga.stands_at(after)) {
            return Appended::Held;
        }
        Appended::Conflict
    }
}

/// Why local work was not done.
pub(super) enum Unworked {
    Faulted(Fault),
    Lost,
    Conflict,
    Crashed(StoreError),
}

/// What a change of a saga changes, as it was.
struct Before {
    lines: usize,
    stage: Stage,
    result: Option<Bytes>,
    sleep: Sleep,
    put_off: usize,
    loads: u32,
    changed: Timestamp,
}

impl Saga {
    fn before(&self) -> Before {
        Before {
            lines: self.records.len(),
            stage: self.stage,
            result: self.result.clone(),
            sleep: self.sleep,
            put_off: self.put_off,
            loads: self.loads,
            changed: self.changed,
        }
    }

    fn take_back(&mut self, before: Before) {
        self.records.truncate(before.lines);
        self.stage = before.stage;
        self.result = before.result;
        self.sleep = before.sleep;
        self.put_off = before.put_off;
        self.loads = before.loads;
        self.changed = before.changed;
    }
}

impl MemoryTransaction<'_> {
    /// Nobody else has a turn before the transaction ends: whatever the clock
    /// says then, nobody has followed the lease.
    pub(super) fn append_with(
        &mut self,
        lease: &Lease,
        id: SagaId,
        after: u64,
        work: Work,
    ) -> Result<Change, Unworked> {
        let now = self.now();
        match self.tables().sagas.may_append(lease, id, after, now) {
            Appended::Held => {}
            Appended::Lost => return Err(Unworked::Lost),
            Appended::Conflict => return Err(Unworked::Conflict),
        }
        let change = work(self).map_err(|fault| match self.answers() {
            Ok(()) => Unworked::Faulted(fault),
            Err(error) => Unworked::Crashed(error),
        })?;
        let before = self.tables().sagas.sagas[&id].before();
        self.change(
            |tables| tables.sagas.amend(id, now, |saga| saga.write(&change, now)),
            move |tables| {
                tables.sagas.amend(id, now, |saga| saga.take_back(before));
            },
        );
        let mut wakes = change.wake != crate::saga::Wake::Held;
        if change.stage.is_end() {
            if let Some(before) = self.tables().sagas.lines_with(id) {
                wakes |= self.change(
                    |tables| tables.sagas.leave_lines(id, now),
                    move |tables| tables.sagas.take_lines_back(before, now),
                );
            }
        }
        if wakes {
            self.wake_when_done();
        }
        Ok(change)
    }
}
