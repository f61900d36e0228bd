//! What is written of a saga under a lease.

use std::sync::LazyLock;
use std::time::Duration;

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::{Append, Appended, Change, Lease, Record, SagaId, Stage, Wake};
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::leases::{columns, is_held};
use super::row;
use super::work::{SagaWork, Undone};
use crate::database::{NOW, now};
use crate::transaction::Transaction;

/// One statement looks at both: whether the lease is held, and how the saga
/// stands. Within it, all that asks for the time gets the same.
///
/// It finds nothing if there is no such saga. With an outer join instead, it
/// took four times as long, and SQLite compiled it anew now and then.
pub(super) static STANDS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {NOW}, \
         EXISTS (SELECT 1 FROM saga_lease WHERE bucket = ?1 AND owner = ?2 AND epoch = ?3 \
                 AND until > {NOW}), \
         id, length, stage, wake IS NULL, ended IS NOT NULL, result \
         FROM saga WHERE saga = ?4"
    )
});

/// Of a saga that goes on where it was: no index changes.
pub(super) const GO_ON: &str = "\
UPDATE saga SET length = ?2, changed = ?3, loads = iif(?4, 0, loads), \
       result = coalesce(?5, result) \
WHERE id = ?1";

pub(super) const MOVE: &str = "\
UPDATE saga SET length = ?2, changed = ?3, loads = iif(?4, 0, loads), \
       result = coalesce(?5, result), stage = ?6, wake = ?7, ended = ?8 \
WHERE id = ?1";

pub(super) const LINE: &str = "\
INSERT INTO saga_event (saga, seq, kind, step, item, attempt, data, mail, epoch, at) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const WRITTEN: &str = "\
SELECT kind, step, item, attempt, data, mail FROM saga_event \
WHERE saga = ?1 AND seq > ?2 AND seq <= ?3 AND epoch = ?4 ORDER BY seq";

const READ: &str = "\
DELETE FROM saga_mail WHERE saga = ?1 AND nth IN \
(SELECT nth FROM saga_mail WHERE saga = ?1 ORDER BY nth LIMIT ?2)";

const IS_MAILED: &str = "\
UPDATE saga SET mailed = (SELECT at FROM saga_mail WHERE saga = ?1 ORDER BY nth LIMIT 1) \
WHERE saga = ?1";

/// Appends a change, in a transaction.
pub(super) fn append(
    tx: &mut Transaction<'_>,
    lease: &Lease,
    append: &Append,
) -> rusqlite::Result<Appended> {
    let Append {
        saga,
        after,
        change,
        read,
    } = append;
    let stands = Stands::look(tx, lease, *saga)?;
    if !stands.held {
        return Ok(Appended::Lost);
    }
    let Some(found) = &stands.saga else {
        return Ok(Appended::Conflict);
    };
    if found.is_written(tx, lease, append)? {
        return Ok(Appended::Held);
    }
    if !found.is_open_at(*after) {
        return Ok(Appended::Conflict);
    }
    reach("sqlite.saga.fenced");
    found.change(tx, lease, change, stands.now)?;
    wake_for(tx, change);
    if *read > 0 {
        let saga = saga.0.as_bytes();
        tx.prepare_cached(READ)?.execute((saga, read))?;
        reach("sqlite.saga.read");
        tx.prepare_cached(IS_MAILED)?.execute([saga])?;
    }
    Ok(Appended::Held)
}

/// Does work and appends what it returns, in a transaction that is rolled back
/// on an error.
///
/// The lease is looked at before the work, so that one who has lost it begins
/// nothing, and again when it is done. In between, nobody can have followed:
/// who claims the bucket writes, and nobody else writes before this
/// transaction has ended, in this process or another. But the lease may have
/// ended by the clock, which is enough for nothing to be written; and the work
/// is the user's, and may itself have changed these tables. If the lease ends
/// after that second look, before the group has committed, all is well: who
/// follows can claim only after the commit, and finds what was written.
pub(super) fn append_with(
    tx: &mut Transaction<'_>,
    lease: &Lease,
    saga: SagaId,
    after: u64,
    work: SagaWork,
) -> Result<Change, Undone> {
    fence(tx, lease, saga, after)?;
    reach("sqlite.saga.fenced");
    let change = work.execute(tx).map_err(Undone::Faulted)?;
    reach("sqlite.saga.worked");
    let (now, found) = fence(tx, lease, saga, after)?;
    found.change(tx, lease, &change, now)?;
    wake_for(tx, &change);
    Ok(change)
}

