//! A row of the outbox, of its archive, and of its dead letters.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::{Cause, Lane, Message, RowId, Sequence, Stored, TraceContext};

use crate::wire::{Row, damaged};

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
pub(super) fn stored(row: &Row) -> Result<Stored, StoreError> {
    let id = row.get(2)?;
    let mut message = Message::identified(id, row.get::<String>(3)?, row.get::<bytes::Bytes>(6)?);
    if let Some(key) = row.nullable::<String>(4)? {
        message = message.keyed(key);
    }
    if let Some(tenant) = row.nullable::<String>(5)? {
        message = message.of_tenant(tenant);
    }
    if let Some(headers) = row.nullable::<String>(7)? {
        let read = message.with_headers_from_json(&headers);
        message = read.map_err(|error| damaged(format!("the headers of {id}: {error}")))?;
    }
    if let Some(parent) = row.nullable::<String>(8)? {
        let trace = TraceContext::parse(&parent);
        let mut trace = trace.map_err(|error| damaged(format!("the trace of {id}: {error}")))?;
        if let Some(state) = row.nullable::<String>(9)? {
            trace = trace.with_state(state);
        }
        message = message.traced(trace);
    }
    let sequence = match row.nullable::<i64>(10)? {
        Some(number) => Some(Sequence {
            number: number.cast_unsigned(),
            first: row.nullable(11)?.unwrap_or(false),
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
        failures: row.get::<i32>(12)?.cast_unsigned(),
        started: row.get::<i32>(13)?.cast_unsigned(),
        enqueued_at: row.get(14)?,
        message,
    })
}

/// The cause in a column.
pub(super) fn cause(word: &str) -> Result<Cause, StoreError> {
    Cause::from_stored(word).ok_or_else(|| damaged(format!("the cause {word:?}")))
}
