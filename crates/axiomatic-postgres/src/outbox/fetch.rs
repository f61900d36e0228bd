//! What waits and is ready, found without looking at what stands behind it.
//!
//! One statement, and so one snapshot. It walks along the primary key, lane by
//! lane, in steps of a recursion:
//!
//! - A step reads some entries of the index, one behind the other, from where
//!   the last ended: 16 at first; four times as many as the step before, where
//!   that found many lanes with few rows; and only a few more than are taken of
//!   one lane, where it found that one is deep. So a lane in which a hundred
//!   thousand rows stand costs one seek, and many lanes with a row each cost
//!   one scan. Of a step that broke off within a lane that lane is read again
//!   by the next, unless it was the only one: then enough of it was read.
//! - A step keeps of each row its lane and where it is (`ctid`), which is valid
//!   within the snapshot. The rows are loaded by that, those that are taken
//!   only: not those of lanes that are busy or blocked, and none behind the
//!   limit, since a recursion stops as soon as nobody asks for more.
//! - Whether there is a lane that was not looked at is one more seek at the
//!   end, if a limit was reached.
//!
//! # Cost
//!
//! What the server's process computed for one fetch of 500 rows with bodies of
//! 200 bytes, on a busy machine with two processors (PostgreSQL 15, everything
//! in memory, 16 rows of a lane unless said):
//!
//! | what waits | ms |
//! |---|---|
//! | 50,000 lanes with a row each | 3.9 |
//! | the same, by a bare `SELECT … ORDER BY lane, id LIMIT 500` | 2.0 |
//! | 100,000 rows in a lane that is parked, and 50,000 lanes with one | 5.1 |
//! | 1000 lanes with 50 rows each | 3.7 |
//! | the same, one row of a lane | 9.3 |
//! | 50,000 lanes with a row each, among 300,000 dead rows | 8.2 |
//! | the same, by the bare `SELECT` | 5.7 |
//! | nothing | 0.2 |
//!
//! Loading a row a second time by the primary key, instead of by `ctid`, made
//! it slower by half. A recursion with one step for each lane costs 4 µs a
//! step, and twice that with what a step has to know; one scan without steps
//! reads all of a lane that is deep.
//!
//! Rows that are deleted are passed over until they are vacuumed, which waits
//! for the oldest transaction of the server: a fetch passes those between the
//! rows it finds, and those up to the next row behind them. A transaction that
//! stays open for hours makes every round longer by all that was published
//! since.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::{Bucket, Buckets, Fetch, Fetched, Lane};

use super::row::{self, COLUMNS, columns};
use crate::options::Schema;
use crate::wire::{Param, Row};

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) fetch: String,
}

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        Sql {
            fetch: fetch(schema),
        }
    }
}

