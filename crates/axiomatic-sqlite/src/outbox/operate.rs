//! What an operator sees and does, statement by statement.

use std::time::Duration;

use axiomatic_coordination::outbox::{
    Backlog, Blocked, Bucket, DeadLetter, Epoch, Holding, Ids, Lane, RelayId, Replay, RowId, Scope,
    Waiting,
};
use axiomatic_coordination::{MessageId, Timestamp, crash_points};
use rusqlite::{CachedStatement, Connection, Row};

use super::row::{self, COLUMNS, columns, damaged, now};

/// All but the lag, which is the age of the oldest message that waits for no
/// operator. Messages of parked lanes are counted in the index of lanes.
const BACKLOG: &str = "\
SELECT \
  (SELECT messages FROM outbox_backlog WHERE one = 1), \
  (SELECT count(*) FROM outbox_lane CROSS JOIN outbox ON outbox.lane = outbox_lane.lane \
   WHERE blocked_until IS NULL), \
  (SELECT count(*) FROM outbox_lane WHERE blocked_until IS NULL), \
  (SELECT count(*) FROM outbox_lane WHERE blocked_until > ?1), \
  (SELECT count(*) FROM outbox_dead), \
  (SELECT enqueued_at FROM outbox WHERE NOT EXISTS \
    (SELECT 1 FROM outbox_lane WHERE outbox_lane.lane = outbox.lane AND blocked_until IS NULL) \
   ORDER BY id LIMIT 1)";

const LEASES: &str = "SELECT bucket, epoch, owner, until FROM outbox_lease ORDER BY bucket";

const PAUSE: &str = "INSERT OR IGNORE INTO outbox_pause (kind, which) VALUES (?1, ?2)";

const RESUME: &str = "DELETE FROM outbox_pause WHERE kind = ?1 AND which = ?2";

const PAUSED: &str = "SELECT kind, which FROM outbox_pause ORDER BY kind, which";

const PEEK: &str = concat!("SELECT ", columns!(), " FROM outbox ORDER BY id LIMIT ?1");

const BLOCK: &str = "\
SELECT lane, blocked_until, cause, error, since FROM outbox_lane \
WHERE lane = ?1 AND (blocked_until IS NULL OR blocked_until > ?2)";

const BLOCKED: &str = "\
SELECT lane, blocked_until, cause, error, since FROM outbox_lane \
WHERE blocked_until IS NULL OR blocked_until > ?1 ORDER BY since, lane LIMIT ?2";

const UNBLOCK: &str = "DELETE FROM outbox_lane WHERE lane = ?1";

const AFRESH: &str = "\
UPDATE outbox SET failures = 0, started = 0 \
WHERE id = (SELECT min(id) FROM outbox WHERE lane = ?1)";

const DEAD: &str = concat!(
    "SELECT ",
    columns!(),
    ", cause, error, since FROM outbox_dead ORDER BY id LIMIT ?1"
);

/// The columns of a message that begins anew, but for those that are bound.
macro_rules! lasting {
    () => {
        "topic, key, tenant, body, headers, trace_parent, trace_state"
    };
}

macro_rules! again {
    ($from:literal) => {
        concat!(
            "INSERT INTO outbox (lane, message_id, sequence, first, enqueued_at, ",
            lasting!(),
            ") SELECT lane, message_id, sequence, first, ?2, ",
            lasting!(),
            " FROM ",
            $from,
            " WHERE id = ?1"
        )
    };
}

const REQUEUE: &str = again!("outbox_dead");

const REPLAY: &str = again!("outbox_archive");

const REPLAY_AS_NEW: &str = concat!(
    "INSERT INTO outbox (lane, message_id, enqueued_at, ",
    lasting!(),
    ") SELECT ?3, ?4, ?2, ",
    lasting!(),
    " FROM outbox_archive WHERE id = ?1"
);

const DISCARD: &str = "DELETE FROM outbox_dead WHERE id = ?1";

const ARCHIVED: &str = "\
SELECT id, lane, topic, key FROM outbox_archive WHERE id > ?1 ORDER BY id LIMIT ?2";

const MORE: &str = "UPDATE outbox_backlog SET messages = messages + ?1 WHERE one = 1";

/// How many rows of the archive one replay looks at, at most, to find those
/// that are wanted: some milliseconds of the writer's time. Not measured.
const REPLAY_LOOKS_AT: usize = 10_000;

