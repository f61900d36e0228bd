//! Who stands in line for what.
//!
//! Nothing is granted: a lock is a place in a line, and who has it follows from
//! the places before. There is one writer, so whoever looks at a line and then
//! enters it has seen all those who are before it.

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::{InLine, Lease, Lock, LockMode, LockRequest, Locked, SagaId};
use rusqlite::Connection;
use uuid::Uuid;

use super::leases::is_held;
use super::mail;
use crate::error::damaged;
use crate::transaction::Transaction;

/// That somebody of another saga stands before one, with whom it cannot share.
macro_rules! waits {
    () => {
        "EXISTS (SELECT 1 FROM saga_lock AS before WHERE before.resource = own.resource \
         AND before.place < own.place AND before.saga <> own.saga \
         AND (before.mode <> 'shared' OR own.mode <> 'shared'))"
    };
}

const IS_OPEN: &str = "SELECT 1 FROM saga WHERE saga = ?1 AND ended IS NULL";

const REQUESTS: &str = "SELECT request, told FROM saga_lock WHERE saga = ?1";

/// That a saga could not have it, at the end of the line.
const IS_TAKEN: &str = "\
SELECT 1 FROM saga_lock WHERE resource = ?1 AND saga <> ?2 AND (mode <> 'shared' OR ?3 <> 'shared')";

/// That the saga waits there already.
const WAITS_THERE: &str = concat!(
    "SELECT 1 FROM saga_lock AS own WHERE resource = ?1 AND saga = ?2 AND ",
    waits!()
);

const ENTER: &str = "\
INSERT INTO saga_lock (resource, place, saga, request, mode, told) \
SELECT ?1, coalesce(max(place), 0) + 1, ?2, ?3, ?4, ?5 FROM saga_lock WHERE resource = ?1";

/// All that a saga without locks is asked for when it ends.
const STANDS: &str = "SELECT resource, place, mode FROM saga_lock WHERE saga = ?1";

const LEAVE: &str = "DELETE FROM saga_lock WHERE saga = ?1";

/// Those of a mode behind a place of a line who have not all that they asked
/// for. Unasked, SQLite reads those who have it, too: a resource that many share
/// has many of those.
const WAITING: &str = concat!(
    "SELECT saga, request, ",
    waits!(),
    " FROM saga_lock AS own INDEXED BY saga_lock_waiting \
     WHERE resource = ?1 AND mode = ?2 AND place > ?3 AND told = 0 ORDER BY place"
);

/// That some of a request has to be waited for.
const WAITS: &str = concat!(
    "SELECT 1 FROM saga_lock AS own WHERE saga = ?1 AND request = ?2 AND ",
    waits!()
);

const TOLD: &str = "UPDATE saga_lock SET told = 1 WHERE saga = ?1 AND request = ?2";

const LINE: &str = concat!(
    "SELECT saga, mode, ",
    waits!(),
    " FROM saga_lock AS own WHERE resource = ?1 ORDER BY place"
);

/// Has a saga stand in line for all of a request, in a transaction.
pub(super) fn lock(
    tx: &mut Transaction<'_>,
    lease: &Lease,
    request: &LockRequest,
) -> rusqlite::Result<Locked> {
    if !may_lock(tx, lease, request.saga)? {
        return Ok(Locked::Lost);
    }
    let locked = enter(tx, request)?;
    if locked == Locked::Held {
        // If it had it before, so it has the letter.
        let letter = LockRequest::letter(request.saga, &request.name);
        mail::post(tx, request.saga, &letter)?;
    }
    Ok(locked)
}

/// A saga has ended, in this transaction: it leaves all lines, and whoever has
/// all of its request by that is told.
pub(super) fn leave_lines(tx: &mut Transaction<'_>, saga: SagaId) -> rusqlite::Result<()> {
    let places = places(tx, saga)?;
    if places.is_empty() {
        return Ok(());
    }
    tx.prepare_cached(LEAVE)?.execute([saga.0.as_bytes()])?;
    reach("sqlite.saga.unlocked");
    for place in places {
        for (next, request) in place.first_waiting(tx)? {
            let key = (next.0.as_bytes(), &*request);
            if !tx.prepare_cached(WAITS)?.exists(key)? {
                tx.prepare_cached(TOLD)?.execute(key)?;
                reach("sqlite.saga.told");
                mail::post(tx, next, &LockRequest::letter(next, &request))?;
            }
        }
    }
    Ok(())
}

