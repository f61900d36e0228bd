//! Who runs a request.

use std::time::Duration;

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::idempotency::{
    Adopt, Adopted, Claim, Claimed, Fingerprint, Key, Lease, Mine, Name, Owner, Scope,
    StoredRequest,
};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};

use super::row::{COLUMNS, Found, State, columns};
use crate::database::now;
use crate::error::damaged;

const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM idempotency WHERE tenant = ?1 AND method = ?2 AND route = ?3 AND key = ?4"
);

const FORGET: &str = "DELETE FROM idempotency WHERE record = ?1";

const INSERT: &str = "\
INSERT INTO idempotency (record, tenant, method, route, key, fingerprint, state, epoch, owner, \
       lease_until, attempts, expires_at, request_head, request_body) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'leased', ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

const LEASE: &str = "\
UPDATE idempotency SET state = 'leased', epoch = ?2, owner = ?3, lease_until = ?4, attempts = ?5 \
WHERE record = ?1";

const REMEMBER: &str = "\
UPDATE idempotency SET expires_at = ?2, request_head = coalesce(request_head, ?3), \
       request_body = coalesce(request_body, ?4) \
WHERE record = ?1";

/// Requests that can be run without their clients, from their index.
macro_rules! open {
    ($which:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", tenant, method, route, key, request_head, request_body FROM idempotency ",
            "WHERE state <> 'completed' AND request_head IS NOT NULL AND ",
            $which
        )
    };
}

/// What this owner has adopted before, if the answer to that was lost.
const ASKED_BEFORE: &str = open!("lease_until > ?1 AND state = 'leased' AND owner = ?2");

const ABANDONED: &str =
    open!("lease_until <= ?1 AND attempts <= ?2 AND expires_at > ?3 ORDER BY lease_until LIMIT 1");

/// A claim that can be sent to another thread.
#[derive(Debug)]
pub(super) struct Ask {
    name: Name,
    fingerprint: Fingerprint,
    owner: Owner,
    lease: Duration,
    retention: Duration,
    /// Its head and its body.
    request: Option<(String, Bytes)>,
}

impl Ask {
    pub(super) fn new(claim: &Claim<'_>) -> Self {
        Ask {
            name: claim.name.clone(),
            fingerprint: claim.fingerprint,
            owner: claim.owner,
            lease: claim.lease,
            retention: claim.retention,
            request: (claim.request).map(|request| (request.head(), request.body.clone())),
        }
    }

    /// What it is answered if nothing has to be written for that: then another
    /// has the request, or it is complete. Such an answer is as true when it is
    /// read as when it is found by the one who writes.
    pub(super) fn answer(&self, connection: &Connection) -> rusqlite::Result<Option<Claimed>> {
        let found = self.find(connection)?;
        let now = now(connection)?;
        Ok(found.and_then(|found| self.answered_by(&found, now)))
    }

    /// Claims, in a transaction.
    pub(super) fn claim(&self, connection: &Connection) -> rusqlite::Result<Claimed> {
        let found = self.find(connection)?;
        let now = now(connection)?;
        let until = now.saturating_add(self.lease).as_micros();
        let expires_at = now.saturating_add(self.retention).as_micros();
        let (head, body) = self.request();
        let mine = match found {
            Some(found) if !found.is_forgotten(now) => {
                if let Some(answer) = self.answered_by(&found, now) {
                    return Ok(answer);
                }
                let mine = found.follow(self.owner);
                lease(connection, &mine, self.owner, until)?;
                reach("sqlite.idempotency.followed");
                let mut remember = connection.prepare_cached(REMEMBER)?;
                remember.execute((mine.lease.record.as_bytes(), expires_at, head, body))?;
                mine
            }
            forgotten => {
                if let Some(forgotten) = forgotten {
                    let mut forget = connection.prepare_cached(FORGET)?;
                    forget.execute([forgotten.record.as_bytes()])?;
                    reach("sqlite.idempotency.forgotten");
                }
                let mine = Mine {
                    lease: Lease {
                        record: self.owner.0,
                        epoch: 1,
                    },
                    steps: Vec::new(),
                    attempts: 1,
                };
                let (tenant, method, route, key) = self.name();
                connection.prepare_cached(INSERT)?.execute((
                    mine.lease.record.as_bytes(),
                    tenant,
                    method,
                    route,
                    key,
                    self.fingerprint.0,
                    mine.lease.epoch.cast_signed(),
                    self.owner.0.as_bytes(),
                    until,
                    mine.attempts,
                    expires_at,
                    head,
                    body,
                ))?;
                mine
            }
        };
        reach("sqlite.idempotency.claimed");
        Ok(Claimed::Mine(mine))
    }

