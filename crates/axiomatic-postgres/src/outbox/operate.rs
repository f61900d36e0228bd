//! What an operator sees and does, statement by statement.
//!
//! There is no counter of what waits: it would be a row that every producer
//! updates, and all of them would take turns. Nor is there an index by number,
//! which every message would have to enter and leave. So what asks for the
//! whole backlog reads the whole table; see [`Outbox`](super::Outbox).

use std::time::Duration;

use axiomatic_coordination::outbox::{
    Backlog, Blocked, Bucket, DeadLetter, Epoch, Holding, Ids, Lane, RelayId, Replay, Scope,
    Waiting,
};
use axiomatic_coordination::{MessageId, StoreError};

use super::row::{self, COLUMNS, columns};
use crate::options::Schema;
use crate::wire::{Param, Row, damaged};

/// How many rows of the archive one replay looks at, and how many it publishes
/// once more, at most: 150 ms for ten thousand small ones, measured.
pub(super) const REPLAY_LOOKS_AT: usize = 10_000;

/// What the tables that hold messages have in common.
const STORED: &str = columns!();

/// The columns of a message that begins anew with what it had.
const LASTING: &str = "topic, key, tenant, body, headers, trace_parent, trace_state";

/// A lane that is not ready, as [`blocked_lane`] reads it.
const BLOCK: &str = "\
    l.lane, \
    (extract(epoch FROM l.blocked_until - clock_timestamp()) * 1000000)::int8, \
    l.cause, l.error, l.since";

/// What makes it so: blocks that have ended are left until somebody tidies.
const IS_BLOCKED: &str = "(l.blocked_until IS NULL OR l.blocked_until > clock_timestamp())";

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) backlog: String,
    pub(super) leases: String,
    pub(super) pause: String,
    pub(super) resume: String,
    pub(super) paused: String,
    pub(super) peek: String,
    pub(super) blocked: String,
    pub(super) unblock: String,
    pub(super) dead: String,
    pub(super) requeue: String,
    pub(super) discard: String,
    pub(super) replay: String,
}

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        Sql {
            backlog: backlog_sql(schema),
            leases: format!(
                "SELECT bucket::int4, epoch, owner, \
                   CASE WHEN owner IS NOT NULL AND until > clock_timestamp() THEN \
                     (extract(epoch FROM until - clock_timestamp()) * 1000000)::int8 \
                   ELSE 0::int8 END \
                 FROM {schema}.outbox_lease ORDER BY bucket"
            ),
            pause: format!(
                "INSERT INTO {schema}.outbox_pause (kind, which) VALUES ($1::text, $2::text) \
                 ON CONFLICT DO NOTHING"
            ),
            resume: format!(
                "DELETE FROM {schema}.outbox_pause WHERE kind = $1::text AND which = $2::text \
                 RETURNING kind"
            ),
            paused: format!(
                "SELECT kind, which FROM {schema}.outbox_pause \
                 ORDER BY kind COLLATE \"C\", which COLLATE \"C\""
            ),
            peek: format!(
                "SELECT o.*, {BLOCK} \
                 FROM (SELECT {STORED} FROM {schema}.outbox ORDER BY id LIMIT $1::int8) o \
                 LEFT JOIN {schema}.outbox_lane l ON l.lane = o.lane AND {IS_BLOCKED} \
                 ORDER BY o.id"
            ),
            blocked: format!(
                "SELECT {BLOCK} FROM {schema}.outbox_lane l WHERE {IS_BLOCKED} \
                 ORDER BY l.since, l.lane LIMIT $1::int8"
            ),
            unblock: unblock_sql(schema),
            dead: format!(
                "SELECT {STORED}, cause, error, since FROM {schema}.outbox_dead \
                 ORDER BY id LIMIT $1::int8"
            ),
            requeue: format!(
                "WITH {dead}, \
                 gone AS (DELETE FROM {schema}.outbox_dead d USING dead WHERE d.id = dead.id \
                   RETURNING d.*), \
                 again AS (INSERT INTO {schema}.outbox \
                     (lane, message_id, sequence, first, {LASTING}) \
                   SELECT lane, message_id, sequence, first, {LASTING} FROM gone ORDER BY id \
                   RETURNING 1) \
                 SELECT count(*) FROM again",
                dead = dead_sql(schema),
            ),
            discard: format!(
                "WITH {dead}, \
                 gone AS (DELETE FROM {schema}.outbox_dead d USING dead WHERE d.id = dead.id \
                   RETURNING 1) \
                 SELECT count(*) FROM gone",
                dead = dead_sql(schema),
            ),
            replay: replay_sql(schema),
        }
    }
}

