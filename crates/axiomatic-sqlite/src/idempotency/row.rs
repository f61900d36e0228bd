//! A row of the table.

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::idempotency::{Fingerprint, Lease, Mine, Owner, Step, StoredResponse};
use bytes::Bytes;
use rusqlite::Row;
use uuid::Uuid;

use crate::error::damaged;

/// The columns that [`Found::read`] reads.
macro_rules! columns {
    () => {
        "record, fingerprint, state, epoch, owner, lease_until, attempts, expires_at, steps, \
         response_head, response_body"
    };
}
pub(super) use columns;

/// How many columns that are: others come behind them.
pub(super) const COLUMNS: usize = 11;

/// What the table says of a key.
pub(super) struct Found {
    pub(super) record: Uuid,
    pub(super) fingerprint: Fingerprint,
    pub(super) state: State,
    pub(super) epoch: u64,
    pub(super) owner: Owner,
    pub(super) lease_until: Timestamp,
    pub(super) attempts: u32,
    pub(super) expires_at: Timestamp,
    pub(super) steps: Vec<Step>,
}

pub(super) enum State {
    Leased,
    Released,
    Completed(StoredResponse),
}

impl Found {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
        let record = Uuid::from_bytes(row.get(0)?);
        let state = match row.get_ref(2)?.as_str()? {
            "leased" => State::Leased,
            "released" => State::Released,
            _ => State::Completed(response(row, record)?),
        };
        Ok(Found {
            record,
            fingerprint: Fingerprint(row.get(1)?),
            state,
            epoch: row.get::<_, i64>(3)?.cast_unsigned(),
            owner: Owner(Uuid::from_bytes(row.get(4)?)),
            lease_until: Timestamp::from_micros(row.get(5)?),
            attempts: row.get(6)?,
            expires_at: Timestamp::from_micros(row.get(7)?),
            steps: steps(row, 8)?,
        })
    }

    /// Whether somebody runs it.
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Leased) && self.lease_until > now
    }

    /// Whether its key is new again.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.expires_at <= now && !self.is_held(now)
    }

    /// This owner's from now on. If it is the one that has it, the answer to
    /// its claim was lost.
    pub(super) fn follow(self, owner: Owner) -> Mine {
        let is_asked_again = matches!(self.state, State::Leased) && self.owner == owner;
        let more = u8::from(!is_asked_again);
        Mine {
            lease: Lease {
                record: self.record,
                epoch: self.epoch + u64::from(more),
            },
            steps: self.steps,
            attempts: self.attempts.saturating_add(more.into()),
        }
    }
}

/// The steps in a column.
pub(super) fn steps(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Step>> {
    let steps = Step::from_lines(row.get_ref(column)?.as_str()?);
    steps.map_err(|error| damaged(format!("the steps of a request: {error}")))
}

fn response(row: &Row<'_>, record: Uuid) -> rusqlite::Result<StoredResponse> {
    let body = Bytes::copy_from_slice(row.get_ref(10)?.as_blob()?);
    let response = StoredResponse::from_stored(row.get_ref(9)?.as_str()?, body);
    response.map_err(|error| damaged(format!("the response of {record}: {error}")))
}
