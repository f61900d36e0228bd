//! Idempotent requests in a [`Memory`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::claim::{Adopt, Adopted, Claim, Claimed, Fence, Lease, Mine, Owner};
use super::key::{Fingerprint, Name};
use super::message::{StoredRequest, StoredResponse};
use super::phases::{Begun, Phase, PhaseError};
use super::step::{Kind, Step};
use super::store::Store;
use crate::{Memory, MemoryTransaction, StoreError, Timestamp, TransactError};

/// The idempotent requests of a [`Memory`]: a [`Store`].
///
/// Its transactions are one after the other, so a claim does wait for the work
/// of an atomic phase; but that is a closure, which itself waits for nothing.
#[derive(Clone, Debug)]
pub struct MemoryIdempotency {
    memory: Memory,
}

impl MemoryIdempotency {
    /// Those of this database.
    pub fn new(memory: &Memory) -> Self {
        MemoryIdempotency {
            memory: memory.clone(),
        }
    }

    /// The database.
    pub fn database(&self) -> &Memory {
        &self.memory
    }

    fn transact<T>(
        &self,
        work: impl FnOnce(&mut MemoryTransaction<'_>) -> T,
    ) -> Result<T, StoreError> {
        let done = self.memory.transact(|tx| Ok(work(tx)));
        done.map_err(|error: TransactError<Infallible>| match error {
            TransactError::Store(error) => error,
            TransactError::Rejected(never) => match never {},
        })
    }
}

/// The tables of idempotent requests.
#[derive(Debug, Default)]
pub(crate) struct IdempotencyTables {
    records: BTreeMap<Uuid, Record>,
    names: BTreeMap<Name, Uuid>,
}

#[derive(Clone, Debug)]
struct Record {
    name: Name,
    fingerprint: Fingerprint,
    state: State,
    epoch: u64,
    owner: Owner,
    attempts: u32,
    steps: Vec<Step>,
    request: Option<StoredRequest>,
    expires: Timestamp,
}

#[derive(Clone, Debug)]
enum State {
    Leased { until: Timestamp },
    Released { at: Timestamp },
    Completed(StoredResponse),
}

impl Record {
    fn is_held(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Leased { until } if until > now)
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.expires <= now && !self.is_held(now)
    }

    /// Since when nobody runs it, though it is not complete.
    fn abandoned_since(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            State::Leased { until } if until > now => None,
            State::Leased { until: since } | State::Released { at: since } => Some(since),
            State::Completed(_) => None,
        }
    }

    /// It is another's from now on.
    fn follow(&mut self, owner: Owner) {
        self.owner = owner;
        self.epoch += 1;
        self.attempts += 1;
    }

    fn mine(&self, record: Uuid) -> Mine {
        Mine {
            lease: Lease {
                record,
                epoch: self.epoch,
            },
            steps: self.steps.clone(),
            attempts: self.attempts,
        }
    }
}

impl MemoryTransaction<'_> {
    fn record(&self, id: Uuid) -> Option<Record> {
        self.tables().idempotency.records.get(&id).cloned()
    }

    /// A record becomes this, or is removed, and its name with it.
    fn set_record(&mut self, id: Uuid, record: Option<Record>) {
        let before = self.record(id);
        self.change(
            |tables| tables.idempotency.set(id, record),
            move |tables| tables.idempotency.set(id, before),
        );
    }

    /// The record of a lease that nobody has followed and that was not given
    /// up; whether it has ended does not matter, as long as nobody has noticed.
    fn leased(&self, lease: &Lease) -> Option<Record> {
        self.fenced(lease)
            .filter(|record| matches!(record.state, State::Leased { .. }))
    }

    fn fenced(&self, lease: &Lease) -> Option<Record> {
        self.record(lease.record)
            .filter(|record| record.epoch == lease.epoch)
    }

    /// Changes the record of a lease that is held.
    fn write(&mut self, lease: &Lease, change: impl FnOnce(&mut Record)) -> Fence {
        let Some(mut record) = self.leased(lease) else {
            return Fence::Lost;
        };
        change(&mut record);
        self.set_record(lease.record, Some(record));
        Fence::Held
    }

    fn append_step(&mut self, lease: &Lease, step: &Step) -> Fence {
        self.write(lease, |record| {
            if !record.steps.iter().any(|other| other.name == step.name) {
                record.steps.push(step.clone());
            }
        })
    }

    fn claim(&mut self, claim: &Claim<'_>) -> Claimed {
        let now = self.now();
        let until = now.saturating_add(claim.lease);
        let expires = now.saturating_add(claim.retention);
        let id = self.tables().idempotency.names.get(claim.name).copied();
        let known = id.and_then(|id| Some((id, self.record(id)?)));
        let Some((id, mut record)) = known.filter(|(_, record)| !record.is_forgotten(now)) else {
            if let Some(id) = id {
                self.set_record(id, None);
            }
            let record = Record {
                name: claim.name.clone(),
                fingerprint: claim.fingerprint,
                state: State::Leased { until },
                epoch: 1,
                owner: claim.owner,
                attempts: 1,
                steps: Vec::new(),
                request: claim.request.cloned(),
                expires,
            };
            let mine = record.mine(claim.owner.0);
            self.set_record(claim.owner.0, Some(record));
            return Claimed::Mine(mine);
        };
        if record.fingerprint != claim.fingerprint {
            return Claimed::Mismatch;
        }
        match record.state {
            State::Completed(response) => return Claimed::Completed(response),
            // Its answer was lost.
            State::Leased { .. } if record.owner == claim.owner => {}
            State::Leased { until } if until > now => {
                return Claimed::InProgress {
                    lease_ends_in: until.saturating_since(now),
                };
            }
            State::Leased { .. } | State::Released { .. } => record.follow(claim.owner),
        }
        record.state = State::Leased { until };
        record.expires = expires;
        if record.request.is_none() {
            record.request = claim.request.cloned();
        }
        let mine = record.mine(id);
        self.set_record(id, Some(record));
        Claimed::Mine(mine)
    }

    fn adopt(&mut self, adopt: &Adopt) -> Option<Adopted> {
        let now = self.now();
        let latest = now.saturating_sub(adopt.abandoned_for);
        let records = &self.tables().idempotency.records;
        let asked_before = records
            .iter()
            .find(|(_, record)| record.owner == adopt.owner && record.is_held(now));
        let abandoned = || {
            let may_be = |record: &Record| {
                record.request.is_some()
                    && record.attempts <= adopt.attempts
                    && !record.is_forgotten(now)
            };
            records
                .iter()
                .filter(|(_, record)| may_be(record))
                .filter_map(|(id, record)| Some((record.abandoned_since(now)?, (id, record))))
                .filter(|(since, _)| *since <= latest)
                .min_by_key(|(since, _)| *since)
                .map(|(_, found)| found)
        };
        let (id, record) = asked_before.or_else(abandoned)?;
        let (id, mut record) = (*id, record.clone());
        if record.owner != adopt.owner {
            record.follow(adopt.owner);
        }
        record.state = State::Leased {
            until: now.saturating_add(adopt.lease),
        };
        let adopted = Adopted {
            name: record.name.clone(),
            request: record.request.clone()?,
            mine: record.mine(id),
        };
        self.set_record(id, Some(record));
        Some(adopted)
    }

    fn sweep_idempotency(&mut self, at_most: usize) -> usize {
        let now = self.now();
        let records = self.tables().idempotency.records.iter();
        let old = records.filter(|(_, record)| record.is_forgotten(now));
        let old: Vec<_> = old.map(|(id, _)| *id).take(at_most).collect();
        for id in &old {
            self.set_record(*id, None);
        }
        old.len()
    }
}

