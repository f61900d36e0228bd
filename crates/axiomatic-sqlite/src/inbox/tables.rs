//! The inbox's tables, in a transaction.

use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::inbox::{
    Delivery, Id, Quarantined, Seen, Stream, Tables, Waiting, Watermark,
};
use axiomatic_coordination::{StoreError, Timestamp, Why};
use bytes::Bytes;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::rows::{self, QUARANTINE, corrupt, quarantined, stored, watermark};
use crate::database::NOW;
use crate::error::store_error;
use crate::transaction::Transaction;

/// What an inbox works in: a transaction of the [`Writer`](crate::Writer), or
/// one of rusqlite's on a connection of the user's own.
///
/// A transaction of the user's own should be
/// [immediate](rusqlite::TransactionBehavior::Immediate): one that reads before
/// it writes may find that another has written, and fails.
pub trait Connected: sealed::Sealed {
    /// The connection.
    #[doc(hidden)]
    fn connection(&self) -> &Connection;

    /// How many messages were enqueued.
    #[doc(hidden)]
    fn mark(&self) -> usize {
        0
    }

    /// Forgets messages that were enqueued since.
    #[doc(hidden)]
    fn back_to(&mut self, _mark: usize) {}
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what it is for")]
    pub trait Sealed {}
}

impl sealed::Sealed for Transaction<'_> {}

impl Connected for Transaction<'_> {
    fn connection(&self) -> &Connection {
        self
    }

    fn mark(&self) -> usize {
        Transaction::mark(self)
    }

    fn back_to(&mut self, mark: usize) {
        Transaction::back_to(self, mark);
    }
}

impl sealed::Sealed for rusqlite::Transaction<'_> {}

impl Connected for rusqlite::Transaction<'_> {
    fn connection(&self) -> &Connection {
        self
    }
}

impl sealed::Sealed for rusqlite::Savepoint<'_> {}

impl Connected for rusqlite::Savepoint<'_> {
    fn connection(&self) -> &Connection {
        self
    }
}

impl sealed::Sealed for Connection {}

impl Connected for Connection {
    fn connection(&self) -> &Connection {
        self
    }
}

/// The tables, on a transaction of one of these kinds.
pub(super) struct On<'a, X> {
    pub(super) tx: &'a mut X,
    /// For each savepoint, how many messages were enqueued before it.
    marks: Vec<usize>,
}

impl<'a, X: Connected> On<'a, X> {
    /// Refuses a connection without a transaction: each statement would be
    /// one, and a crash between two would part them.
    pub(super) fn new(tx: &'a mut X) -> Result<Self, StoreError> {
        if tx.connection().is_autocommit() {
            let why = "an inbox works in a transaction, and there is none";
            return Err(StoreError::new(Why::Refused).because(why));
        }
        Ok(On {
            tx,
            marks: Vec::new(),
        })
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.tx
            .connection()
            .prepare_cached(sql)
            .map_err(store_error)
    }

    fn change(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        self.statement(sql)?.execute(params).map_err(store_error)
    }

    fn find<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let found = self.statement(sql)?.query_row(params, read);
        found.optional().map_err(store_error)
    }
}

