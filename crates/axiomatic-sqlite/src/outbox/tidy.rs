//! What is kept no longer.

use std::time::Duration;

use axiomatic_coordination::crash_points;
use axiomatic_coordination::outbox::Lane;
use rusqlite::Connection;

use super::Keep;
use super::row::{damaged, now};

/// How many rows of each table are thrown away at once: the writer does
/// nothing else for as long as that takes, some milliseconds. Not measured.
const AT_ONCE: usize = 1000;

const RELAYS: &str = "DELETE FROM outbox_relay WHERE until <= ?1";

const ARCHIVE: &str = "\
DELETE FROM outbox_archive WHERE id IN \
(SELECT id FROM outbox_archive WHERE published_at < ?1 ORDER BY published_at LIMIT ?2)";

const QUIET: &str = "\
SELECT tenant, key FROM outbox_sequence WHERE at < ?1 ORDER BY at LIMIT ?2";

const WAITS: &str = "SELECT 1 FROM outbox WHERE lane = ?1";

const FORGET: &str = "DELETE FROM outbox_sequence WHERE tenant = ?1 AND key = ?2";

const NOT_QUIET: &str = "UPDATE outbox_sequence SET at = ?3 WHERE tenant = ?1 AND key = ?2";

/// Throws away a bounded part of it. Returns whether there is more.
pub(super) fn tidy(
    connection: &Connection,
    keep: Keep,
    forget_sequences_after: Duration,
) -> rusqlite::Result<bool> {
    let now = now(connection)?;
    connection
        .prepare_cached(RELAYS)?
        .execute([now.as_micros()])?;
    crash_points::reach("sqlite.tidy.relays");
    let oldest = match keep {
        // What an archive of earlier days holds is not kept.
        Keep::Nothing => now,
        Keep::Archive(retention) => now.saturating_sub(retention),
    };
    let mut archive = connection.prepare_cached(ARCHIVE)?;
    let thrown_away = archive.execute((oldest.as_micros(), AT_ONCE as i64))?;
    crash_points::reach("sqlite.tidy.archive");
    let quiet_since = now.saturating_sub(forget_sequences_after);
    let looked_at = forget(connection, quiet_since.as_micros(), now.as_micros())?;
    Ok(thrown_away == AT_ONCE || looked_at == AT_ONCE)
}

/// Forgets the numbers of keys that have been quiet, unless a message of one
/// waits still: that key is not quiet. Returns how many were looked at.
fn forget(connection: &Connection, quiet_since: i64, now: i64) -> rusqlite::Result<usize> {
    let mut quiet = connection.prepare_cached(QUIET)?;
    let quiet = quiet.query_map((quiet_since, AT_ONCE as i64), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let quiet: Vec<(String, String)> = quiet.collect::<rusqlite::Result<_>>()?;
    let mut waits = connection.prepare_cached(WAITS)?;
    for (tenant, key) in &quiet {
        let named = match tenant.split_at_checked(1) {
            None => None,
            Some(("=", name)) => Some(name),
            Some(_) => return Err(damaged(format!("the tenant {tenant:?} of a sequence"))),
        };
        if waits.exists([Lane::of_key(named, key).to_stored()])? {
            connection
                .prepare_cached(NOT_QUIET)?
                .execute((tenant, key, now))?;
        } else {
            connection.prepare_cached(FORGET)?.execute((tenant, key))?;
            crash_points::reach("sqlite.tidy.forgotten");
        }
    }
    Ok(quiet.len())
}