impl IdempotencyTables {
    fn set(&mut self, id: Uuid, record: Option<Record>) {
        match record {
            Some(record) => {
                self.names.insert(record.name.clone(), id);
                self.records.insert(id, record);
            }
            None => {
                if let Some(record) = self.records.remove(&id) {
                    self.names.remove(&record.name);
                }
            }
        }
    }
}

impl Store for MemoryIdempotency {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError> {
        self.transact(|tx| tx.claim(claim))
    }

    async fn renew(&self, lease: &Lease, lasts: Duration) -> Result<Fence, StoreError> {
        self.transact(|tx| {
            let until = tx.now().saturating_add(lasts);
            tx.write(lease, |record| record.state = State::Leased { until })
        })
    }

    async fn record(&self, lease: &Lease, step: &Step) -> Result<Fence, StoreError> {
        self.transact(|tx| tx.append_step(lease, step))
    }

    async fn complete(
        &self,
        lease: &Lease,
        response: &StoredResponse,
        retention: Duration,
    ) -> Result<Fence, StoreError> {
        self.transact(|tx| {
            let is_asked_again = tx
                .fenced(lease)
                .is_some_and(|record| matches!(record.state, State::Completed(_)));
            if is_asked_again {
                return Fence::Held;
            }
            let expires = tx.now().saturating_add(retention);
            tx.write(lease, |record| {
                record.state = State::Completed(response.clone());
                record.expires = expires;
                record.steps.clear();
                record.request = None;
            })
        })
    }

    async fn release(&self, lease: &Lease) -> Result<Fence, StoreError> {
        self.transact(|tx| {
            let is_asked_again = tx
                .fenced(lease)
                .is_some_and(|record| matches!(record.state, State::Released { .. }));
            if is_asked_again {
                return Fence::Held;
            }
            let at = tx.now();
            tx.write(lease, |record| record.state = State::Released { at })
        })
    }

    async fn adopt(&self, adopt: &Adopt) -> Result<Option<Adopted>, StoreError> {
        self.transact(|tx| tx.adopt(adopt))
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, StoreError> {
        self.transact(|tx| tx.sweep_idempotency(at_most))
    }
}

impl Phase<'_, MemoryIdempotency> {
    /// Does something in the database, once: the work, what it returns, and
    /// that the phase has ended are one transaction, and it is of no effect if
    /// another has the request by now.
    ///
    /// # Errors
    ///
    /// [`PhaseError`]. Unless it is [`PhaseError::Store`], nothing of the work
    /// is left.
    pub async fn atomic<T, E>(
        self,
        work: impl FnOnce(&mut MemoryTransaction<'_>) -> Result<T, E>,
    ) -> Result<T, PhaseError<E>>
    where
        T: Serialize + DeserializeOwned,
    {
        if let Begun::Before(value) = self.begin(Kind::Atomic)? {
            return Ok(value);
        }
        let lease = self.phases().lease();
        let done = self.phases().store().memory.transact(|tx| {
            if tx.leased(lease).is_none() {
                return Err(PhaseError::Lost);
            }
            let value = work(tx).map_err(PhaseError::Work)?;
            let step = self.step(Kind::Atomic, &value)?;
            match tx.append_step(lease, &step) {
                Fence::Held => Ok((value, step)),
                Fence::Lost => Err(PhaseError::Lost),
            }
        });
        let (value, step) = done.map_err(|error| match error {
            TransactError::Rejected(error) => error,
            TransactError::Store(error) => PhaseError::Store(error),
        })?;
        self.finish(step);
        Ok(value)
    }
}
