//! Who holds which bucket.
//!
//! SQLite has one writer at a time, in whatever process: between what a
//! transaction reads here and its commit, nobody takes a bucket away.

use std::time::Duration;

use axiomatic_coordination::outbox::{Bucket, Buckets, Departing, Epoch, Lease, RelayId, RowId};
use axiomatic_coordination::{Timestamp, crash_points};
use rusqlite::{Connection, OptionalExtension};

use super::row::now;

const ATTEND: &str = "\
INSERT INTO outbox_relay (relay, until) VALUES (?1, ?2) \
ON CONFLICT (relay) DO UPDATE SET until = excluded.until";

const ATTENDING: &str = "SELECT relay FROM outbox_relay WHERE until > ?1 ORDER BY relay";

const DEPART: &str = "DELETE FROM outbox_relay WHERE relay = ?1";

const FOUND: &str = "\
SELECT epoch, owner IS NOT NULL, until, suspect_through FROM outbox_lease WHERE bucket = ?1";

const TAKE: &str = "\
UPDATE outbox_lease SET epoch = ?2, owner = ?3, until = ?4, suspect_through = ?5 WHERE bucket = ?1";

const HELD: &str = "\
SELECT 1 FROM outbox_lease WHERE bucket = ?1 AND owner = ?2 AND epoch = ?3 AND until > ?4";

const RENEW: &str = "\
UPDATE outbox_lease SET until = ?5 \
WHERE bucket = ?1 AND owner = ?2 AND epoch = ?3 AND until > ?4";

const RELEASE: &str = "\
UPDATE outbox_lease SET owner = NULL, until = 0 \
WHERE bucket = ?1 AND owner = ?2 AND epoch = ?3 AND until > ?4";

const LAST_ROW: &str = "SELECT coalesce(max(id), 0) FROM outbox";

/// Writes down that a relay is here, and reads who is.
pub(super) fn attend(
    connection: &Connection,
    relay: &RelayId,
    ttl: Duration,
) -> rusqlite::Result<Vec<RelayId>> {
    let now = now(connection)?;
    let until = now.saturating_add(ttl).as_micros();
    connection
        .prepare_cached(ATTEND)?
        .execute((relay.as_str(), until))?;
    let mut attending = connection.prepare_cached(ATTENDING)?;
    let relays = attending.query_map([now.as_micros()], |row| {
        Ok(RelayId::from_stored(row.get_ref(0)?.as_str()?))
    })?;
    relays.collect()
}

/// Takes those of these buckets that nobody holds.
pub(super) fn claim(
    connection: &Connection,
    relay: &RelayId,
    wanted: &[Bucket],
    ttl: Duration,
) -> rusqlite::Result<Vec<Lease>> {
    let now = now(connection)?;
    let until = now.saturating_add(ttl).as_micros();
    let mut found = connection.prepare_cached(FOUND)?;
    let mut take = connection.prepare_cached(TAKE)?;
    let mut last_row = None;
    let mut taken = Vec::new();
    for bucket in wanted {
        let found = found.query_row([bucket.0], Found::read).optional()?;
        let Some(found) = found.filter(|found| !found.is_held(now)) else {
            continue;
        };
        let mut suspect_through = found.suspect_through;
        if found.owned {
            // Whoever held it may have had any row in flight that was there
            // before its lease ended: those are not after the last one now.
            let last_row = match last_row {
                Some(last_row) => last_row,
                None => *last_row.insert(last_row_id(connection)?),
            };
            suspect_through = suspect_through.max(last_row);
        }
        let epoch = found.epoch + 1;
        take.execute((bucket.0, epoch, relay.as_str(), until, suspect_through))?;
        crash_points::reach("sqlite.claim.taken");
        taken.push(Lease {
            bucket: *bucket,
            epoch: Epoch(epoch.cast_unsigned()),
            suspect_through: RowId(suspect_through),
        });
    }
    Ok(taken)
}

