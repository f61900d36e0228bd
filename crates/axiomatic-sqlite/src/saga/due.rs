//! Sagas that are due.

use std::time::Duration;

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::{Broken, Lease, Loaded, SagaId, Taken};
use rusqlite::{Connection, OptionalExtension, Params};
use uuid::Uuid;

use super::leases::is_held;
use super::row::{Whole, columns, unreadable};
use crate::database::now;

/// Those of a bucket that are due first, by time. What is never due is not
/// among them.
const BY_TIME: &str = "\
SELECT wake, id FROM saga WHERE bucket = ?1 AND ended IS NULL AND wake <= ?2 ORDER BY wake \
LIMIT ?3";

/// Those that have mail.
const BY_MAIL: &str = "\
SELECT mailed, id FROM saga WHERE bucket = ?1 AND ended IS NULL AND mailed <= ?2 ORDER BY mailed \
LIMIT ?3";

/// When the first is due that is not yet.
const LATER: &str = "\
SELECT wake FROM saga WHERE bucket = ?1 AND ended IS NULL AND wake > ?2 AND wake <= ?3 \
ORDER BY wake LIMIT 1";

const ROW: &str = concat!("SELECT ", columns!(), " FROM saga WHERE id = ?1");

const OPEN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM saga WHERE saga = ?1 AND ended IS NULL"
);

const NAME: &str = "SELECT saga FROM saga WHERE id = ?1";

const HOLD: &str = "UPDATE saga SET wake = NULL, loads = ?2 WHERE id = ?1";

/// One that somebody has stays so.
const PUT_OFF: &str = "\
UPDATE saga SET wake = iif(wake IS NULL, NULL, ?2), mailed = iif(mailed IS NULL, NULL, ?2) \
WHERE id = ?1";

/// The last moment at which something can be due; behind it is never.
const LAST: i64 = i64::MAX - 1;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Take {
    pub(super) leases: Vec<Lease>,
    pub(super) at_most: usize,
    pub(super) pause: Duration,
}

impl Take {
    /// The answer if nothing is due, for which nothing has to be written.
    pub(super) fn answer(&self, connection: &Connection) -> rusqlite::Result<Option<Taken>> {
        let tx = connection.unchecked_transaction()?;
        let now = now(&tx)?;
        let first = self.first(&tx, now, 1)?;
        let next = first.first().map(|first| first.since);
        if next.is_some_and(|next| next <= now) {
            return Ok(None);
        }
        Ok(Some(Taken {
            sagas: Vec::new(),
            more: false,
            next: next.map(|next| next.saturating_since(now)),
        }))
    }

    /// Takes what is due, in a transaction.
    pub(super) fn take(&self, connection: &Connection) -> rusqlite::Result<Taken> {
        let now = now(connection)?;
        let first = self.first(connection, now, self.at_most.saturating_add(1))?;
        let due = Due::now(&first, now, self.at_most);
        let until = now.saturating_add(self.pause);
        let mut put_off = None;
        let mut sagas = Vec::with_capacity(due.len());
        for due in due {
            let taken = match due.hold(connection, &self.leases[due.lease], now) {
                Ok(loaded) => Ok(loaded),
                Err(error) => {
                    let error = unreadable(error)?;
                    let saga = due.put_off(connection, until)?;
                    put_off = Some(until);
                    Err(Broken { saga, error })
                }
            };
            sagas.push(taken);
        }
        let rest = first.get(due.len()).map(|rest| rest.since);
        let more = rest.is_some_and(|rest| rest <= now);
        let later = if more {
            self.later(connection, now)?
        } else {
            rest
        };
        let next = put_off.into_iter().chain(later).min();
        let next = next.filter(|next| next.as_micros() <= LAST);
        Ok(Taken {
            sagas,
            more,
            next: next.map(|next| next.saturating_since(now)),
        })
    }

    /// Those that are due first of all, in the buckets whose lease is held;
    /// the longest due first.
    fn first(
        &self,
        connection: &Connection,
        now: Timestamp,
        most: usize,
    ) -> rusqlite::Result<Vec<Due>> {
        let mut by_time = connection.prepare_cached(BY_TIME)?;
        let mut by_mail = connection.prepare_cached(BY_MAIL)?;
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let mut latest = LAST;
        let mut first: Vec<Due> = Vec::new();
        for (place, lease) in self.leases.iter().enumerate() {
            if !is_held(connection, lease, now)? {
                continue;
            }
            let before = first.len();
            for statement in [&mut by_time, &mut by_mail] {
                let found = statement.query_map((lease.bucket.0, latest, limit), |row| {
                    Ok(Due {
                        since: Timestamp::from_micros(row.get(0)?),
                        id: row.get(1)?,
                        lease: place,
                    })
                })?;
                for found in found {
                    first.push(found?);
                }
            }
            if first.len() == before {
                continue;
            }
            // One may be due by both.
            first.sort_unstable_by_key(|due| (due.id, due.since));
            first.dedup_by_key(|due| due.id);
            first.sort_unstable_by_key(|due| (due.since, due.id));
            first.truncate(most);
            // What comes behind all of them need not be looked at.
            if first.len() == most {
                latest = first.last().map_or(latest, |last| last.since.as_micros());
            }
        }
        Ok(first)
    }

