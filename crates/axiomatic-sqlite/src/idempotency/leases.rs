//! What is written for a lease, in a transaction.
//!
//! SQLite has one writer at a time, in whatever process: a lease that is held
//! when a transaction looks is held until it commits.

use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::idempotency::{Fence, Lease, Step};
use rusqlite::{Connection, OptionalExtension, Params};

use super::row::steps;
use crate::database::now;

/// That nobody has followed a lease, and that it was not given up. Whether its
/// time is over does not matter as long as nobody has claimed the request.
macro_rules! held {
    () => {
        " WHERE record = ?1 AND epoch = ?2 AND state = 'leased'"
    };
}

const STEPS: &str = concat!("SELECT steps FROM idempotency", held!());

const RENEW: &str = concat!("UPDATE idempotency SET lease_until = ?3", held!());

const APPEND: &str = concat!("UPDATE idempotency SET steps = steps || ?3", held!());

const COMPLETE: &str = concat!(
    "UPDATE idempotency SET state = 'completed', expires_at = ?3, steps = '', request_head = NULL, \
     request_body = NULL, response_head = ?4, response_body = ?5",
    held!()
);

const RELEASE: &str = concat!(
    "UPDATE idempotency SET state = 'released', lease_until = ?3",
    held!()
);

/// Whether it was brought to this state under this lease, and is in it still.
const WAS: &str = "SELECT 1 FROM idempotency WHERE record = ?1 AND epoch = ?2 AND state = ?3";

const SWEEP: &str = "\
DELETE FROM idempotency WHERE record IN \
(SELECT record FROM idempotency \
 WHERE expires_at <= ?1 AND NOT (state = 'leased' AND lease_until > ?1) \
 ORDER BY expires_at LIMIT ?2)";

/// The steps of a request whose lease is held.
pub(super) fn held(connection: &Connection, lease: &Lease) -> rusqlite::Result<Option<Vec<Step>>> {
    let mut held = connection.prepare_cached(STEPS)?;
    let (record, epoch) = columns(lease);
    let held = held.query_row((record, epoch), |row| steps(row, 0));
    held.optional()
}

pub(super) fn renew(
    connection: &Connection,
    lease: &Lease,
    lasts: Duration,
) -> rusqlite::Result<Fence> {
    let until = now(connection)?.saturating_add(lasts).as_micros();
    let (record, epoch) = columns(lease);
    let fence = write(connection, RENEW, (record, epoch, until))?;
    reach("sqlite.idempotency.renewed");
    Ok(fence)
}

pub(super) fn record(
    connection: &Connection,
    lease: &Lease,
    step: &Step,
) -> rusqlite::Result<Fence> {
    let Some(steps) = held(connection, lease)? else {
        return Ok(Fence::Lost);
    };
    if steps.iter().any(|before| before.name == step.name) {
        return Ok(Fence::Held);
    }
    append(connection, lease, step)
}

/// Appends a step of which it is known that it is not there.
pub(super) fn append(
    connection: &Connection,
    lease: &Lease,
    step: &Step,
) -> rusqlite::Result<Fence> {
    let (record, epoch) = columns(lease);
    let fence = write(connection, APPEND, (record, epoch, step.line()))?;
    reach("sqlite.idempotency.recorded");
    Ok(fence)
}

/// Completes it; the response is given as its head and its body.
pub(super) fn complete(
    connection: &Connection,
    lease: &Lease,
    (head, body): (&str, &[u8]),
    retention: Duration,
) -> rusqlite::Result<Fence> {
    let expires_at = now(connection)?.saturating_add(retention).as_micros();
    let (record, epoch) = columns(lease);
    let completed = write(
        connection,
        COMPLETE,
        (record, epoch, expires_at, head, body),
    )?;
    reach("sqlite.idempotency.completed");
    or_was(connection, lease, completed, "completed")
}

pub(super) fn release(connection: &Connection, lease: &Lease) -> rusqlite::Result<Fence> {
    let (record, epoch) = columns(lease);
    let at = now(connection)?.as_micros();
    let released = write(connection, RELEASE, (record, epoch, at))?;
    reach("sqlite.idempotency.released");
    or_was(connection, lease, released, "released")
}

/// Forgets at most so many.
pub(super) fn sweep(connection: &Connection, at_most: usize) -> rusqlite::Result<usize> {
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    let now = now(connection)?.as_micros();
    let forgotten = connection.prepare_cached(SWEEP)?.execute((now, at_most))?;
    reach("sqlite.idempotency.swept");
    Ok(forgotten)
}

fn write(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Fence> {
    match connection.prepare_cached(sql)?.execute(params)? {
        0 => Ok(Fence::Lost),
        _ => Ok(Fence::Held),
    }
}

/// Held as well if the same was asked before.
fn or_was(
    connection: &Connection,
    lease: &Lease,
    fence: Fence,
    state: &str,
) -> rusqlite::Result<Fence> {
    if fence == Fence::Held {
        return Ok(fence);
    }
    let (record, epoch) = columns(lease);
    let mut was = connection.prepare_cached(WAS)?;
    match was.exists((record, epoch, state))? {
        true => Ok(Fence::Held),
        false => Ok(Fence::Lost),
    }
}

fn columns(lease: &Lease) -> (&[u8; 16], i64) {
    (lease.record.as_bytes(), lease.epoch.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idempotency::tests::plan;

    #[test]
    fn what_is_written_for_a_lease_is_found_by_its_record() {
        for sql in [STEPS, RENEW, APPEND, COMPLETE, RELEASE, WAS] {
            assert!(plan(sql).contains("(record=?)"), "{}", plan(sql));
        }
    }

    #[test]
    fn a_sweep_reads_what_it_forgets() {
        let plan = plan(SWEEP);
        assert!(plan.contains("USING INDEX idempotency_expiry"), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("B-TREE"), "{plan}");
    }
}