/// Prolongs leases that are held still, and returns their buckets.
pub(super) fn renew(
    connection: &Connection,
    relay: &RelayId,
    leases: &[Lease],
    ttl: Duration,
) -> rusqlite::Result<Vec<Bucket>> {
    let now = now(connection)?;
    let until = now.saturating_add(ttl).as_micros();
    let mut renew = connection.prepare_cached(RENEW)?;
    let mut kept = Vec::new();
    for Lease { bucket, epoch, .. } in leases {
        let epoch = epoch.0.cast_signed();
        if renew.execute((bucket.0, relay.as_str(), epoch, now.as_micros(), until))? == 1 {
            kept.push(*bucket);
        }
    }
    Ok(kept)
}

/// Gives leases back that are held still.
pub(super) fn release(
    connection: &Connection,
    relay: &RelayId,
    leases: &[Lease],
    departing: Departing,
) -> rusqlite::Result<()> {
    let now = now(connection)?.as_micros();
    let mut release = connection.prepare_cached(RELEASE)?;
    for Lease { bucket, epoch, .. } in leases {
        release.execute((bucket.0, relay.as_str(), epoch.0.cast_signed(), now))?;
        crash_points::reach("sqlite.release.given_back");
    }
    if departing == Departing::Yes {
        connection
            .prepare_cached(DEPART)?
            .execute([relay.as_str()])?;
    }
    Ok(())
}

/// Whether a lease is held still: what is done in this transaction is done
/// under it.
pub(super) fn is_held(
    connection: &Connection,
    relay: &RelayId,
    lease: &Lease,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let mut held = connection.prepare_cached(HELD)?;
    let epoch = lease.epoch.0.cast_signed();
    held.exists((lease.bucket.0, relay.as_str(), epoch, now.as_micros()))
}

/// Divides the lanes into so many buckets. Returns whether that is so now:
/// otherwise there are relays which go by another number.
///
/// Lanes change buckets with the number, so what was known of any bucket is
/// taken for all of them: the greatest epoch, and up to where rows are
/// suspect.
pub(super) fn divide(connection: &Connection, buckets: Buckets) -> rusqlite::Result<bool> {
    let count = "SELECT count(*) FROM outbox_lease";
    let found: i64 = connection.query_row(count, (), |row| row.get(0))?;
    if found == i64::from(buckets.count()) {
        return Ok(true);
    }
    let now = now(connection)?;
    let in_use = "\
        SELECT EXISTS (SELECT 1 FROM outbox_lease WHERE owner IS NOT NULL AND until > ?1) \
        OR EXISTS (SELECT 1 FROM outbox_relay WHERE until > ?1)";
    if connection.query_row(in_use, [now.as_micros()], |row| row.get(0))? {
        return Ok(false);
    }
    let all = "\
        SELECT coalesce(max(epoch), 0), coalesce(max(owner IS NOT NULL), 0), 0, \
          coalesce(max(suspect_through), 0) \
        FROM outbox_lease";
    let mut all = connection.query_row(all, (), Found::read)?;
    if all.owned {
        all.suspect_through = all.suspect_through.max(last_row_id(connection)?);
    }
    connection.execute("DELETE FROM outbox_lease", ())?;
    let lease = "\
        INSERT INTO outbox_lease (bucket, epoch, owner, until, suspect_through) \
        VALUES (?1, ?2, NULL, 0, ?3)";
    let mut lease = connection.prepare(lease)?;
    for bucket in buckets.all() {
        lease.execute((bucket.0, all.epoch, all.suspect_through))?;
    }
    Ok(true)
}

/// What stands in a lease's row.
struct Found {
    epoch: i64,
    owned: bool,
    until: Timestamp,
    suspect_through: i64,
}

impl Found {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Found {
            epoch: row.get(0)?,
            owned: row.get(1)?,
            until: Timestamp::from_micros(row.get(2)?),
            suspect_through: row.get(3)?,
        })
    }

    fn is_held(&self, now: Timestamp) -> bool {
        self.owned && self.until > now
    }
}

fn last_row_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(LAST_ROW)?
        .query_row((), |row| row.get(0))
}