/// The statement. Its parameters: the lanes to walk along, first and last of
/// each range; how many rows, at most; of a lane; how many lanes; those that
/// are busy; and the lanes to walk along once more, bucket by bucket, for when
/// a bucket is paused.
fn fetch(schema: &Schema) -> String {
    let columns = columns!().replace("lane,", "o.lane,");
    format!(
        "\
WITH RECURSIVE paused AS MATERIALIZED (
  SELECT array_agg(which) FILTER (WHERE kind = 'bucket') AS buckets,
    coalesce(bool_or(kind = 'all'), false) AS everything,
    coalesce(bool_or(kind IN ('topic', 'tenant')), false) AS labels
  FROM {schema}.outbox_pause
), ranges AS MATERIALIZED (
  SELECT array_agg(r.first ORDER BY r.place) AS firsts, array_agg(r.last ORDER BY r.place) AS lasts
  FROM paused AS p CROSS JOIN LATERAL (
    SELECT first, last, place
    FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY AS r (first, last, place)
    WHERE p.buckets IS NULL AND NOT p.everything
    UNION ALL
    SELECT first, last, place
    FROM unnest($7::int8[], $8::int8[], $9::int4[]) WITH ORDINALITY AS r (first, last, bucket, place)
    WHERE p.buckets IS NOT NULL AND NOT p.everything AND NOT bucket::text = ANY (p.buckets)
  ) AS r
), walk AS (
  SELECT 0 AS step, 1 AS range, r.firsts[1] AS at, greatest($4::int8, 16) AS size,
    0::int8 AS looked, 0::int8 AS seen, NULL::int8 AS reached, NULL::int4 AS reached_in,
    NULL::int8 AS below, NULL::int8[] AS lanes, NULL::tid[] AS tids
  FROM ranges AS r
  UNION ALL
  SELECT w.step + 1, w.range + s.ends, CASE s.ends WHEN 1 THEN r.firsts[w.range + 1] ELSE s.next END,
    greatest($4::int8, 4, CASE
      WHEN c.entries < w.size THEN w.size
      WHEN u.unread = 1 AND c.useful * 4 >= c.entries
        THEN least(w.size * 4, greatest($3::int8 - w.seen - c.useful, 64))
      END),
    w.looked + t.taken, w.seen + c.useful, coalesce(c.heads[t.taken], w.reached),
    CASE WHEN t.taken > 0 THEN w.range ELSE w.reached_in END,
    c.heads[t.taken + 1], c.lanes, c.tids
  FROM walk AS w CROSS JOIN ranges AS r CROSS JOIN LATERAL (
    SELECT count(*) AS entries, count(*) FILTER (WHERE nth <= $4::int8) AS useful,
      count(*) FILTER (WHERE nth = 1) AS count, array_agg(lane) FILTER (WHERE nth = 1) AS heads,
      array_agg(lane) FILTER (WHERE nth <= $4::int8 AND NOT stopped) AS lanes,
      array_agg(tid) FILTER (WHERE nth <= $4::int8 AND NOT stopped) AS tids
    FROM (
      SELECT lane, tid, row_number() OVER of_lane AS nth, bool_or(is_paused) OVER of_lane AS stopped
      FROM (
        SELECT lane, id, ctid AS tid, CASE WHEN (SELECT labels FROM paused)
          THEN topic IN (SELECT which FROM {schema}.outbox_pause WHERE kind = 'topic')
            OR coalesce(tenant IN (SELECT which FROM {schema}.outbox_pause WHERE kind = 'tenant'), false)
          ELSE false END AS is_paused
        FROM {schema}.outbox WHERE lane >= w.at AND lane <= r.lasts[w.range]
        ORDER BY lane, id LIMIT w.size
      ) AS entry
      WINDOW of_lane AS (PARTITION BY lane ORDER BY id ROWS UNBOUNDED PRECEDING)
    ) AS entry
  ) AS c CROSS JOIN LATERAL (
    SELECT (c.entries = w.size AND c.count > 1)::int4 AS unread
  ) AS u CROSS JOIN LATERAL (
    SELECT c.count - u.unread AS whole, least(c.count - u.unread, $5::int8 - w.looked)::int4 AS taken
  ) AS t CROSS JOIN LATERAL (
    SELECT (t.taken = t.whole AND (c.entries < w.size OR u.unread = 0 AND c.heads[1] = r.lasts[w.range]))::int4 AS ends,
      CASE WHEN t.taken < t.whole THEN w.at WHEN u.unread = 1 THEN c.heads[c.count::int4]
        WHEN c.heads[1] < r.lasts[w.range] THEN c.heads[1] + 1 END AS next
  ) AS s
  WHERE w.at IS NOT NULL AND w.looked < $5::int8
), taken AS MATERIALIZED (
  SELECT {columns}, w.reached_in
  FROM walk AS w CROSS JOIN LATERAL unnest(w.lanes, w.tids) AS f (lane, tid)
  JOIN {schema}.outbox AS o ON o.ctid = f.tid
  WHERE (w.below IS NULL OR f.lane < w.below) AND NOT f.lane IN (SELECT unnest($6::int8[]))
    AND (NOT (SELECT EXISTS (SELECT FROM {schema}.outbox_lane)) OR NOT EXISTS (
      SELECT FROM {schema}.outbox_lane AS b WHERE b.lane = f.lane
      AND (b.blocked_until IS NULL OR b.blocked_until > clock_timestamp())))
  LIMIT $3::int8
), full_at AS MATERIALIZED (
  SELECT lane, reached_in FROM taken OFFSET $3::int8 - 1 LIMIT 1
), reached AS MATERIALIZED (
  SELECT lane, reached_in, false AS is_whole FROM full_at
  UNION ALL
  (SELECT reached, reached_in, at IS NULL FROM walk
   WHERE NOT EXISTS (SELECT FROM full_at) ORDER BY step DESC LIMIT 1)
), found AS MATERIALIZED (
  SELECT e.lane AS reached, e.is_whole OR NOT EXISTS (
    SELECT FROM ranges AS r CROSS JOIN LATERAL generate_series(e.reached_in, array_length(r.lasts, 1)) AS n (n)
    CROSS JOIN LATERAL (
      SELECT FROM {schema}.outbox WHERE lane <= r.lasts[n] AND lane >= CASE
        WHEN n > e.reached_in THEN r.firsts[n] WHEN e.lane < r.lasts[n] THEN e.lane + 1 END
      LIMIT 1
    ) AS o
  ) AS came_round
  FROM reached AS e
)
SELECT {COLUMNS_OF_TAKEN}, f.reached, f.came_round FROM found AS f LEFT JOIN taken AS t ON true",
        COLUMNS_OF_TAKEN = columns!().replace("id, lane", "t.id, t.lane"),
    )
}

