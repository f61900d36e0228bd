//! The inbox's tables in a [`Memory`](crate::Memory).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::delivery::Delivery;
use super::id::Id;
use super::quarantine::Quarantined;
use super::tables::{Seen, Stream, Tables, Waiting};
use super::watermark::Watermark;
use crate::memory::MemoryTransaction;
use crate::{StoreError, Timestamp};

/// The tables of the inbox.
#[derive(Debug, Default)]
pub(crate) struct InboxTables {
    seen: BTreeMap<(Box<str>, Id), Seen>,
    started: BTreeMap<(Box<str>, Id), Started>,
    quarantine: BTreeMap<(Box<str>, Id), Quarantined>,
    watermarks: BTreeMap<Key, Watermark>,
    held: BTreeMap<(Key, u64), Delivery>,
}

#[derive(Copy, Clone, Debug)]
struct Started {
    attempts: u32,
    last: Timestamp,
}

/// Of a stream, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    consumer: Box<str>,
    source: Box<str>,
    tenant: Option<Box<str>>,
    key: Box<str>,
}

impl From<&Stream<'_>> for Key {
    fn from(stream: &Stream<'_>) -> Self {
        Key {
            consumer: stream.consumer.into(),
            source: stream.source.into(),
            tenant: stream.tenant.map(Into::into),
            key: stream.key.into(),
        }
    }
}

impl MemoryTransaction<'_> {
    fn inbox(&self) -> &InboxTables {
        &self.tables().inbox
    }

    /// Gives a key of one of the tables this value, or none.
    fn set<K: Ord + Clone + 'static, V: Clone + 'static>(
        &mut self,
        table: fn(&mut InboxTables) -> &mut BTreeMap<K, V>,
        key: K,
        value: Option<V>,
    ) {
        let again = key.clone();
        let before = table(&mut self.tables_mut().inbox).get(&key).cloned();
        self.change(
            |tables| put(table(&mut tables.inbox), key, value),
            move |tables| put(table(&mut tables.inbox), again, before),
        );
    }
}

fn put<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    };
}

fn key(consumer: &str, id: &Id) -> (Box<str>, Id) {
    (consumer.into(), id.clone())
}