    fn find(&self, connection: &Connection) -> rusqlite::Result<Option<Found>> {
        let mut find = connection.prepare_cached(FIND)?;
        find.query_row(self.name(), Found::read).optional()
    }

    fn answered_by(&self, found: &Found, now: Timestamp) -> Option<Claimed> {
        if found.is_forgotten(now) {
            return None;
        }
        if found.fingerprint != self.fingerprint {
            return Some(Claimed::Mismatch);
        }
        match &found.state {
            State::Completed(response) => Some(Claimed::Completed(response.clone())),
            State::Leased if found.owner != self.owner && found.lease_until > now => {
                let lease_ends_in = found.lease_until.saturating_since(now);
                Some(Claimed::InProgress { lease_ends_in })
            }
            State::Leased | State::Released => None,
        }
    }

    fn name(&self) -> (&str, &str, &str, &str) {
        let Scope {
            tenant,
            method,
            route,
        } = &self.name.scope;
        (tenant, method, route, self.name.key.as_str())
    }

    fn request(&self) -> (Option<&str>, Option<&[u8]>) {
        let request = self.request.as_ref();
        request.map(|(head, body)| (&**head, &**body)).unzip()
    }
}

/// Claims a request that is abandoned, in a transaction.
pub(super) fn adopt(connection: &Connection, adopt: &Adopt) -> rusqlite::Result<Option<Adopted>> {
    let now = now(connection)?;
    let mut asked_before = connection.prepare_cached(ASKED_BEFORE)?;
    let owner = adopt.owner.0.as_bytes();
    let asked_before = asked_before.query_row((now.as_micros(), owner), Open::read);
    let mut found = asked_before.optional()?;
    if found.is_none() {
        let latest = now.saturating_sub(adopt.abandoned_for).as_micros();
        let mut abandoned = connection.prepare_cached(ABANDONED)?;
        let abandoned = abandoned.query_row((latest, adopt.attempts, now.as_micros()), Open::read);
        found = abandoned.optional()?;
    }
    let Some(Open {
        found,
        name,
        request,
    }) = found
    else {
        return Ok(None);
    };
    let mine = found.follow(adopt.owner);
    let until = now.saturating_add(adopt.lease).as_micros();
    lease(connection, &mine, adopt.owner, until)?;
    reach("sqlite.idempotency.adopted");
    Ok(Some(Adopted {
        name,
        request,
        mine,
    }))
}

/// Writes down whose it is.
fn lease(connection: &Connection, mine: &Mine, owner: Owner, until: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(LEASE)?.execute((
        mine.lease.record.as_bytes(),
        mine.lease.epoch.cast_signed(),
        owner.0.as_bytes(),
        until,
        mine.attempts,
    ))?;
    Ok(())
}

/// A request that can be run without its client.
struct Open {
    found: Found,
    name: Name,
    request: StoredRequest,
}

impl Open {
    fn read(row: &Row<'_>) -> rusqlite::Result<Open> {
        let found = Found::read(row)?;
        let text = |column: usize| -> rusqlite::Result<&str> {
            Ok(row.get_ref(COLUMNS + column)?.as_str()?)
        };
        let key = Key::new(text(3)?).map_err(|error| damaged(format!("a key: {error}")))?;
        let scope = Scope {
            tenant: text(0)?.into(),
            method: text(1)?.into(),
            route: text(2)?.into(),
        };
        let body = Bytes::copy_from_slice(row.get_ref(COLUMNS + 5)?.as_blob()?);
        let request = StoredRequest::from_stored(text(4)?, body);
        let record = found.record;
        let request =
            request.map_err(|error| damaged(format!("the request of {record}: {error}")))?;
        let name = Name { scope, key };
        Ok(Open {
            found,
            name,
            request,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idempotency::tests::plan;

    #[test]
    fn no_claim_reads_the_whole_table() {
        let by_name = "USING INDEX sqlite_autoindex_idempotency_2 (tenant=? AND method=? AND \
                       route=? AND key=?)";
        assert!(plan(FIND).contains(by_name), "{}", plan(FIND));
        for adopts in [ASKED_BEFORE, ABANDONED] {
            let plan = plan(adopts);
            assert!(plan.contains("USING INDEX idempotency_open"), "{plan}");
            assert!(!plan.contains("SORT") && !plan.contains("B-TREE"), "{plan}");
        }
        for changes in [FORGET, LEASE, REMEMBER] {
            assert!(plan(changes).contains("(record=?)"), "{}", plan(changes));
        }
    }
}