/// Everything in one look, so that the numbers agree.
fn backlog_sql(schema: &Schema) -> String {
    format!(
        "SELECT messages, parked, \
           (SELECT count(*) FROM {schema}.outbox_lane WHERE blocked_until IS NULL), \
           (SELECT count(*) FROM {schema}.outbox_lane WHERE blocked_until > clock_timestamp()), \
           (SELECT count(*) FROM {schema}.outbox_dead), \
           (extract(epoch FROM clock_timestamp() - oldest) * 1000000)::int8 \
         FROM (SELECT count(*) AS messages, count(l.lane) AS parked, \
             min(o.enqueued_at) FILTER (WHERE l.lane IS NULL) AS oldest \
           FROM {schema}.outbox o LEFT JOIN {schema}.outbox_lane l \
             ON l.lane = o.lane AND l.blocked_until IS NULL) waiting"
    )
}

/// Under the lock of the bucket's lease, as settlements are: they change the
/// lane and its first message too, and who takes locks in another order may
/// wait for whoever waits for it.
fn unblock_sql(schema: &Schema) -> String {
    format!(
        "WITH held AS MATERIALIZED (SELECT bucket FROM {schema}.outbox_lease \
             WHERE bucket = $2::int4 FOR UPDATE), \
         unblocked AS (DELETE FROM {schema}.outbox_lane \
           WHERE lane = $1::int8 AND (SELECT count(*) FROM held) >= 0 RETURNING lane), \
         afresh AS (UPDATE {schema}.outbox o SET failures = 0, started = 0 FROM unblocked \
           WHERE o.lane = unblocked.lane AND o.id = \
             (SELECT min(id) FROM {schema}.outbox WHERE lane = $1::int8) \
           RETURNING 1) \
         SELECT count(*) FROM unblocked"
    )
}

/// Dead letters, locked in order: two who ask for the same wait for each
/// other, and the second finds none.
fn dead_sql(schema: &Schema) -> String {
    format!(
        "dead AS MATERIALIZED (SELECT id FROM {schema}.outbox_dead \
           WHERE id = ANY($1::int8[]) ORDER BY id FOR UPDATE)"
    )
}

/// Looks at some rows of the archive, and inserts those that are wanted; with
/// other ids and lanes, if any are given, by their place among these.
fn replay_sql(schema: &Schema) -> String {
    format!(
        "WITH looked AS MATERIALIZED (SELECT id, topic, key FROM {schema}.outbox_archive \
             WHERE id > $1::int8 ORDER BY id LIMIT $2::int8), \
         wanted AS MATERIALIZED (SELECT id, row_number() OVER (ORDER BY id) AS nth FROM looked \
             WHERE ($3::text IS NULL OR topic = $3::text) \
               AND ($4::text IS NULL OR key = $4::text) \
             ORDER BY id LIMIT $5::int8), \
         again AS (INSERT INTO {schema}.outbox (lane, message_id, sequence, first, {LASTING}) \
           SELECT CASE WHEN a.key IS NULL THEN coalesce(new.lane, a.lane) ELSE a.lane END, \
             coalesce(new.message_id, a.message_id), \
             CASE WHEN new.message_id IS NULL THEN a.sequence END, \
             CASE WHEN new.message_id IS NULL THEN a.first END, {LASTING} \
           FROM wanted JOIN {schema}.outbox_archive a ON a.id = wanted.id \
           LEFT JOIN unnest($6::uuid[], $7::int8[]) WITH ORDINALITY AS new (message_id, lane, nth) \
             ON new.nth = wanted.nth \
           ORDER BY a.id) \
         SELECT CASE \
           WHEN (SELECT count(*) FROM wanted) < $5::int8 \
             AND (SELECT count(*) FROM looked) = $2::int8 THEN (SELECT max(id) FROM looked) \
           ELSE (SELECT max(id) FROM wanted) END"
    )
}

