//! What waits and is ready, where nothing is in the way: a bare scan.
//!
//! Where there is plenty, most fetches begin at a place from which the index
//! holds one lane behind the other with a row or two each, none of them blocked
//! or paused. Then the walk of [`fetch`](super::fetch), which is made for
//! everything else, costs twice what a scan does. So after a fetch that found
//! as much as was asked for, of many lanes, the next one scans; and if what it
//! brings is not so plain, it is thrown away, and the walk is asked.

use std::sync::{Arc, Mutex, PoisonError};

use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::{Fetch, Fetched, Lane, Stored};

use super::row::{self, columns};
use crate::options::Schema;
use crate::wire::{Param, Row};

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) scan: String,
}

impl Sql {
    /// Its parameters: the first lane of a range and the last, and how many
    /// rows. It finds nothing if anything in the range is blocked, or anything
    /// at all is paused.
    pub(super) fn new(schema: &Schema) -> Self {
        let columns = columns!();
        Sql {
            scan: format!(
                "\
WITH clear AS MATERIALIZED (
  SELECT NOT EXISTS (SELECT FROM {schema}.outbox_pause) AND NOT EXISTS (
    SELECT FROM {schema}.outbox_lane WHERE lane >= $1::int8 AND lane <= $2::int8
    AND (blocked_until IS NULL OR blocked_until > clock_timestamp())) AS is_clear
)
SELECT {columns} FROM {schema}.outbox
WHERE (SELECT is_clear FROM clear) AND lane >= $1::int8 AND lane <= $2::int8
ORDER BY lane, id LIMIT $3::int8"
            ),
        }
    }
}

/// What to scan with: the first of the ranges to walk along.
pub(super) fn params(range: (i64, i64), fetch: &Fetch<'_>) -> [Param; 3] {
    let rows = i64::try_from(fetch.rows).unwrap_or(i64::MAX);
    // One more, to see that there is more.
    let rows = Param::new(rows.saturating_add(1));
    [Param::new(range.0), Param::new(range.1), rows]
}

/// What was found, if it is as plain as was hoped: all lanes but the last,
/// which may go on.
pub(super) fn found(rows: &[Row], fetch: &Fetch<'_>) -> Result<Option<Fetched>, StoreError> {
    if rows.len() <= fetch.rows {
        return Ok(None);
    }
    let lane = |row: &Row| Ok::<_, StoreError>(Lane::from_stored(row.get(1)?));
    let last = lane(&rows[rows.len() - 1])?;
    let mut found: Vec<Stored> = Vec::with_capacity(rows.len());
    let (mut lanes, mut of_lane) = (0, 0);
    for row in rows {
        let lane = lane(row)?;
        if lane == last {
            break;
        }
        if found.last().is_some_and(|before| before.lane == lane) {
            of_lane += 1;
        } else {
            (lanes, of_lane) = (lanes + 1, 1);
        }
        if of_lane > fetch.per_lane
            || lanes > fetch.lanes
            || fetch.busy.binary_search(&lane).is_ok()
        {
            return Ok(None);
        }
        found.push(row::stored(row)?);
    }
    let reached = found.last().map(|stored| stored.lane);
    Ok(reached.map(|reached| Fetched {
        rows: found,
        reached: Some(reached),
        came_round: false,
    }))
}

/// Whether the next fetch is likely to be plain. Only a guess: both ways find
/// the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Likely(Arc<Mutex<bool>>);

impl Likely {
    pub(super) fn get(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After this was found by walking.
    pub(super) fn learn(&self, found: &Fetched, fetch: &Fetch<'_>) {
        let lanes = found.rows.chunk_by(|one, next| one.lane == next.lane);
        let is_plenty = found.rows.len() == fetch.rows && 2 * lanes.count() >= fetch.rows;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = is_plenty;
    }
}
