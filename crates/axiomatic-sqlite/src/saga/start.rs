//! Sagas that begin.

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::{Change, Lease, Start, Started};
use rusqlite::Connection;

use super::append::{self, until};
use super::leases;
use crate::database::now;
use crate::transaction::Transaction;

/// Of a saga that is begun under a lease. Without the lease it has no bucket,
/// and nothing is inserted, as if there were one of its id.
const INSERT_HELD: &str = "\
INSERT OR IGNORE INTO saga (saga, bucket, stage, length, loads, wake, mailed, started, changed, \
       ended, deadline, name, version, hash, input, result) \
VALUES (?1, (SELECT bucket FROM saga_lease WHERE bucket = ?2 AND owner = ?13 AND epoch = ?14 \
        AND until > ?5), \
       ?3, ?4, 0, ?6, NULL, ?5, ?5, ?7, ?8, ?9, ?10, ?11, ?12, ?15)";

const INSERT: &str = "\
INSERT INTO saga (saga, bucket, stage, length, loads, wake, mailed, started, changed, ended, \
       deadline, name, version, hash, input, result) \
VALUES (?1, ?2, 'running', 0, 0, ?3, NULL, ?3, ?3, NULL, ?4, ?5, ?6, ?7, ?8, NULL) \
ON CONFLICT (saga) DO NOTHING";

const IS_SAME: &str = "SELECT name = ?2 AND input = ?3 FROM saga WHERE saga = ?1";

/// Begins a saga, held by a lease if there is one that is held.
pub(super) fn start(
    tx: &mut Transaction<'_>,
    start: &Start,
    held: Option<&(Lease, Change)>,
) -> rusqlite::Result<Started> {
    reach("sqlite.saga.starting");
    if let Some((lease, change)) = held {
        let now = tx.began()?;
        if start_held(tx, start, lease, change, now)? {
            return Ok(Started::Held);
        }
    }
    // The user's transaction may have begun long ago.
    let now = now(tx)?;
    let deadline = start.deadline.map(|within| now.saturating_add(within));
    let inserted = tx.prepare_cached(INSERT)?.execute((
        start.saga.0.as_bytes(),
        start.saga.bucket().0,
        now.as_micros(),
        deadline.map(Timestamp::as_micros),
        &*start.definition.name,
        start.definition.version,
        start.definition.hash.cast_signed(),
        &start.input[..],
    ))?;
    if inserted == 0 {
        return is_same(tx, start);
    }
    reach("sqlite.saga.started");
    tx.wake_sagas();
    Ok(Started::Waits)
}

/// Begins one, unless the lease is lost or there is one of its id.
fn start_held(
    connection: &Connection,
    start: &Start,
    lease: &Lease,
    change: &Change,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let saga = start.saga;
    if lease.bucket != saga.bucket() {
        return Ok(false);
    }
    let (bucket, owner, epoch) = leases::columns(lease);
    let deadline = start.deadline.map(|within| now.saturating_add(within));
    let ended = change.stage.is_end().then(|| now.as_micros());
    let inserted = connection.prepare_cached(INSERT_HELD)?.execute((
        saga.0.as_bytes(),
        bucket,
        change.stage.as_str(),
        change.records.len() as i64,
        now.as_micros(),
        until(change, now).map(Timestamp::as_micros),
        ended,
        deadline.map(Timestamp::as_micros),
        &*start.definition.name,
        start.definition.version,
        start.definition.hash.cast_signed(),
        &start.input[..],
        owner,
        epoch,
        change.result.as_deref(),
    ))?;
    if inserted == 0 {
        return Ok(false);
    }
    reach("sqlite.saga.started");
    append::record(connection, saga, 0, &change.records, lease, now)?;
    Ok(true)
}

fn is_same(connection: &Connection, start: &Start) -> rusqlite::Result<Started> {
    let mut is_same = connection.prepare_cached(IS_SAME)?;
    let (saga, name, input) = (
        start.saga.0.as_bytes(),
        &*start.definition.name,
        &start.input[..],
    );
    match is_same.query_row((saga, name, input), |row| row.get(0))? {
        true => Ok(Started::Before),
        false => Ok(Started::Other),
    }
}

#[cfg(test)]
mod tests {
    use axiomatic_coordination::outbox::Epoch;
    use axiomatic_coordination::saga::{
        Append, Appended, Definition, ExecutorId, Kind, Record, SagaId, Stage, Wake,
    };
    use rusqlite::StatementStatus;

    use super::*;
    use crate::options::Options;
    use crate::saga::tests::plan;
    use crate::transaction::Group;

    #[test]
    fn a_saga_of_the_same_id_is_found_by_it() {
        let expected = "SEARCH saga USING INDEX sqlite_autoindex_saga_1 (saga=?)";
        assert_eq!(plan(IS_SAME), expected);
    }

    /// SQLite does that, unasked, where it has looked at a parameter's value to
    /// choose an index; one of an append's was, and took most of its time.
    #[test]
    fn what_is_asked_for_each_saga_is_compiled_once() {
        let connection = Connection::open_in_memory().expect("opens");
        let tables = crate::saga::schema();
        connection.execute_batch(&tables).expect("tables");
        let owner = ExecutorId::new("host");
        let lease = "UPDATE saga_lease SET owner = ?1, epoch = bucket, until = ?2";
        let leased = connection.execute(lease, (owner.as_str(), i64::MAX));
        assert_eq!(leased.expect("leases"), 64);
        let mut group = Group::new(&Options::new());
        let mut tx = Transaction::new(&connection, &mut group);
        for _ in 0..200 {
            let saga = SagaId::unique();
            let lease = Lease {
                bucket: saga.bucket(),
                epoch: Epoch(saga.bucket().0.into()),
                owner: owner.clone(),
            };
            let record = Record {
                kind: Kind::Done,
                step: "book".into(),
                item: 0,
                attempt: 1,
                data: "17".into(),
                mail: None,
            };
            let change = Change {
                records: vec![record],
                stage: Stage::Running,
                wake: Wake::Held,
                result: None,
                progress: true,
            };
            let begins = Start {
                saga,
                definition: Definition {
                    name: "transfer".into(),
                    version: 1,
                    hash: 17,
                },
                input: "17".into(),
                deadline: None,
                held: None,
            };
            let held = (lease.clone(), change.clone());
            let started = start(&mut tx, &begins, Some(&held)).expect("starts");
            assert_eq!(started, Started::Held);
            for (after, stage) in [(1, Stage::Running), (2, Stage::Done)] {
                let change = Change {
                    stage,
                    ..change.clone()
                };
                let append = Append {
                    saga,
                    after,
                    change,
                    read: 0,
                };
                let appended = append::append(&mut tx, &lease, &append).expect("appends");
                assert_eq!(appended, Appended::Held);
            }
        }
        // One for each, and one for each line.
        for (sql, runs) in [
            (INSERT_HELD, 200),
            (append::GO_ON, 200),
            (append::MOVE, 200),
            (append::LINE, 600),
        ] {
            let statement = connection.prepare_cached(sql).expect("is SQL");
            assert_eq!(statement.get_status(StatementStatus::Run), runs, "{sql}");
            let anew = statement.get_status(StatementStatus::RePrepare);
            assert_eq!(anew, 0, "{sql}");
        }
    }
}
