//! Sagas that begin.

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::{Change, Lease, Stage, Start, Started};
use rusqlite::Connection;

use super::append::{self, until};
use super::leases;
use crate::database::now;
use crate::transaction::Transaction;

const INSERT: &str = "\
INSERT INTO saga (saga, bucket, stage, length, loads, wake, mailed, started, changed, ended, \
       deadline, name, version, hash, input, result) \
VALUES (?1, ?2, ?3, ?4, 0, ?5, NULL, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
ON CONFLICT (saga) DO NOTHING";

const IS_SAME: &str = "SELECT name = ?2 AND input = ?3 FROM saga WHERE saga = ?1";

/// Begins a saga, held by a lease if there is one that is held.
pub(super) fn start(
    tx: &mut Transaction<'_>,
    start: &Start,
    held: Option<&(Lease, Change)>,
) -> rusqlite::Result<Started> {
    let now = now(tx)?;
    let saga = start.saga;
    let held = match held {
        Some((lease, change))
            if lease.bucket == saga.bucket() && leases::is_held(tx, lease, now)? =>
        {
            Some((lease, change))
        }
        _ => None,
    };
    reach("sqlite.saga.starting");
    let stage = held.map_or(Stage::Running, |(_, change)| change.stage);
    let wake = match held {
        Some((_, change)) => until(change, now),
        None => Some(now),
    };
    let records = held.map_or(&[][..], |(_, change)| &change.records);
    let deadline = start.deadline.map(|within| now.saturating_add(within));
    let inserted = tx.prepare_cached(INSERT)?.execute((
        saga.0.as_bytes(),
        saga.bucket().0,
        stage.as_str(),
        records.len() as i64,
        wake.map(Timestamp::as_micros),
        now.as_micros(),
        stage.is_end().then(|| now.as_micros()),
        deadline.map(Timestamp::as_micros),
        &*start.definition.name,
        start.definition.version,
        start.definition.hash.cast_signed(),
        &start.input[..],
        held.and_then(|(_, change)| change.result.as_deref()),
    ))?;
    if inserted == 0 {
        return is_same(tx, start);
    }
    reach("sqlite.saga.started");
    let Some((lease, _)) = held else {
        tx.wake_sagas();
        return Ok(Started::Waits);
    };
    append::record(tx, saga, 0, records, lease, now)?;
    Ok(Started::Held)
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
    use super::*;
    use crate::saga::tests::plan;

    #[test]
    fn a_saga_of_the_same_id_is_found_by_it() {
        let expected = "SEARCH saga USING INDEX sqlite_autoindex_saga_1 (saga=?)";
        assert_eq!(plan(IS_SAME), expected);
    }
}