/// What is bound to a replay.
pub(super) fn replay_params(what: &Replay, most: usize) -> Vec<Param> {
    let most = most.min(REPLAY_LOOKS_AT);
    let new = match what.ids {
        Ids::Same => Vec::new(),
        Ids::New => (0..most).map(|_| MessageId::unique()).collect(),
    };
    vec![
        Param::new(what.after.0),
        Param::new(limit(REPLAY_LOOKS_AT)),
        Param::nullable(what.topic.as_deref()),
        Param::nullable(what.key.as_deref()),
        Param::new(limit(most)),
        Param::array(new.iter().copied()),
        Param::array(new.iter().map(|id| Lane::of_message(*id).to_stored())),
    ]
}

pub(super) fn backlog(row: &Row) -> Result<Backlog, StoreError> {
    let count = |column| Ok::<_, StoreError>(row.get::<i64>(column)?.cast_unsigned());
    Ok(Backlog {
        messages: count(0)?,
        parked: count(1)?,
        parked_lanes: count(2)?,
        blocked_lanes: count(3)?,
        dead: count(4)?,
        lag: row.nullable(5)?.map_or(Duration::ZERO, micros),
    })
}

pub(super) fn holding(row: &Row) -> Result<Holding, StoreError> {
    let bucket = row.get::<i32>(0)?;
    let bucket = u16::try_from(bucket).map_err(|_| damaged(format!("a bucket {bucket}")))?;
    let owner = row.nullable::<String>(2)?;
    Ok(Holding {
        bucket: Bucket(bucket),
        epoch: Epoch(row.get::<i64>(1)?.cast_unsigned()),
        owner: owner.map(|owner| RelayId::from_stored(&owner)),
        left: micros(row.get(3)?),
    })
}

pub(super) fn scope(row: &Row) -> Result<Scope, StoreError> {
    let (kind, which) = (row.get::<String>(0)?, row.get::<String>(1)?);
    let scope = Scope::from_stored(&kind, &which);
    scope.ok_or_else(|| damaged(format!("a pause of {kind:?} {which:?}")))
}

pub(super) fn waiting(row: &Row) -> Result<Waiting, StoreError> {
    let is_blocked = row.nullable::<i64>(COLUMNS)?.is_some();
    let blocked = is_blocked.then(|| blocked_lane(row, COLUMNS));
    Ok(Waiting {
        stored: row::stored(row)?,
        blocked: blocked.transpose()?,
    })
}

/// A lane that is not ready, from this column on.
pub(super) fn blocked_lane(row: &Row, at: usize) -> Result<Blocked, StoreError> {
    let cause = row.nullable::<String>(at + 2)?;
    Ok(Blocked {
        lane: Lane::from_stored(row.get(at)?),
        left: row.nullable(at + 1)?.map(micros),
        cause: cause.map(|cause| row::cause(&cause)).transpose()?,
        error: row.get::<String>(at + 3)?.into(),
        since: row.get(at + 4)?,
    })
}

pub(super) fn dead_letter(row: &Row) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        stored: row::stored(row)?,
        cause: row::cause(&row.get::<String>(COLUMNS)?)?,
        error: row.get::<String>(COLUMNS + 1)?.into(),
        since: row.get(COLUMNS + 2)?,
    })
}

/// At most so many rows, for PostgreSQL.
pub(super) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).cast_unsigned())
}
