//! What is written of a saga under a lease.

use std::time::Duration;

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::{Append, Appended, Change, Lease, Record, SagaId, Stage, Wake};
use rusqlite::Connection;
use uuid::Uuid;

use super::leases::columns;
use super::lock::leave_lines;
use super::stands::{Stands, fence};
use super::work::{SagaWork, Undone};
use crate::database::now;
use crate::transaction::Transaction;

/// That the lease is held: the statement that writes compares it.
macro_rules! held {
    () => {
        "EXISTS (SELECT 1 FROM saga_lease WHERE bucket = ?7 AND owner = ?8 AND epoch = ?9 \
         AND until > ?10)"
    };
}

/// A saga that goes on where it was, and as it was: no index changes.
pub(super) const GO_ON: &str = concat!(
    "UPDATE saga SET length = ?3, changed = ?10, loads = iif(?4, 0, loads), \
     result = coalesce(?5, result) \
     WHERE saga = ?1 AND length = ?2 AND stage = ?6 AND wake IS NULL AND ended IS NULL AND ",
    held!()
);

/// One that comes elsewhere: it sleeps, turns, ends, is parked. Letters of one
/// that is parked do not make it due, and do again when it goes on. The index of
/// those that have mail changes with `ended` in any case. The letters are looked
/// for by the row's own id: with the parameter there, SQLite compiled this anew
/// for each saga.
pub(super) const MOVE: &str = concat!(
    "UPDATE saga SET length = ?3, changed = ?10, loads = iif(?4, 0, loads), \
     result = coalesce(?5, result), stage = ?6, wake = ?11, ended = ?12, \
     mailed = iif(?13, NULL, iif(stage <> 'parked', mailed, \
     (SELECT at FROM saga_mail AS m WHERE m.saga = saga.saga ORDER BY nth LIMIT 1))) \
     WHERE saga = ?1 AND length = ?2 AND ended IS NULL AND ",
    held!()
);

pub(super) const LINE: &str = "\
INSERT INTO saga_event (saga, seq, kind, step, item, attempt, data, mail, epoch, at) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

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
    let now = tx.began()?;
    if !write(tx, lease, *saga, *after, change, now)? {
        return match Stands::look(tx, lease, *saga)? {
            stands if !stands.held => Ok(Appended::Lost),
            Stands { saga: None, .. } => Ok(Appended::Conflict),
            Stands {
                saga: Some(found), ..
            } => found.answer(tx, lease, append),
        };
    }
    wake_for(tx, change);
    if *read > 0 {
        let saga = saga.0.as_bytes();
        tx.prepare_cached(READ)?.execute((saga, read))?;
        reach("sqlite.saga.read");
        // Those of one that is parked are put off.
        if change.stage != Stage::Parked {
            tx.prepare_cached(IS_MAILED)?.execute([saga])?;
        }
    }
    if change.stage.is_end() {
        leave_lines(tx, *saga)?;
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
    let now = now(tx)?;
    if !write(tx, lease, saga, after, &change, now)? {
        fence(tx, lease, saga, after)?;
        return Err(Undone::Lost);
    }
    wake_for(tx, &change);
    if change.stage.is_end() {
        leave_lines(tx, saga)?;
    }
    Ok(change)
}

/// Writes a change, if the lease is held at that time and the saga stands
/// there, open; otherwise nothing.
fn write(
    connection: &Connection,
    lease: &Lease,
    saga: SagaId,
    after: u64,
    change: &Change,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    // No lease is good for another bucket's sagas.
    if lease.bucket != saga.bucket() {
        return Ok(false);
    }
    let (bucket, owner, epoch) = columns(lease);
    let (key, after) = (saga.0.as_bytes(), after.cast_signed());
    let length = after.saturating_add(change.records.len() as i64);
    let (stage, at) = (change.stage.as_str(), now.as_micros());
    let result = change.result.as_deref();
    let wake = until(change, now);
    let ends = change.stage.is_end();
    let mut is_written = false;
    let is_parked = change.stage == Stage::Parked;
    if wake.is_none() && !ends && !is_parked {
        let mut go_on = connection.prepare_cached(GO_ON)?;
        is_written = 1
            == go_on.execute((
                key,
                after,
                length,
                change.progress,
                result,
                stage,
                bucket,
                owner,
                epoch,
                at,
            ))?;
    }
    if !is_written {
        let (wake, ended) = (wake.map(Timestamp::as_micros), ends.then_some(at));
        let mut elsewhere = connection.prepare_cached(MOVE)?;
        is_written = 1
            == elsewhere.execute((
                key,
                after,
                length,
                change.progress,
                result,
                stage,
                bucket,
                owner,
                epoch,
                at,
                wake,
                ended,
                is_parked,
            ))?;
    }
    if is_written {
        reach("sqlite.saga.changed");
        record(connection, saga, after, &change.records, lease, now)?;
    }
    Ok(is_written)
}

/// Who has said when the saga is due need not be who looks then. One that is
/// parked leaves nobody anything to do, and whoever looks later finds it.
fn wake_for(tx: &mut Transaction<'_>, change: &Change) {
    let goes_on = !change.stage.is_end() && change.stage != Stage::Parked;
    let is_due = goes_on && change.wake != Wake::Held;
    if is_due && change.wake != Wake::In(Duration::MAX) {
        tx.wake_sagas();
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
    after: i64,
    records: &[Record],
    lease: &Lease,
    now: Timestamp,
) -> rusqlite::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let mut line = connection.prepare_cached(LINE)?;
    let (_, _, epoch) = columns(lease);
    for (seq, record) in (after + 1..).zip(records) {
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
        for sql in [GO_ON, MOVE] {
            let plan = plan(sql);
            let lease = "SEARCH saga_lease USING INTEGER PRIMARY KEY (rowid=?)";
            let saga = "SEARCH saga USING INDEX sqlite_autoindex_saga_1 (saga=?)";
            assert!(plan.contains(lease) && plan.contains(saga), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
        }
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
            let changes = ["IdxInsert", "IdxDelete"];
            opcodes
                .filter(|opcode| changes.contains(&&**opcode))
                .count()
        };
        assert_eq!(changes(GO_ON), 0);
        assert!(changes(MOVE) > 0);
    }

    #[test]
    fn letters_that_were_read_are_found_by_their_key() {
        for sql in [READ, IS_MAILED, MOVE] {
            let plan = plan(sql);
            assert!(!plan.contains("SCAN") && !plan.contains("B-TREE"), "{plan}");
        }
    }
}
