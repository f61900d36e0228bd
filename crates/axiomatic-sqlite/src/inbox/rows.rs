//! Rows of the inbox's tables, and what they hold.

use axiomatic_coordination::inbox::{Delivery, Id, Quarantined, Stream, Waiting, Watermark};
use axiomatic_coordination::outbox::Epoch;
use axiomatic_coordination::{StoreError, Timestamp, Why};
use axiomatic_core::BoxError;
use rusqlite::{Connection, Row};

use crate::error::store_error;

/// A stream as four columns.
pub(super) fn stored<'s>(stream: &Stream<'s>) -> (&'s str, &'s str, String, &'s str) {
    let tenant = stream.tenant_to_stored();
    (stream.consumer, stream.source, tenant, stream.key)
}

/// What [`quarantined`] reads.
pub(super) const QUARANTINE: &str =
    "SELECT consumer, id, started, reason, since, delivery, body FROM inbox_quarantine";

/// A row of the quarantine. The outer result is SQLite's, the inner one says
/// whether it is what was stored.
pub(super) fn quarantined(row: &Row<'_>) -> rusqlite::Result<Result<Quarantined, StoreError>> {
    let consumer: String = row.get(0)?;
    let id: String = row.get(1)?;
    let started = row.get(2)?;
    let reason: String = row.get(3)?;
    let since = Timestamp::from_micros(row.get(4)?);
    let rest: String = row.get(5)?;
    let body: Vec<u8> = row.get(6)?;
    let read = || {
        Ok(Quarantined {
            consumer: consumer.into(),
            id: Id::new(id).map_err(corrupt)?,
            started,
            reason: reason.into(),
            since,
            delivery: Delivery::from_stored(&rest, body).map_err(corrupt)?,
        })
    };
    Ok(read())
}

/// A watermark, from the column `at` on.
pub(super) fn watermark(
    row: &Row<'_>,
    at: usize,
) -> rusqlite::Result<Result<Watermark, StoreError>> {
    let through: i64 = row.get(at)?;
    let epoch: i64 = row.get(at + 1)?;
    let ahead: String = row.get(at + 2)?;
    let rejected: Option<i64> = row.get(at + 3)?;
    let missing_since: Option<i64> = row.get(at + 4)?;
    let ahead = ahead.parse().map_err(corrupt);
    Ok(ahead.map(|ahead| Watermark {
        through: through.cast_unsigned(),
        epoch: Epoch(epoch.cast_unsigned()),
        ahead,
        rejected: rejected.and_then(|number| number.cast_unsigned().try_into().ok()),
        missing_since: missing_since.map(Timestamp::from_micros),
    }))
}

/// What was stored is not what an inbox stores.
pub(super) fn corrupt(error: impl Into<BoxError>) -> StoreError {
    StoreError::new(Why::Corrupt).because(error)
}

/// The messages in quarantine, the oldest first.
pub(super) fn peek(connection: &Connection, most: usize) -> Result<Vec<Quarantined>, StoreError> {
    let select = format!("{QUARANTINE} ORDER BY rowid LIMIT ?1");
    let read = || {
        let mut select = connection.prepare_cached(&select)?;
        let rows = select.query_map([limit(most)], quarantined)?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().map_err(store_error)?.into_iter().collect()
}

/// The streams of which something is missing, the longest first.
pub(super) fn waiting(connection: &Connection, most: usize) -> Result<Vec<Waiting>, StoreError> {
    let select = "SELECT consumer, source, tenant, key, through, epoch, ahead, rejected, \
                  missing_since FROM inbox_watermark WHERE missing_since IS NOT NULL \
                  ORDER BY missing_since LIMIT ?1";
    let read = || {
        let mut select = connection.prepare_cached(select)?;
        let rows = select.query_map([limit(most)], waits)?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().map_err(store_error)?.into_iter().collect()
}

fn waits(row: &Row<'_>) -> rusqlite::Result<Result<Waiting, StoreError>> {
    let [consumer, source, tenant, key]: [String; 4] =
        [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
    let watermark = watermark(row, 4)?;
    Ok(watermark.map(|watermark| Waiting {
        consumer: consumer.into(),
        source: source.into(),
        tenant: tenant.strip_prefix('=').map(Into::into),
        key: key.into(),
        watermark,
    }))
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