impl Tables for MemoryTransaction<'_> {
    fn now(&mut self) -> Result<Timestamp, StoreError> {
        Ok(MemoryTransaction::now(self))
    }

    fn savepoint(&mut self) -> Result<(), StoreError> {
        self.set_savepoint();
        self.step()
    }

    fn release(&mut self) -> Result<(), StoreError> {
        self.drop_savepoint();
        self.step()
    }

    fn roll_back(&mut self) -> Result<(), StoreError> {
        self.back_to_savepoint();
        self.step()
    }

    fn see(&mut self, consumer: &str, id: &Id) -> Result<Option<Seen>, StoreError> {
        let key = key(consumer, id);
        let seen = self.inbox().seen.get(&key).cloned();
        if seen.is_none() {
            let seen = Seen {
                first_seen: MemoryTransaction::now(self),
                result: None,
            };
            self.set(|tables| &mut tables.seen, key, Some(seen));
        }
        self.step()?;
        Ok(seen)
    }

    fn keep_result(&mut self, consumer: &str, id: &Id, result: &Bytes) -> Result<(), StoreError> {
        let key = key(consumer, id);
        if let Some(mut seen) = self.inbox().seen.get(&key).cloned() {
            seen.result = Some(result.clone());
            self.set(|tables| &mut tables.seen, key, Some(seen));
        }
        self.step()
    }

    fn started(&mut self, consumer: &str, id: &Id) -> Result<u32, StoreError> {
        let started = self.inbox().started.get(&key(consumer, id));
        Ok(started.map_or(0, |started| started.attempts))
    }

    fn start(&mut self, consumer: &str, id: &Id) -> Result<(), StoreError> {
        let started = Started {
            attempts: self.started(consumer, id)? + 1,
            last: MemoryTransaction::now(self),
        };
        let key = key(consumer, id);
        self.set(|tables| &mut tables.started, key, Some(started));
        self.step()
    }

    fn forget_starts(&mut self, consumer: &str, id: &Id) -> Result<(), StoreError> {
        self.set(|tables| &mut tables.started, key(consumer, id), None);
        self.step()
    }

    fn quarantine(
        &mut self,
        consumer: &str,
        id: &Id,
        started: u32,
        reason: &str,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let key = key(consumer, id);
        if !self.inbox().quarantine.contains_key(&key) {
            let quarantined = Quarantined {
                consumer: consumer.into(),
                id: id.clone(),
                started,
                reason: reason.into(),
                since: MemoryTransaction::now(self),
                delivery: delivery.clone(),
            };
            self.set(|tables| &mut tables.quarantine, key, Some(quarantined));
        }
        self.step()
    }

    fn quarantined(&mut self, consumer: &str, id: &Id) -> Result<Option<Quarantined>, StoreError> {
        Ok(self.inbox().quarantine.get(&key(consumer, id)).cloned())
    }

    fn leave_quarantine(&mut self, consumer: &str, id: &Id) -> Result<bool, StoreError> {
        let key = key(consumer, id);
        let was_there = self.inbox().quarantine.contains_key(&key);
        self.set(|tables| &mut tables.quarantine, key, None);
        self.step()?;
        Ok(was_there)
    }

    fn watermark(&mut self, stream: &Stream<'_>) -> Result<Watermark, StoreError> {
        let watermark = self.inbox().watermarks.get(&stream.into());
        Ok(watermark.cloned().unwrap_or_default())
    }

    fn remember(&mut self, stream: &Stream<'_>, watermark: &Watermark) -> Result<(), StoreError> {
        let watermark = Some(watermark.clone());
        self.set(|tables| &mut tables.watermarks, stream.into(), watermark);
        self.step()
    }

    fn hold(
        &mut self,
        stream: &Stream<'_>,
        number: u64,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let place = (stream.into(), number);
        self.set(|tables| &mut tables.held, place, Some(delivery.clone()));
        self.step()
    }

    fn take_held(
        &mut self,
        stream: &Stream<'_>,
        through: u64,
    ) -> Result<Vec<(u64, Delivery)>, StoreError> {
        let key = Key::from(stream);
        let places = (key.clone(), 0)..=(key, through);
        let due = self.inbox().held.range(places);
        let due: Vec<_> = due
            .map(|(place, held)| (place.clone(), held.clone()))
            .collect();
        for (place, _) in &due {
            self.set(|tables| &mut tables.held, place.clone(), None);
        }
        self.step()?;
        let numbered = due.into_iter().map(|((_, number), held)| (number, held));
        Ok(numbered.collect())
    }

    fn sweep(&mut self, retention: Duration, at_most: usize) -> Result<usize, StoreError> {
        let before = MemoryTransaction::now(self).saturating_sub(retention);
        let seen = self.inbox().seen.iter();
        let old = seen.filter(|(_, seen)| seen.first_seen < before);
        let old: Vec<_> = old.map(|(key, _)| key.clone()).take(at_most).collect();
        let started = self.inbox().started.iter();
        let given_up = started.filter(|(_, started)| started.last < before);
        let given_up: Vec<_> = given_up.map(|(key, _)| key.clone()).take(at_most).collect();
        for key in &old {
            self.set(|tables| &mut tables.seen, key.clone(), None);
        }
        for key in given_up {
            self.set(|tables| &mut tables.started, key, None);
        }
        self.step()?;
        Ok(old.len())
    }

    fn peek(&mut self, most: usize) -> Result<Vec<Quarantined>, StoreError> {
        let mut all: Vec<_> = self.inbox().quarantine.values().cloned().collect();
        all.sort_by_key(|quarantined| quarantined.since);
        all.truncate(most);
        Ok(all)
    }

    fn waiting(&mut self, most: usize) -> Result<Vec<Waiting>, StoreError> {
        let all = self.inbox().watermarks.iter();
        let waiting = all.filter(|(_, watermark)| watermark.missing_since.is_some());
        let waiting = waiting.map(|(key, watermark)| Waiting {
            consumer: key.consumer.clone(),
            source: key.source.clone(),
            tenant: key.tenant.clone(),
            key: key.key.clone(),
            watermark: watermark.clone(),
        });
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_by_key(|waiting| waiting.watermark.missing_since);
        waiting.truncate(most);
        Ok(waiting)
    }
}