/// Who stands in a line, the first first.
pub(super) fn line(connection: &Connection, resource: &str) -> rusqlite::Result<Vec<InLine>> {
    let mut line = connection.prepare_cached(LINE)?;
    let line = line.query_map([resource], |row| {
        let mode = row.get_ref(1)?.as_str()?;
        let mode = LockMode::from_stored(mode)
            .ok_or_else(|| damaged(format!("{resource} is locked in a mode called {mode}")))?;
        Ok(InLine {
            saga: SagaId(Uuid::from_bytes(row.get(0)?)),
            mode,
            has_it: !row.get::<_, bool>(2)?,
        })
    })?;
    line.collect()
}

/// That the lease is held, and the saga one of its bucket that goes on.
fn may_lock(tx: &mut Transaction<'_>, lease: &Lease, saga: SagaId) -> rusqlite::Result<bool> {
    let now = tx.began()?;
    Ok(lease.bucket == saga.bucket()
        && is_held(tx, lease, now)?
        && tx.prepare_cached(IS_OPEN)?.exists([saga.0.as_bytes()])?)
}

fn enter(connection: &Connection, wanted: &LockRequest) -> rusqlite::Result<Locked> {
    let saga = wanted.saga.0.as_bytes();
    let mut stands_in_line = false;
    let mut requests = connection.prepare_cached(REQUESTS)?;
    let mut requests = requests.query([saga])?;
    while let Some(row) = requests.next()? {
        if row.get_ref(0)?.as_str()? == &*wanted.name {
            return match row.get(1)? {
                true => Ok(Locked::Held),
                false => Ok(Locked::Waits),
            };
        }
        stands_in_line = true;
    }
    let mut is_taken = connection.prepare_cached(IS_TAKEN)?;
    let mut has_all = true;
    for lock in &wanted.locks {
        has_all &= !is_taken.exists((&*lock.resource, saga, lock.mode.as_str()))?;
        if stands_in_line {
            let mut waits_there = connection.prepare_cached(WAITS_THERE)?;
            has_all &= !waits_there.exists((&*lock.resource, saga))?;
        }
    }
    if !has_all && (stands_in_line || !wanted.waits) {
        return Ok(Locked::Busy);
    }
    let mut enter = connection.prepare_cached(ENTER)?;
    for Lock { resource, mode } in &wanted.locks {
        enter.execute((&**resource, saga, &*wanted.name, mode.as_str(), has_all))?;
        reach("sqlite.saga.locked");
    }
    match has_all {
        true => Ok(Locked::Held),
        false => Ok(Locked::Waits),
    }
}

/// Where a saga stands in line.
fn places(connection: &Connection, saga: SagaId) -> rusqlite::Result<Vec<Place>> {
    let mut stands = connection.prepare_cached(STANDS)?;
    let places = stands.query_map([saga.0.as_bytes()], |row| {
        Ok(Place {
            resource: row.get(0)?,
            nth: row.get(1)?,
            is_shared: row.get_ref(2)?.as_str()? == LockMode::Shared.as_str(),
        })
    })?;
    places.collect()
}

/// One that is left.
struct Place {
    resource: String,
    nth: i64,
    is_shared: bool,
}

impl Place {
    /// Who has not all that it asked for, but this, and may have it only now.
    ///
    /// Nobody before the place waited for it, and of those behind it, nobody
    /// who shares waited for one who shared. So where many share, those are not
    /// looked at, though they wait for something else.
    ///
    /// Of either mode, behind the first who has not this nobody has it either:
    /// whoever is in the way of the first is in the way of all of them. It is
    /// of none of their sagas, since who stands in a line asks for nothing that
    /// it has to wait for.
    fn first_waiting(&self, connection: &Connection) -> rusqlite::Result<Vec<(SagaId, String)>> {
        let modes: &[LockMode] = match self.is_shared {
            true => &[LockMode::Exclusive],
            false => &[LockMode::Exclusive, LockMode::Shared],
        };
        let mut first = Vec::new();
        let mut waiting = connection.prepare_cached(WAITING)?;
        for mode in modes {
            let mut waiting = waiting.query((&*self.resource, mode.as_str(), self.nth))?;
            while let Some(row) = waiting.next()? {
                if row.get(2)? {
                    break;
                }
                first.push((SagaId(Uuid::from_bytes(row.get(0)?)), row.get(1)?));
            }
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests;