    /// When the first is due that is not yet.
    fn later(
        &self,
        connection: &Connection,
        now: Timestamp,
    ) -> rusqlite::Result<Option<Timestamp>> {
        let mut later = connection.prepare_cached(LATER)?;
        let mut latest = LAST;
        for lease in &self.leases {
            if is_held(connection, lease, now)? {
                let found =
                    later.query_row((lease.bucket.0, now.as_micros(), latest), |row| row.get(0));
                latest = found.optional()?.unwrap_or(latest);
            }
        }
        Ok((latest < LAST).then(|| Timestamp::from_micros(latest)))
    }
}

/// The saga as it stands, for who holds its lease.
pub(super) fn load(
    connection: &Connection,
    lease: &Lease,
    saga: SagaId,
) -> rusqlite::Result<Option<Loaded>> {
    let tx = connection.unchecked_transaction()?;
    let now = now(&tx)?;
    if lease.bucket != saga.bucket() || !is_held(&tx, lease, now)? {
        return Ok(None);
    }
    let whole = whole(&tx, OPEN, [saga.0.as_bytes()])?;
    Ok(whole.map(|whole| whole.into_loaded(lease.clone(), now)))
}

/// A saga with its log, from one row.
pub(super) fn whole(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<Option<Whole>> {
    let mut row = connection.prepare_cached(sql)?;
    row.query_row(params, |row| Whole::read(connection, row))
        .optional()
}

/// One that is due, now or later.
struct Due {
    since: Timestamp,
    id: i64,
    /// The place of its bucket's.
    lease: usize,
}

impl Due {
    /// Those that are due now, of some that are sorted.
    fn now(first: &[Due], now: Timestamp, at_most: usize) -> &[Due] {
        let due = first.partition_point(|due| due.since <= now);
        &first[..due.min(at_most)]
    }

    /// It is had by somebody from now on, if it was not.
    fn hold(
        &self,
        connection: &Connection,
        lease: &Lease,
        now: Timestamp,
    ) -> rusqlite::Result<Loaded> {
        let whole = whole(connection, ROW, [self.id])?;
        let mut whole = whole.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        if whole.wake.is_some() {
            let loads = whole.count_load();
            connection.prepare_cached(HOLD)?.execute((self.id, loads))?;
            reach("sqlite.saga.taken");
        }
        Ok(whole.into_loaded(lease.clone(), now))
    }

    /// It cannot be read, and is due again then. Returns which it is.
    fn put_off(&self, connection: &Connection, until: Timestamp) -> rusqlite::Result<SagaId> {
        let mut put_off = connection.prepare_cached(PUT_OFF)?;
        put_off.execute((self.id, until.as_micros()))?;
        reach("sqlite.saga.put_off");
        let mut name = connection.prepare_cached(NAME)?;
        name.query_row([self.id], |row| Ok(SagaId(Uuid::from_bytes(row.get(0)?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::tests::plan;

    #[test]
    fn what_is_due_is_read_in_its_order_and_nothing_else() {
        for (sql, expected) in [
            (
                BY_TIME,
                "SEARCH saga USING COVERING INDEX saga_open (bucket=? AND wake<?)",
            ),
            (
                BY_MAIL,
                "SEARCH saga USING COVERING INDEX saga_mailed (bucket=? AND mailed<?)",
            ),
        ] {
            assert_eq!(plan(sql), expected);
        }
        let expected =
            "SEARCH saga USING COVERING INDEX saga_open (bucket=? AND wake>? AND wake<?)";
        assert_eq!(plan(LATER), expected);
    }

    #[test]
    fn a_saga_is_found_by_its_row() {
        for sql in [ROW, NAME, HOLD, PUT_OFF] {
            let expected = "SEARCH saga USING INTEGER PRIMARY KEY (rowid=?)";
            assert_eq!(plan(sql), expected, "{sql}");
        }
        let expected = "SEARCH saga USING INDEX sqlite_autoindex_saga_1 (saga=?)";
        assert_eq!(plan(OPEN), expected);
    }
}
