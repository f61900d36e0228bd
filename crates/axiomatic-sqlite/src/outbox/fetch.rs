//! What waits and is ready, found without looking at what stands behind it.
//!
//! A walk over the index of lanes, which holds lane and id of each row and
//! nothing else: one cursor, forward. Of each lane it sees one row more than
//! it takes; if that is of the same lane still, the cursor is thrown away and
//! a new one begins behind the lane. So a lane costs one seek at most, however
//! much stands in it, and a row is loaded only if it is taken. The lanes that
//! are blocked are a second cursor, which goes along in step.

use std::collections::HashSet;

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::outbox::{Bucket, Buckets, Fetch, Fetched, Lane, Scope};
use rusqlite::{CachedStatement, Connection, Rows};

use super::operate;
use super::row::{self, columns};

/// Where the rows of these lanes are. The index holds all that is asked for.
const ENTRIES: &str = "\
SELECT lane, id FROM outbox WHERE lane BETWEEN ?1 AND ?2 ORDER BY lane, id";

/// Which of these lanes are not ready.
const BLOCKS: &str = "\
SELECT lane FROM outbox_lane \
WHERE lane BETWEEN ?1 AND ?2 AND (blocked_until IS NULL OR blocked_until > ?3) ORDER BY lane";

/// What can be paused of a row. The body is not loaded for it.
const LABELS: &str = "SELECT topic, tenant FROM outbox WHERE id = ?1";

/// A row.
const ROW: &str = concat!("SELECT ", columns!(), " FROM outbox WHERE id = ?1");

/// What a relay wants to have, in a value of its own.
#[derive(Clone, Debug)]
pub(super) struct Search {
    held: Vec<Bucket>,
    after: Lane,
    busy: Vec<Lane>,
    rows: usize,
    per_lane: usize,
    lanes: usize,
}

impl From<&Fetch<'_>> for Search {
    fn from(fetch: &Fetch<'_>) -> Self {
        Search {
            held: fetch.leases.iter().map(|lease| lease.bucket).collect(),
            after: fetch.after,
            busy: fetch.busy.to_vec(),
            rows: fetch.rows,
            per_lane: fetch.per_lane,
            lanes: fetch.lanes,
        }
    }
}

impl Search {
    /// Finds it. All of it is read from one state of the database.
    pub(super) fn run(
        &self,
        connection: &Connection,
        buckets: Buckets,
    ) -> rusqlite::Result<Fetched> {
        let snapshot = connection.unchecked_transaction()?;
        let pauses = Pauses::read(&snapshot)?;
        let mut entries = snapshot.prepare_cached(ENTRIES)?;
        let mut blocks = snapshot.prepare_cached(BLOCKS)?;
        let mut walk = Walk {
            search: self,
            now: row::now(&snapshot)?,
            labels: snapshot.prepare_cached(LABELS)?,
            row: snapshot.prepare_cached(ROW)?,
            pauses: &pauses,
            looked_at: 0,
            fetched: Fetched::default(),
        };
        walk.fetched.came_round = true;
        for (first, last) in self.ranges(buckets, &pauses) {
            let walked = walk.along(&mut entries, &mut blocks, first, last)?;
            if walked == Walked::Enough {
                walk.fetched.came_round = false;
                break;
            }
        }
        Ok(walk.fetched)
    }

    /// The lanes to walk along, as they are stored, in the order in which they
    /// come after the one to begin behind. Buckets side by side are one range.
    fn ranges(&self, buckets: Buckets, pauses: &Pauses) -> Vec<(i64, i64)> {
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for bucket in self.held.iter().filter(|held| !pauses.has_bucket(**held)) {
            let lanes = buckets.lanes(*bucket);
            let (first, last) = (lanes.start().to_stored(), lanes.end().to_stored());
            match ranges.last_mut() {
                Some((_, before)) if before.checked_add(1) == Some(first) => *before = last,
                _ => ranges.push((first, last)),
            }
        }
        let after = self.after.to_stored();
        let behind = ranges.iter().filter(|(_, last)| *last > after);
        let behind = behind.map(|(first, last)| ((*first).max(after.saturating_add(1)), *last));
        let before = ranges.iter().filter(|(first, _)| *first <= after);
        let before = before.map(|(first, last)| (*first, (*last).min(after)));
        behind.chain(before).collect()
    }
}

/// How far a walk has come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Walked {
    /// To the end of the range.
    Whole,
    /// To a limit: there is a lane at which it did not look.
    Enough,
}

/// A walk along lanes, and what was found on it.
struct Walk<'a> {
    search: &'a Search,
    now: Timestamp,
    labels: CachedStatement<'a>,
    row: CachedStatement<'a>,
    pauses: &'a Pauses,
    looked_at: usize,
    fetched: Fetched,
}

