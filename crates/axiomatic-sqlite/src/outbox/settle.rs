//! What became of messages, under the lease that their bucket is held by.

use axiomatic_coordination::outbox::{
    Attempt, Bucket, Buckets, Failure, Fate, RelayId, Settled, Settlement,
};
use axiomatic_coordination::{Timestamp, crash_points};
use rusqlite::Connection;

use super::Keep;
use super::leases::is_held;
use super::row::{columns, now};

const START: &str = "\
UPDATE outbox SET started = ?3 WHERE id = ?1 AND lane = ?2";

const ARCHIVE: &str = concat!(
    "INSERT INTO outbox_archive (",
    columns!(),
    ", published_at) \
     SELECT ",
    columns!(),
    ", ?3 FROM outbox WHERE id = ?1 AND lane = ?2"
);

const BURY: &str = concat!(
    "INSERT INTO outbox_dead (",
    columns!(),
    ", cause, error, since) \
     SELECT ",
    columns!(),
    ", ?3, ?4, ?5 FROM outbox WHERE id = ?1 AND lane = ?2"
);

const DELETE: &str = "DELETE FROM outbox WHERE id = ?1 AND lane = ?2";

const FAIL: &str = "\
UPDATE outbox SET failures = failures + ?3, started = 0 WHERE id = ?1 AND lane = ?2";

/// What keeps a lane goes with the lane's first row, and stays if another row
/// of it goes.
const CLEAR: &str = "\
DELETE FROM outbox_lane WHERE lane = ?1 AND blocked_until IS NOT NULL \
AND ?2 = (SELECT min(id) FROM outbox WHERE lane = ?1)";

/// How long a lane waits is said by its first row, as it was said last; what is
/// said of another row only makes it longer. A parked lane stays parked.
const BLOCK: &str = "\
INSERT INTO outbox_lane (lane, blocked_until, cause, error, since) \
VALUES (?1, ?2, ?3, coalesce(?4, 'the outcome is not known'), ?5) \
ON CONFLICT (lane) DO UPDATE SET cause = coalesce(?3, cause), error = coalesce(?4, error), \
blocked_until = iif( \
  blocked_until IS NOT NULL AND ?6 = (SELECT min(id) FROM outbox WHERE lane = ?1), \
  excluded.blocked_until, max(blocked_until, excluded.blocked_until))";

const ANY_LANE: &str = "SELECT 1 FROM outbox_lane";

const FEWER: &str = "UPDATE outbox_backlog SET messages = messages - ?1 WHERE one = 1";

/// Writes down that these attempts begin, in buckets that are held still,
/// and returns those.
pub(super) fn start(
    connection: &Connection,
    relay: &RelayId,
    rows: &[Settlement<Attempt>],
    buckets: Buckets,
) -> rusqlite::Result<Vec<Bucket>> {
    let now = now(connection)?;
    let mut start = connection.prepare_cached(START)?;
    let mut kept = Vec::new();
    for Settlement { lease, rows } in rows {
        if !is_held(connection, relay, lease, now)? {
            continue;
        }
        kept.push(lease.bucket);
        let is_of_it = |attempt: &&Attempt| buckets.of(attempt.lane) == lease.bucket;
        for Attempt { lane, row, number } in rows.iter().filter(is_of_it) {
            start.execute((row.0, lane.to_stored(), number))?;
            crash_points::reach("sqlite.start.counted");
        }
    }
    Ok(kept)
}

/// Writes down what became of messages, in buckets that are held still, and
/// returns those.
pub(super) fn settle(
    connection: &Connection,
    relay: &RelayId,
    fates: &[Settlement<Settled>],
    buckets: Buckets,
    keep: Keep,
) -> rusqlite::Result<Vec<Bucket>> {
    let now = now(connection)?;
    let mut kept = Vec::new();
    let mut settled = Vec::new();
    for Settlement { lease, rows } in fates {
        if is_held(connection, relay, lease, now)? {
            kept.push(lease.bucket);
            let is_of_it = |settled: &&Settled| buckets.of(settled.lane) == lease.bucket;
            settled.extend(rows.iter().filter(is_of_it));
        }
    }
    crash_points::reach("sqlite.settle.fenced");
    // Rows that go, go first: a lane is kept by a row that stays.
    remove(connection, &settled, keep, now)?;
    for settled in settled {
        match &settled.fate {
            Fate::Published | Fate::Buried(_) => {}
            Fate::Again { after, failure } => {
                let until = Some(now.saturating_add(*after));
                hold(connection, settled, until, failure.as_ref(), now)?;
            }
            Fate::Parked(failure) => hold(connection, settled, None, Some(failure), now)?,
        }
    }
    Ok(kept)
}

/// Takes away the rows that are published or given up, one by one: one
/// statement for 8 or 32 of them, or for all by `json_each`, was no faster. In
/// the order of their numbers, since neighbours share a page.
fn remove(
    connection: &Connection,
    settled: &[&Settled],
    keep: Keep,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let now = now.as_micros();
    let goes = |fate: &Fate| matches!(fate, Fate::Published | Fate::Buried(_));
    let going = settled.iter().filter(|settled| goes(&settled.fate));
    let mut going: Vec<&Settled> = going.copied().collect();
    if going.is_empty() {
        return Ok(());
    }
    going.sort_by_key(|settled| settled.row);
    let some_lanes_wait = connection.prepare_cached(ANY_LANE)?.exists(())?;
    let mut clear = connection.prepare_cached(CLEAR)?;
    let mut delete = connection.prepare_cached(DELETE)?;
    let mut removed: i64 = 0;
    for settled in going {
        let (row, lane) = (settled.row.0, settled.lane.to_stored());
        match (&settled.fate, keep) {
            (Fate::Buried(Failure { cause, error }), _) => {
                // The last attempt failed like those before it.
                connection.prepare_cached(FAIL)?.execute((row, lane, 1))?;
                let mut bury = connection.prepare_cached(BURY)?;
                bury.execute((row, lane, cause.as_str(), &**error, now))?;
                crash_points::reach("sqlite.settle.buried");
            }
            (_, Keep::Archive(_)) => {
                connection
                    .prepare_cached(ARCHIVE)?
                    .execute((row, lane, now))?;
                crash_points::reach("sqlite.settle.archived");
            }
            (_, Keep::Nothing) => {}
        }
        if some_lanes_wait {
            clear.execute((lane, row))?;
        }
        removed += delete.execute((row, lane))? as i64;
        crash_points::reach("sqlite.settle.deleted");
    }
    if removed > 0 {
        connection.prepare_cached(FEWER)?.execute([removed])?;
    }
    crash_points::reach("sqlite.settle.counted");
    Ok(())
}

/// A row stays, and its lane waits: until then, or for an operator.
fn hold(
    connection: &Connection,
    settled: &Settled,
    until: Option<Timestamp>,
    failure: Option<&Failure>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let lane = settled.lane.to_stored();
    let mut fail = connection.prepare_cached(FAIL)?;
    let failures = u8::from(failure.is_some());
    if fail.execute((settled.row.0, lane, failures))? == 0 {
        // It is not there: it was settled otherwise before.
        return Ok(());
    }
    crash_points::reach("sqlite.settle.failed");
    connection.prepare_cached(BLOCK)?.execute((
        lane,
        until.map(Timestamp::as_micros),
        failure.map(|failure| failure.cause.as_str()),
        failure.map(|failure| &*failure.error),
        now.as_micros(),
        settled.row.0,
    ))?;
    crash_points::reach("sqlite.settle.blocked");
    Ok(())
}