impl<X: Connected> Tables for On<'_, X> {
    fn now(&mut self) -> Result<Timestamp, StoreError> {
        let now = self.find(&format!("SELECT {NOW}"), (), |row| row.get(0))?;
        Ok(Timestamp::from_micros(now.unwrap_or_default()))
    }

    fn savepoint(&mut self) -> Result<(), StoreError> {
        self.change("SAVEPOINT axiomatic_inbox", ())?;
        self.marks.push(self.tx.mark());
        reach("sqlite.inbox.saved");
        Ok(())
    }

    fn release(&mut self) -> Result<(), StoreError> {
        self.change("RELEASE axiomatic_inbox", ())?;
        self.marks.pop();
        reach("sqlite.inbox.released");
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), StoreError> {
        if let Some(mark) = self.marks.pop() {
            self.tx.back_to(mark);
        }
        self.change("ROLLBACK TO axiomatic_inbox", ())?;
        self.change("RELEASE axiomatic_inbox", ())?;
        reach("sqlite.inbox.rolled_back");
        Ok(())
    }

    fn see(&mut self, consumer: &str, id: &Id) -> Result<Option<Seen>, StoreError> {
        let insert = format!(
            "INSERT INTO inbox_seen (consumer, id, first_seen) VALUES (?1, ?2, {NOW}) \
             ON CONFLICT DO NOTHING"
        );
        if self.change(&insert, (consumer, id.as_str()))? == 1 {
            reach("sqlite.inbox.seen");
            return Ok(None);
        }
        let select = "SELECT first_seen, result FROM inbox_seen WHERE consumer = ?1 AND id = ?2";
        self.find(select, (consumer, id.as_str()), |row| {
            let result: Option<Vec<u8>> = row.get(1)?;
            Ok(Seen {
                first_seen: Timestamp::from_micros(row.get(0)?),
                result: result.map(Bytes::from),
            })
        })
    }

    fn keep_result(&mut self, consumer: &str, id: &Id, result: &Bytes) -> Result<(), StoreError> {
        let update = "UPDATE inbox_seen SET result = ?3 WHERE consumer = ?1 AND id = ?2";
        self.change(update, (consumer, id.as_str(), &result[..]))?;
        reach("sqlite.inbox.result_kept");
        Ok(())
    }

    fn started(&mut self, consumer: &str, id: &Id) -> Result<u32, StoreError> {
        let select = "SELECT started FROM inbox_start WHERE consumer = ?1 AND id = ?2";
        let started = self.find(select, (consumer, id.as_str()), |row| row.get(0))?;
        Ok(started.unwrap_or(0))
    }

    fn start(&mut self, consumer: &str, id: &Id) -> Result<(), StoreError> {
        let count = format!(
            "INSERT INTO inbox_start (consumer, id, started, at) VALUES (?1, ?2, 1, {NOW}) \
             ON CONFLICT (consumer, id) DO UPDATE SET started = started + 1, at = excluded.at"
        );
        self.change(&count, (consumer, id.as_str()))?;
        reach("sqlite.inbox.started");
        Ok(())
    }

    fn forget_starts(&mut self, consumer: &str, id: &Id) -> Result<(), StoreError> {
        let delete = "DELETE FROM inbox_start WHERE consumer = ?1 AND id = ?2";
        self.change(delete, (consumer, id.as_str()))?;
        reach("sqlite.inbox.starts_forgotten");
        Ok(())
    }

    fn quarantine(
        &mut self,
        consumer: &str,
        id: &Id,
        started: u32,
        reason: &str,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let insert = format!(
            "INSERT INTO inbox_quarantine (consumer, id, started, reason, since, delivery, body) \
             VALUES (?1, ?2, ?3, ?4, {NOW}, ?5, ?6) ON CONFLICT DO NOTHING"
        );
        let (stored, body) = (delivery.to_stored(), &delivery.body()[..]);
        let row = (consumer, id.as_str(), started, reason, stored, body);
        self.change(&insert, row)?;
        reach("sqlite.inbox.quarantined");
        Ok(())
    }

    fn quarantined(&mut self, consumer: &str, id: &Id) -> Result<Option<Quarantined>, StoreError> {
        let select = format!("{QUARANTINE} WHERE consumer = ?1 AND id = ?2");
        let found = self.find(&select, (consumer, id.as_str()), quarantined)?;
        found.transpose()
    }

    fn leave_quarantine(&mut self, consumer: &str, id: &Id) -> Result<bool, StoreError> {
        let delete = "DELETE FROM inbox_quarantine WHERE consumer = ?1 AND id = ?2";
        let gone = self.change(delete, (consumer, id.as_str()))? > 0;
        reach("sqlite.inbox.left_quarantine");
        Ok(gone)
    }

    fn watermark(&mut self, stream: &Stream<'_>) -> Result<Watermark, StoreError> {
        let select = "SELECT through, epoch, ahead, rejected, missing_since FROM inbox_watermark \
                      WHERE consumer = ?1 AND source = ?2 AND tenant = ?3 AND key = ?4";
        let found = self.find(select, stored(stream), |row| watermark(row, 0))?;
        found.unwrap_or_else(|| Ok(Watermark::default()))
    }

    fn remember(&mut self, stream: &Stream<'_>, watermark: &Watermark) -> Result<(), StoreError> {
        let upsert = "INSERT INTO inbox_watermark (consumer, source, tenant, key, through, epoch, \
                      ahead, rejected, missing_since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                      ON CONFLICT DO UPDATE SET through = excluded.through, \
                      epoch = excluded.epoch, ahead = excluded.ahead, \
                      rejected = excluded.rejected, missing_since = excluded.missing_since";
        let (consumer, source, tenant, key) = stored(stream);
        let row = (
            consumer,
            source,
            tenant,
            key,
            watermark.through.cast_signed(),
            watermark.epoch.0.cast_signed(),
            watermark.ahead.to_string(),
            watermark.rejected.map(|number| number.get().cast_signed()),
            watermark.missing_since.map(Timestamp::as_micros),
        );
        self.change(upsert, row)?;
        reach("sqlite.inbox.remembered");
        Ok(())
    }

    fn hold(
        &mut self,
        stream: &Stream<'_>,
        number: u64,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO inbox_held (consumer, source, tenant, key, number, delivery, body) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (consumer, source, tenant, key) = stored(stream);
        let number = number.cast_signed();
        let (rest, body) = (delivery.to_stored(), &delivery.body()[..]);
        self.change(insert, (consumer, source, tenant, key, number, rest, body))?;
        reach("sqlite.inbox.held");
        Ok(())
    }

    fn take_held(
        &mut self,
        stream: &Stream<'_>,
        through: u64,
    ) -> Result<Vec<(u64, Delivery)>, StoreError> {
        let (consumer, source, tenant, key) = stored(stream);
        let of = (consumer, source, tenant, key, through.cast_signed());
        let mut select = self.statement(
            "SELECT number, delivery, body FROM inbox_held WHERE consumer = ?1 AND source = ?2 \
             AND tenant = ?3 AND key = ?4 AND number <= ?5 ORDER BY number",
        )?;
        let due = select.query_map(of.clone(), |row| {
            let (number, rest, body): (i64, String, Vec<u8>) = row.try_into()?;
            Ok((number, rest, body))
        });
        let due: Result<Vec<_>, _> = due.map_err(store_error)?.collect();
        let due = due.map_err(store_error)?.into_iter();
        let due = due.map(|(number, rest, body)| {
            let delivery = Delivery::from_stored(&rest, body).map_err(corrupt)?;
            Ok((number.cast_unsigned(), delivery))
        });
        let due = due.collect::<Result<Vec<_>, StoreError>>()?;
        let delete = "DELETE FROM inbox_held WHERE consumer = ?1 AND source = ?2 AND tenant = ?3 \
                      AND key = ?4 AND number <= ?5";
        self.change(delete, of)?;
        reach("sqlite.inbox.taken");
        Ok(due)
    }

    fn sweep(&mut self, retention: Duration, at_most: usize) -> Result<usize, StoreError> {
        let retention = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX / 2);
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        // The rows of the oldest stand together: no others are read.
        let seen = format!(
            "DELETE FROM inbox_seen WHERE first_seen < {NOW} - ?1 AND rowid IN \
             (SELECT rowid FROM inbox_seen ORDER BY rowid LIMIT ?2)"
        );
        let forgotten = self.change(&seen, (retention, at_most))?;
        reach("sqlite.inbox.swept");
        // Few, or something is wrong: all of them are read.
        let started = format!(
            "DELETE FROM inbox_start WHERE (consumer, id) IN \
             (SELECT consumer, id FROM inbox_start WHERE at < {NOW} - ?1 LIMIT ?2)"
        );
        self.change(&started, (retention, at_most))?;
        Ok(forgotten)
    }

    fn peek(&mut self, most: usize) -> Result<Vec<Quarantined>, StoreError> {
        rows::peek(self.tx.connection(), most)
    }

    fn waiting(&mut self, most: usize) -> Result<Vec<Waiting>, StoreError> {
        rows::waiting(self.tx.connection(), most)
    }
}