/// What a fetch is asked with.
pub(super) fn params(fetch: &Fetch<'_>, buckets: Buckets) -> [Param; 9] {
    let single = ranges(fetch, buckets);
    let merged = merged(&single);
    let firsts = |ranges: &[Range]| Param::array(ranges.iter().map(|range| range.first));
    let lasts = |ranges: &[Range]| Param::array(ranges.iter().map(|range| range.last));
    let numbers = single.iter().map(|range| i32::from(range.bucket.0));
    [
        firsts(&merged),
        lasts(&merged),
        Param::new(number(fetch.rows)),
        Param::new(number(fetch.per_lane.min(fetch.rows))),
        Param::new(number(fetch.lanes)),
        Param::array(fetch.busy.iter().map(|lane| lane.to_stored())),
        firsts(&single),
        lasts(&single),
        Param::array(numbers),
    ]
}

/// The lanes at which a fetch begins, as far as they stand side by side.
pub(super) fn first_range(fetch: &Fetch<'_>, buckets: Buckets) -> Option<(i64, i64)> {
    let merged = merged(&ranges(fetch, buckets));
    merged.first().map(|range| (range.first, range.last))
}

/// What the statement has found.
pub(super) fn fetched(rows: &[Row]) -> Result<Fetched, StoreError> {
    let mut fetched = Fetched::default();
    for row in rows {
        if row.nullable::<i64>(0)?.is_some() {
            fetched.rows.push(row::stored(row)?);
        }
    }
    if let Some(row) = rows.first() {
        let reached = row.nullable(COLUMNS)?;
        fetched.reached = reached.map(Lane::from_stored);
        fetched.came_round = row.get(COLUMNS + 1)?;
    }
    Ok(fetched)
}

/// A number of rows or lanes; more than any table holds is as good as all.
fn number(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX).min(i64::MAX >> 8)
}

/// Lanes side by side, as they are stored.
#[derive(Copy, Clone, Debug)]
struct Range {
    bucket: Bucket,
    first: i64,
    last: i64,
}

impl Range {
    fn of(bucket: Bucket, buckets: Buckets) -> Self {
        let lanes = buckets.lanes(bucket);
        let (first, last) = (lanes.start().to_stored(), lanes.end().to_stored());
        Range {
            bucket,
            first,
            last,
        }
    }
}

/// The lanes to walk along, bucket by bucket.
fn ranges(fetch: &Fetch<'_>, buckets: Buckets) -> Vec<Range> {
    let held = fetch.leases.iter().map(|lease| lease.bucket);
    from(fetch.after, held.map(|bucket| Range::of(bucket, buckets)))
}

/// The same, those side by side as one.
fn merged(ranges: &[Range]) -> Vec<Range> {
    let mut merged: Vec<Range> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(before) if before.last.checked_add(1) == Some(range.first) => {
                before.last = range.last;
            }
            _ => merged.push(*range),
        }
    }
    merged
}

/// These lanes, those behind this one first, and then the others.
fn from(after: Lane, ranges: impl Iterator<Item = Range>) -> Vec<Range> {
    let after = after.to_stored();
    let ranges: Vec<_> = ranges.collect();
    let behind = ranges.iter().filter(|range| range.last > after);
    let behind = behind.map(|range| Range {
        first: range.first.max(after.saturating_add(1)),
        ..*range
    });
    let before = ranges.iter().filter(|range| range.first <= after);
    let before = before.map(|range| Range {
        last: range.last.min(after),
        ..*range
    });
    behind.chain(before).collect()
}

#[cfg(test)]
mod tests;
