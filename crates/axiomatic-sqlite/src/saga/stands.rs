//! Why nothing was written of a saga: how it stands, and its lease.

use std::sync::LazyLock;

use axiomatic_coordination::saga::{Append, Appended, Lease, SagaId, Stage};
use rusqlite::{Connection, OptionalExtension, Row};

use super::leases::{columns, is_held};
use super::row;
use super::work::Undone;
use crate::database::{NOW, now};

/// Asked when nothing was written, to say why; and before work. One statement
/// looks at both: whether the lease is held, and how the saga stands. Within
/// it, all that asks for the time gets the same.
///
/// It finds nothing if there is no such saga. With an outer join instead, it
/// took four times as long, and SQLite compiled it anew now and then.
static STANDS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT EXISTS (SELECT 1 FROM saga_lease WHERE bucket = ?1 AND owner = ?2 AND epoch = ?3 \
                        AND until > {NOW}), \
         length, stage, ended IS NOT NULL, result \
         FROM saga WHERE saga = ?4"
    )
});

const WRITTEN: &str = "\
SELECT kind, step, item, attempt, data, mail FROM saga_event \
WHERE saga = ?1 AND seq > ?2 AND seq <= ?3 AND epoch = ?4 ORDER BY seq";

/// That the lease is held, and the log as long as it is thought to be.
pub(super) fn fence(
    connection: &Connection,
    lease: &Lease,
    saga: SagaId,
    after: u64,
) -> Result<(), Undone> {
    let stands = Stands::look(connection, lease, saga)?;
    match stands.saga {
        _ if !stands.held => Err(Undone::Lost),
        Some(found) if found.is_open_at(after) => Ok(()),
        _ => Err(Undone::Conflict),
    }
}

/// What a lease and a saga are at this moment.
pub(super) struct Stands {
    pub(super) held: bool,
    pub(super) saga: Option<Found>,
}

impl Stands {
    pub(super) fn look(
        connection: &Connection,
        lease: &Lease,
        saga: SagaId,
    ) -> rusqlite::Result<Self> {
        // No lease is good for another bucket's sagas.
        let is_of_bucket = lease.bucket == saga.bucket();
        let (bucket, owner, epoch) = columns(lease);
        let mut stands = connection.prepare_cached(&STANDS)?;
        let stands = stands.query_row((bucket, owner, epoch, saga.0.as_bytes()), |row| {
            Ok(Stands {
                held: is_of_bucket && row.get(0)?,
                saga: Some(Found::read(row, saga)?),
            })
        });
        if let Some(stands) = stands.optional()? {
            return Ok(stands);
        }
        let now = now(connection)?;
        Ok(Stands {
            held: is_of_bucket && is_held(connection, lease, now)?,
            saga: None,
        })
    }
}

/// A saga that is there.
pub(super) struct Found {
    saga: SagaId,
    length: u64,
    /// None if it is called something that this release does not know.
    stage: Option<Stage>,
    has_ended: bool,
    result: Option<Vec<u8>>,
}

impl Found {
    fn read(row: &Row<'_>, saga: SagaId) -> rusqlite::Result<Self> {
        Ok(Found {
            saga,
            length: row.get::<_, i64>(1)?.cast_unsigned(),
            stage: Stage::from_stored(row.get_ref(2)?.as_str()?),
            has_ended: row.get(3)?,
            result: row.get(4)?,
        })
    }

    fn is_open_at(&self, after: u64) -> bool {
        !self.has_ended && self.length == after
    }

    /// What somebody hears who holds the lease, and whose change was not
    /// written.
    pub(super) fn answer(
        &self,
        connection: &Connection,
        lease: &Lease,
        append: &Append,
    ) -> rusqlite::Result<Appended> {
        // It would have been, but for the lease: the clock was set back.
        if self.is_open_at(append.after) {
            return Ok(Appended::Lost);
        }
        match self.has_written(connection, lease, append)? {
            true => Ok(Appended::Held),
            false => Ok(Appended::Conflict),
        }
    }

    /// Whether this was appended before, under the same lease.
    fn has_written(
        &self,
        connection: &Connection,
        lease: &Lease,
        append: &Append,
    ) -> rusqlite::Result<bool> {
        let Append { after, change, .. } = append;
        let until = after.saturating_add(change.records.len() as u64);
        if self.length < until {
            return Ok(false);
        }
        if self.length == until {
            let result = change.result.as_deref();
            let is_so = result.is_none() || result == self.result.as_deref();
            if self.stage != Some(change.stage) || !is_so {
                return Ok(false);
            }
        } else if change.records.is_empty() {
            return Ok(false);
        }
        let mut written = connection.prepare_cached(WRITTEN)?;
        let (_, _, epoch) = columns(lease);
        let (after, until) = (after.cast_signed(), until.cast_signed());
        let saga = self.saga;
        let written = written.query_map((saga.0.as_bytes(), after, until, epoch), |row| {
            row::record(row, saga, 0)
        })?;
        let written = written.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(written == change.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::tests::plan;

    #[test]
    fn how_a_saga_stands_is_found_by_keys() {
        let stands = plan(&STANDS);
        let lease = "SEARCH saga_lease USING INTEGER PRIMARY KEY (rowid=?)";
        let saga = "SEARCH saga USING INDEX sqlite_autoindex_saga_1 (saga=?)";
        assert!(stands.contains(lease) && stands.contains(saga), "{stands}");
        assert!(!stands.contains("SCAN saga"), "{stands}");
        let expected = "SEARCH saga_event USING PRIMARY KEY (saga=? AND seq>? AND seq<?)";
        assert_eq!(plan(WRITTEN), expected);
    }
}
