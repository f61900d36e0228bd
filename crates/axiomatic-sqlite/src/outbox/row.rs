//! A row of the outbox, of its archive, and of its dead letters.

use axiomatic_coordination::outbox::{Cause, Lane, Message, RowId, Sequence, Stored, TraceContext};
use axiomatic_coordination::{MessageId, Timestamp};
use bytes::Bytes;
use rusqlite::Row;

pub(super) use crate::database::now;
pub(super) use crate::error::damaged;

/// The columns that `outbox`, `outbox_archive` and `outbox_dead` have in
/// common, as [`stored`] reads them.
macro_rules! columns {
    () => {
        "id, lane, message_id, topic, key, tenant, body, headers, trace_parent, trace_state, \
         sequence, first, failures, started, enqueued_at"
    };
}
pub(super) use columns;

/// How many columns that are: those of the table alone come behind them.
pub(super) const COLUMNS: usize = 15;

/// What a row holds.
pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let text =
        |column| -> rusqlite::Result<Option<&str>> { Ok(row.get_ref(column)?.as_str_or_null()?) };
    let id = MessageId::from_bytes(row.get(2)?);
    let body = Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?);
    let mut message = Message::identified(id, row.get_ref(3)?.as_str()?, body);
    if let Some(key) = text(4)? {
        message = message.keyed(key);
    }
    if let Some(tenant) = text(5)? {
        message = message.of_tenant(tenant);
    }
    if let Some(headers) = text(7)? {
        let read = message.with_headers_from_json(headers);
        message = read.map_err(|error| damaged(format!("the headers of {id}: {error}")))?;
    }
    if let Some(parent) = text(8)? {
        let trace = TraceContext::parse(parent);
        let mut trace = trace.map_err(|error| damaged(format!("the trace of {id}: {error}")))?;
        if let Some(state) = text(9)? {
            trace = trace.with_state(state);
        }
        message = message.traced(trace);
    }
    let sequence = match row.get::<_, Option<i64>>(10)? {
        Some(number) => Some(Sequence {
            number: number.cast_unsigned(),
            first: row.get::<_, Option<bool>>(11)?.unwrap_or(false),
        }),
        None => None,
    };
    if sequence.is_some() {
        message = message.ordered();
    }
    Ok(Stored {
        row: RowId(row.get(0)?),
        lane: Lane::from_stored(row.get(1)?),
        sequence,
        failures: row.get(12)?,
        started: row.get(13)?,
        enqueued_at: Timestamp::from_micros(row.get(14)?),
        message,
    })
}

/// The cause in a column.
pub(super) fn cause(word: &str) -> rusqlite::Result<Cause> {
    Cause::from_stored(word).ok_or_else(|| damaged(format!("the cause {word:?}")))
}