/// How much waits, and for how long. What stands in parked lanes is counted
/// row by row, and passed over in search of the oldest that does not.
pub(super) fn backlog(connection: &Connection) -> rusqlite::Result<Backlog> {
    let now = now(connection)?;
    let mut backlog = connection.prepare_cached(BACKLOG)?;
    backlog.query_row([now.as_micros()], |row| {
        let oldest = row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros);
        Ok(Backlog {
            messages: row.get::<_, i64>(0)?.max(0).cast_unsigned(),
            parked: row.get::<_, i64>(1)?.cast_unsigned(),
            parked_lanes: row.get::<_, i64>(2)?.cast_unsigned(),
            blocked_lanes: row.get::<_, i64>(3)?.cast_unsigned(),
            dead: row.get::<_, i64>(4)?.cast_unsigned(),
            lag: oldest.map_or(Duration::ZERO, |oldest| now.saturating_since(oldest)),
        })
    })
}

/// Who holds which bucket.
pub(super) fn leases(connection: &Connection) -> rusqlite::Result<Vec<Holding>> {
    let now = now(connection)?;
    let mut leases = connection.prepare_cached(LEASES)?;
    let holdings = leases.query_map((), |row| {
        let owner = row.get_ref(2)?.as_str_or_null()?;
        let until = Timestamp::from_micros(row.get(3)?);
        Ok(Holding {
            bucket: Bucket(row.get(0)?),
            epoch: Epoch(row.get::<_, i64>(1)?.cast_unsigned()),
            owner: owner.map(RelayId::from_stored),
            left: match owner {
                Some(_) => until.saturating_since(now),
                None => Duration::ZERO,
            },
        })
    })?;
    holdings.collect()
}

/// Pauses, if it is not paused already.
pub(super) fn pause(connection: &Connection, what: &Scope) -> rusqlite::Result<()> {
    connection
        .prepare_cached(PAUSE)?
        .execute(what.to_stored())?;
    Ok(())
}

/// Ends a pause; returns whether there was one.
pub(super) fn resume(connection: &Connection, what: &Scope) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(RESUME)?
        .execute(what.to_stored())?;
    Ok(changed > 0)
}

/// What is paused.
pub(super) fn paused(connection: &Connection) -> rusqlite::Result<Vec<Scope>> {
    let mut paused = connection.prepare_cached(PAUSED)?;
    let scopes = paused.query_map((), |row| {
        let (kind, which) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        Scope::from_stored(kind, which)
            .ok_or_else(|| damaged(format!("a pause of {kind:?} {which:?}")))
    })?;
    scopes.collect()
}

/// The messages that wait, the oldest first.
pub(super) fn peek(connection: &Connection, most: usize) -> rusqlite::Result<Vec<Waiting>> {
    let snapshot = connection.unchecked_transaction()?;
    let now = now(&snapshot)?;
    let mut block = snapshot.prepare_cached(BLOCK)?;
    let mut peek = snapshot.prepare_cached(PEEK)?;
    let mut rows = peek.query([limit(most)])?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        let stored = row::stored(row)?;
        let mut blocks = block.query((stored.lane.to_stored(), now.as_micros()))?;
        let blocked = blocks
            .next()?
            .map(|row| blocked_lane(row, now))
            .transpose()?;
        waiting.push(Waiting { stored, blocked });
    }
    Ok(waiting)
}

/// The lanes that are not ready, those first that have not been for longest.
pub(super) fn blocked(connection: &Connection, most: usize) -> rusqlite::Result<Vec<Blocked>> {
    let now = now(connection)?;
    let mut blocked = connection.prepare_cached(BLOCKED)?;
    let lanes = blocked.query_map((now.as_micros(), limit(most)), |row| blocked_lane(row, now))?;
    lanes.collect()
}

fn blocked_lane(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Blocked> {
    let until = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_micros);
    let cause = row.get_ref(2)?.as_str_or_null()?;
    Ok(Blocked {
        lane: Lane::from_stored(row.get(0)?),
        left: until.map(|until| until.saturating_since(now)),
        cause: cause.map(row::cause).transpose()?,
        error: row.get(3)?,
        since: Timestamp::from_micros(row.get(4)?),
    })
}

/// A lane is ready again, its first message with all its attempts. Returns
/// whether it was blocked.
pub(super) fn unblock(connection: &Connection, lane: Lane) -> rusqlite::Result<bool> {
    let lane = lane.to_stored();
    let unblocked = connection.prepare_cached(UNBLOCK)?.execute([lane])?;
    crash_points::reach("sqlite.unblock.unblocked");
    if unblocked > 0 {
        connection.prepare_cached(AFRESH)?.execute([lane])?;
    }
    Ok(unblocked > 0)
}