/// Who has said when the saga is due need not be who looks then.
fn wake_for(tx: &mut Transaction<'_>, change: &Change) {
    let is_due = !change.stage.is_end() && change.wake != Wake::Held;
    if is_due && change.wake != Wake::In(Duration::MAX) {
        tx.wake_sagas();
    }
}

/// That the lease is held, and the log as long as it is thought to be.
fn fence(
    connection: &Connection,
    lease: &Lease,
    saga: SagaId,
    after: u64,
) -> Result<(Timestamp, Found), Undone> {
    let stands = Stands::look(connection, lease, saga)?;
    match stands.saga {
        _ if !stands.held => Err(Undone::Lost),
        Some(found) if found.is_open_at(after) => Ok((stands.now, found)),
        _ => Err(Undone::Conflict),
    }
}

/// What a lease and a saga are at this moment.
struct Stands {
    now: Timestamp,
    held: bool,
    saga: Option<Found>,
}

impl Stands {
    fn look(connection: &Connection, lease: &Lease, saga: SagaId) -> rusqlite::Result<Self> {
        // No lease is good for another bucket's sagas.
        let is_of_bucket = lease.bucket == saga.bucket();
        let (bucket, owner, epoch) = columns(lease);
        let mut stands = connection.prepare_cached(&STANDS)?;
        let stands = stands.query_row((bucket, owner, epoch, saga.0.as_bytes()), |row| {
            Ok(Stands {
                now: Timestamp::from_micros(row.get(0)?),
                held: is_of_bucket && row.get(1)?,
                saga: Some(Found::read(row, saga)?),
            })
        });
        if let Some(stands) = stands.optional()? {
            return Ok(stands);
        }
        let now = now(connection)?;
        Ok(Stands {
            now,
            held: is_of_bucket && is_held(connection, lease, now)?,
            saga: None,
        })
    }
}

/// A saga that is there.
struct Found {
    saga: SagaId,
    id: i64,
    length: u64,
    /// None if it is called something that this release does not know.
    stage: Option<Stage>,
    /// Somebody has it, or it has ended.
    sleeps_not: bool,
    has_ended: bool,
    result: Option<Vec<u8>>,
}

impl Found {
    fn read(row: &Row<'_>, saga: SagaId) -> rusqlite::Result<Self> {
        Ok(Found {
            saga,
            id: row.get(2)?,
            length: row.get::<_, i64>(3)?.cast_unsigned(),
            stage: Stage::from_stored(row.get_ref(4)?.as_str()?),
            sleeps_not: row.get(5)?,
            has_ended: row.get(6)?,
            result: row.get(7)?,
        })
    }

    fn is_open_at(&self, after: u64) -> bool {
        !self.has_ended && self.length == after
    }

    /// Whether this was appended before, under the same lease. What has no
    /// lines, and is no end, is written again: that changes nothing.
    fn is_written(
        &self,
        connection: &Connection,
        lease: &Lease,
        append: &Append,
    ) -> rusqlite::Result<bool> {
        let Append { after, change, .. } = append;
        let until = after.saturating_add(change.records.len() as u64);
        if self.length < until || self.is_open_at(*after) {
            return Ok(false);
        }
        if self.length == until {
            let result = change.result.as_deref();
            let is_so = result.is_none() || result == self.result.as_deref();
            if self.stage != Some(change.stage) || !is_so {
                return Ok(false);
            }
        } else if change.records.is_empty() {
            return Ok(false);
        }
        let mut written = connection.prepare_cached(WRITTEN)?;
        let (_, _, epoch) = columns(lease);
        let (after, until) = (after.cast_signed(), until.cast_signed());
        let saga = self.saga;
        let written = written.query_map((saga.0.as_bytes(), after, until, epoch), |row| {
            row::record(row, saga, 0)
        })?;
        let written = written.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(written == change.records)
    }