impl Walk<'_> {
    fn along(
        &mut self,
        entries: &mut CachedStatement<'_>,
        blocks: &mut CachedStatement<'_>,
        mut first: i64,
        last: i64,
    ) -> rusqlite::Result<Walked> {
        let mut blocks = Blocks::begin(blocks.query((first, last, self.now.as_micros()))?)?;
        loop {
            let mut entries = entries.query((first, last))?;
            let mut current = None;
            let mut left = 0;
            let behind = loop {
                let Some(entry) = entries.next()? else {
                    return Ok(Walked::Whole);
                };
                let lane: i64 = entry.get(0)?;
                if current != Some(lane) {
                    if self.is_full() {
                        return Ok(Walked::Enough);
                    }
                    current = Some(lane);
                    left = self.look_at(lane, &mut blocks)?;
                } else if left == 0 {
                    break lane;
                }
                if left > 0 {
                    left = match self.take(entry.get(1)?)? {
                        Taken::Yes => left - 1,
                        Taken::Paused => 0,
                    };
                }
            };
            if behind == last {
                return Ok(Walked::Whole);
            }
            first = behind + 1;
        }
    }

    fn is_full(&self) -> bool {
        self.looked_at >= self.search.lanes || self.fetched.rows.len() >= self.search.rows
    }

    /// How many rows of a lane to take, at most.
    fn look_at(&mut self, stored: i64, blocks: &mut Blocks<'_>) -> rusqlite::Result<usize> {
        let lane = Lane::from_stored(stored);
        self.looked_at += 1;
        self.fetched.reached = Some(lane);
        if blocks.has(stored)? || self.search.busy.binary_search(&lane).is_ok() {
            return Ok(0);
        }
        Ok(self
            .search
            .per_lane
            .min(self.search.rows - self.fetched.rows.len()))
    }

    /// Takes a row, unless it is paused: then nothing behind it is ready.
    fn take(&mut self, id: i64) -> rusqlite::Result<Taken> {
        if self.pauses.name_rows() {
            let pauses = self.pauses;
            let paused = self.labels.query_row([id], |row| {
                let (topic, tenant) = (row.get_ref(0)?, row.get_ref(1)?);
                Ok(pauses.has_labels(topic.as_str()?, tenant.as_str_or_null()?))
            })?;
            if paused {
                return Ok(Taken::Paused);
            }
        }
        self.fetched
            .rows
            .push(self.row.query_row([id], row::stored)?);
        Ok(Taken::Yes)
    }
}

/// Whether a row was taken.
enum Taken {
    Yes,
    Paused,
}

/// The lanes of a range that are not ready, asked for in their order.
struct Blocks<'a> {
    rows: Rows<'a>,
    next: Option<i64>,
}

impl<'a> Blocks<'a> {
    fn begin(rows: Rows<'a>) -> rusqlite::Result<Self> {
        let mut blocks = Blocks { rows, next: None };
        blocks.advance()?;
        Ok(blocks)
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        let row = self.rows.next()?;
        self.next = row.map(|row| row.get(0)).transpose()?;
        Ok(())
    }

    /// Whether this lane is one, which is behind all that were asked for.
    fn has(&mut self, lane: i64) -> rusqlite::Result<bool> {
        while self.next.is_some_and(|next| next < lane) {
            self.advance()?;
        }
        Ok(self.next == Some(lane))
    }
}

/// What is paused.
#[derive(Debug, Default)]
struct Pauses {
    all: bool,
    topics: HashSet<Box<str>>,
    tenants: HashSet<Box<str>>,
    buckets: HashSet<Bucket>,
}

impl Pauses {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut pauses = Pauses::default();
        for scope in operate::paused(connection)? {
            match scope {
                Scope::All => pauses.all = true,
                Scope::Topic(topic) => drop(pauses.topics.insert(topic)),
                Scope::Tenant(tenant) => drop(pauses.tenants.insert(tenant)),
                Scope::Bucket(bucket) => drop(pauses.buckets.insert(bucket)),
            }
        }
        Ok(pauses)
    }

    fn has_bucket(&self, bucket: Bucket) -> bool {
        self.all || self.buckets.contains(&bucket)
    }

    /// Whether there are rows to be found paused by what they say.
    fn name_rows(&self) -> bool {
        !self.topics.is_empty() || !self.tenants.is_empty()
    }

    fn has_labels(&self, topic: &str, tenant: Option<&str>) -> bool {
        self.topics.contains(topic) || tenant.is_some_and(|tenant| self.tenants.contains(tenant))
    }
}

#[cfg(test)]
mod tests;