/// The dead letters, the oldest first.
pub(super) fn dead(connection: &Connection, most: usize) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut dead = connection.prepare_cached(DEAD)?;
    let letters = dead.query_map([limit(most)], |row| {
        Ok(DeadLetter {
            stored: row::stored(row)?,
            cause: row::cause(row.get_ref(COLUMNS)?.as_str()?)?,
            error: row.get(COLUMNS + 1)?,
            since: Timestamp::from_micros(row.get(COLUMNS + 2)?),
        })
    })?;
    letters.collect()
}

/// Dead letters wait again, behind all others, and in the order they had among
/// themselves. Returns how many there were.
pub(super) fn requeue(connection: &Connection, rows: &[RowId]) -> rusqlite::Result<u64> {
    let now = now(connection)?.as_micros();
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    let mut requeue = connection.prepare_cached(REQUEUE)?;
    let mut discard = connection.prepare_cached(DISCARD)?;
    let mut requeued = 0;
    for row in rows {
        requeued += requeue.execute((row.0, now))? as u64;
        crash_points::reach("sqlite.requeue.inserted");
        discard.execute([row.0])?;
    }
    grow(connection, requeued)?;
    Ok(requeued)
}

/// Dead letters are thrown away. Returns how many there were.
pub(super) fn discard(connection: &Connection, rows: &[RowId]) -> rusqlite::Result<u64> {
    let mut discard = connection.prepare_cached(DISCARD)?;
    let mut discarded = 0;
    for row in rows {
        discarded += discard.execute([row.0])? as u64;
    }
    Ok(discarded)
}

/// What the archive holds of this waits once more. Returns from where to go
/// on: the last that was wanted, or, if many were looked at and not enough of
/// them wanted, the last that was looked at.
pub(super) fn replay(
    connection: &Connection,
    what: &Replay,
    most: usize,
) -> rusqlite::Result<Option<RowId>> {
    if most == 0 {
        return Ok(None);
    }
    let found = wanted(connection, what, most)?;
    let now = now(connection)?.as_micros();
    let mut replay: CachedStatement<'_> = match what.ids {
        Ids::Same => connection.prepare_cached(REPLAY)?,
        Ids::New => connection.prepare_cached(REPLAY_AS_NEW)?,
    };
    let mut replayed = 0;
    for Archived { id, lane, has_key } in &found.rows {
        replayed += match what.ids {
            Ids::Same => replay.execute((id, now))?,
            Ids::New => {
                let new = MessageId::unique();
                let lane = match has_key {
                    true => *lane,
                    false => Lane::of_message(new),
                };
                replay.execute((id, now, lane.to_stored(), new.into_bytes()))?
            }
        } as u64;
        crash_points::reach("sqlite.replay.inserted");
    }
    grow(connection, replayed)?;
    Ok(found.go_on.map(RowId))
}

/// What of the archive is wanted.
#[derive(Default)]
struct Wanted {
    rows: Vec<Archived>,
    go_on: Option<i64>,
}

struct Archived {
    id: i64,
    lane: Lane,
    has_key: bool,
}

fn wanted(connection: &Connection, what: &Replay, most: usize) -> rusqlite::Result<Wanted> {
    let looks_at = REPLAY_LOOKS_AT.max(most);
    let mut archived = connection.prepare_cached(ARCHIVED)?;
    let mut rows = archived.query((what.after.0, limit(looks_at)))?;
    let mut wanted = Wanted::default();
    let mut looked_at = 0;
    while let Some(row) = rows.next()? {
        looked_at += 1;
        let id = row.get(0)?;
        let (topic, key) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str_or_null()?);
        let is_wanted = what.topic.as_deref().is_none_or(|wanted| wanted == topic)
            && what.key.as_deref().is_none_or(|wanted| Some(wanted) == key);
        if is_wanted {
            wanted.rows.push(Archived {
                id,
                lane: Lane::from_stored(row.get(1)?),
                has_key: key.is_some(),
            });
            wanted.go_on = Some(id);
        }
        if wanted.rows.len() == most {
            break;
        }
        if looked_at == looks_at {
            wanted.go_on = Some(id);
        }
    }
    Ok(wanted)
}

/// Counts rows that were inserted.
fn grow(connection: &Connection, rows: u64) -> rusqlite::Result<()> {
    if rows > 0 {
        connection
            .prepare_cached(MORE)?
            .execute([rows.cast_signed()])?;
    }
    Ok(())
}

/// At most so many rows, for SQLite, to which less than none is no limit.
fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