    /// Writes a change, of which it is known that it may be written.
    fn change(
        &self,
        connection: &Connection,
        lease: &Lease,
        change: &Change,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        let length = self.length.cast_signed() + change.records.len() as i64;
        let at = now.as_micros();
        let wake = until(change, now);
        let result = change.result.as_deref();
        let goes_on = self.sleeps_not
            && wake.is_none()
            && !change.stage.is_end()
            && self.stage == Some(change.stage);
        if goes_on {
            let mut go_on = connection.prepare_cached(GO_ON)?;
            go_on.execute((self.id, length, at, change.progress, result))?;
        } else {
            let ended = change.stage.is_end().then_some(at);
            connection.prepare_cached(MOVE)?.execute((
                self.id,
                length,
                at,
                change.progress,
                result,
                change.stage.as_str(),
                wake.map(Timestamp::as_micros),
                ended,
            ))?;
        }
        reach("sqlite.saga.changed");
        record(
            connection,
            self.saga,
            self.length,
            &change.records,
            lease,
            now,
        )
    }
}

/// When a saga is looked at after a change; never, if somebody has it or it
/// has ended.
pub(super) fn until(change: &Change, now: Timestamp) -> Option<Timestamp> {
    match change.wake {
        _ if change.stage.is_end() => None,
        Wake::Held => None,
        Wake::In(time) => Some(now.saturating_add(time)),
    }
}

/// Writes lines behind so many.
pub(super) fn record(
    connection: &Connection,
    saga: SagaId,
    after: u64,
    records: &[Record],
    lease: &Lease,
    now: Timestamp,
) -> rusqlite::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let mut line = connection.prepare_cached(LINE)?;
    let (_, _, epoch) = columns(lease);
    for (seq, record) in (after.cast_signed() + 1..).zip(records) {
        line.execute((
            saga.0.as_bytes(),
            seq,
            record.kind.as_str(),
            &*record.step,
            record.item,
            record.attempt,
            &record.data[..],
            record.mail.as_ref().map(Uuid::as_bytes),
            epoch,
            now.as_micros(),
        ))?;
        reach("sqlite.saga.recorded");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::tests::plan;

    #[test]
    fn an_append_reads_the_lease_and_the_saga() {
        let plan = plan(&STANDS);
        let lease = "SEARCH saga_lease USING INTEGER PRIMARY KEY (rowid=?)";
        let saga = "SEARCH saga USING INDEX sqlite_autoindex_saga_1 (saga=?)";
        assert!(plan.contains(lease) && plan.contains(saga), "{plan}");
        assert!(!plan.contains("SCAN saga"), "{plan}");
    }

    /// What is the same as before need not be taken out and put in again.
    #[test]
    fn a_saga_that_goes_on_changes_no_index() {
        let connection = rusqlite::Connection::open_in_memory().expect("opens");
        let tables = crate::saga::schema();
        connection.execute_batch(&tables).expect("tables");
        let changes = |sql: &str| {
            let mut program = connection.prepare(&format!("EXPLAIN {sql}")).expect("SQL");
            let parameters = vec![0; program.parameter_count()];
            let opcodes = program.query_map(rusqlite::params_from_iter(parameters), |row| {
                row.get::<_, String>(1)
            });
            let opcodes = opcodes
                .expect("a program")
                .map(|opcode| opcode.expect("text"));
            opcodes.filter(|opcode| opcode.starts_with("Idx")).count()
        };
        assert_eq!(changes(GO_ON), 0);
        assert!(changes(MOVE) > 0);
    }

    #[test]
    fn what_is_written_is_found_by_its_key() {
        for (sql, expected) in [
            (GO_ON, "SEARCH saga USING INTEGER PRIMARY KEY (rowid=?)"),
            (MOVE, "SEARCH saga USING INTEGER PRIMARY KEY (rowid=?)"),
            (
                WRITTEN,
                "SEARCH saga_event USING PRIMARY KEY (saga=? AND seq>? AND seq<?)",
            ),
        ] {
            assert_eq!(plan(sql), expected, "{sql}");
        }
        for sql in [READ, IS_MAILED] {
            let plan = plan(sql);
            assert!(!plan.contains("SCAN") && !plan.contains("B-TREE"), "{plan}");
        }
    }
}
