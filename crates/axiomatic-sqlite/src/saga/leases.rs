//! Who is here, and who holds which bucket.
//!
//! SQLite has one writer at a time, in whatever process: a lease that is held
//! when a transaction looks is followed by nobody before that transaction has
//! ended.

use std::time::Duration;

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::{Bucket, Epoch};
use axiomatic_coordination::saga::{Attended, Departing, ExecutorId, Lease};
use rusqlite::{Connection, OptionalExtension};

use crate::database::now;

const ATTEND: &str = "\
INSERT INTO saga_executor (executor, until) VALUES (?1, ?2) \
ON CONFLICT (executor) DO UPDATE SET until = excluded.until";

// There are 64 leases, and as many executors at most that have one: they are
// read whole.
const ATTENDING: &str = "SELECT executor FROM saga_executor WHERE until > ?1 ORDER BY executor";

const PROLONG: &str = "UPDATE saga_lease SET until = ?3 WHERE owner = ?1 AND until > ?2";

const HELD_BY: &str = "\
SELECT bucket, epoch FROM saga_lease WHERE owner = ?1 AND until > ?2 ORDER BY bucket";

const DEPART: &str = "DELETE FROM saga_executor WHERE executor = ?1";

pub(super) const FORGET: &str = "DELETE FROM saga_executor WHERE until <= ?1";

/// Nobody's; or the executor's own, which asks again.
const TAKE: &str = "\
UPDATE saga_lease SET epoch = epoch + (owner IS NULL OR until <= ?4), owner = ?2, until = ?3 \
WHERE bucket = ?1 AND (owner IS NULL OR until <= ?4 OR owner = ?2) RETURNING epoch";

const EPOCH: &str = "SELECT epoch FROM saga_lease WHERE bucket = ?1";

/// What somebody had is there for who follows.
const HAND_OVER: &str = "\
UPDATE saga SET wake = ?2 WHERE bucket = ?1 AND wake IS NULL AND ended IS NULL";

const RELEASE: &str = "\
UPDATE saga_lease SET owner = NULL, until = 0 \
WHERE bucket = ?1 AND owner = ?2 AND epoch = ?3 AND until > ?4";

pub(super) const HELD: &str = "\
SELECT 1 FROM saga_lease WHERE bucket = ?1 AND owner = ?2 AND epoch = ?3 AND until > ?4";

pub(super) fn attend(
    connection: &Connection,
    executor: &ExecutorId,
    ttl: Duration,
) -> rusqlite::Result<Attended> {
    let now = now(connection)?;
    let (until, now) = (now.saturating_add(ttl).as_micros(), now.as_micros());
    let name = executor.as_str();
    connection.prepare_cached(ATTEND)?.execute((name, until))?;
    reach("sqlite.saga.attended");
    connection
        .prepare_cached(PROLONG)?
        .execute((name, now, until))?;
    reach("sqlite.saga.prolonged");
    let mut attending = connection.prepare_cached(ATTENDING)?;
    let executors = attending.query_map([now], |row| {
        Ok(ExecutorId::from_stored(row.get_ref(0)?.as_str()?))
    })?;
    let executors = executors.collect::<rusqlite::Result<_>>()?;
    let mut held = connection.prepare_cached(HELD_BY)?;
    // One that was to last no time has ended.
    let leases = held.query_map((name, now), |row| {
        Ok(Lease {
            bucket: Bucket(row.get(0)?),
            epoch: Epoch(row.get::<_, i64>(1)?.cast_unsigned()),
            owner: executor.clone(),
        })
    })?;
    let leases = leases.collect::<rusqlite::Result<_>>()?;
    Ok(Attended { executors, leases })
}

pub(super) fn claim(
    connection: &Connection,
    executor: &ExecutorId,
    wanted: &[Bucket],
    ttl: Duration,
) -> rusqlite::Result<Vec<Lease>> {
    let now = now(connection)?;
    let (until, now) = (now.saturating_add(ttl).as_micros(), now.as_micros());
    let mut before = connection.prepare_cached(EPOCH)?;
    let mut take = connection.prepare_cached(TAKE)?;
    let mut hand_over = connection.prepare_cached(HAND_OVER)?;
    let mut taken = Vec::new();
    for bucket in wanted {
        let before: Option<i64> = before.query_row([bucket.0], |row| row.get(0)).optional()?;
        let epoch = take
            .query_row((bucket.0, executor.as_str(), until, now), |row| row.get(0))
            .optional()?;
        let Some(epoch): Option<i64> = epoch else {
            continue;
        };
        reach("sqlite.saga.claimed");
        if before != Some(epoch) {
            hand_over.execute((bucket.0, now))?;
            reach("sqlite.saga.handed_over");
        }
        taken.push(Lease {
            bucket: *bucket,
            epoch: Epoch(epoch.cast_unsigned()),
            owner: executor.clone(),
        });
    }
    Ok(taken)
}

pub(super) fn release(
    connection: &Connection,
    executor: &ExecutorId,
    leases: &[Lease],
    departing: Departing,
) -> rusqlite::Result<()> {
    let now = now(connection)?.as_micros();
    let mut release = connection.prepare_cached(RELEASE)?;
    for lease in leases.iter().filter(|lease| lease.owner == *executor) {
        let (bucket, owner, epoch) = columns(lease);
        release.execute((bucket, owner, epoch, now))?;
        reach("sqlite.saga.released");
    }
    if departing == Departing::Yes {
        connection
            .prepare_cached(DEPART)?
            .execute([executor.as_str()])?;
        reach("sqlite.saga.departed");
    }
    Ok(())
}

/// Whether a lease is held still.
pub(super) fn is_held(
    connection: &Connection,
    lease: &Lease,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let (bucket, owner, epoch) = columns(lease);
    let mut held = connection.prepare_cached(HELD)?;
    held.exists((bucket, owner, epoch, now.as_micros()))
}

/// A lease as its row has it.
pub(super) fn columns(lease: &Lease) -> (u16, &str, i64) {
    let epoch = lease.epoch.0.cast_signed();
    (lease.bucket.0, lease.owner.as_str(), epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::tests::plan;

    #[test]
    fn a_claim_reads_what_it_hands_over() {
        let expected = "SEARCH saga USING INDEX saga_open (bucket=? AND wake=? AND ended=?)";
        assert_eq!(plan(HAND_OVER), expected);
    }

    #[test]
    fn leases_are_found_by_their_buckets() {
        for sql in [EPOCH, TAKE, RELEASE, HELD] {
            let expected = "SEARCH saga_lease USING INTEGER PRIMARY KEY (rowid=?)";
            assert_eq!(plan(sql), expected, "{sql}");
        }
    }
}
