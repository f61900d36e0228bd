//! Rows of the inbox's tables, and what they hold.

use axiomatic_coordination::inbox::{Delivery, Id, Quarantined, Stream, Waiting, Watermark};
use axiomatic_coordination::outbox::Epoch;
use axiomatic_coordination::{StoreError, Why};
use axiomatic_core::BoxError;
use axiomatic_core::hash::{Algorithm, Encoder, Hasher, Seed};
use bytes::Bytes;

use crate::options::Schema;
use crate::wire::{Param, Row};

/// A message as two columns.
pub(super) fn message(consumer: &str, id: &Id) -> [Param; 2] {
    [Param::new(consumer), Param::new(id.as_str().as_bytes())]
}

/// A stream as four columns.
pub(super) fn stream(stream: &Stream<'_>) -> [Param; 4] {
    [
        Param::new(stream.consumer),
        Param::new(stream.source),
        Param::new(stream.tenant_to_stored()),
        Param::new(stream.key),
    ]
}

/// For what one takes turns, by a lock of the server that has a number: two
/// whose numbers are equal by chance wait for each other once in a while.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn<'a> {
    Message(&'a str, &'a Id),
    Stream(&'a Stream<'a>),
    Partitions,
}

impl Turn<'_> {
    pub(super) fn number(self, schema: &Schema) -> i64 {
        let mut encoder = Encoder::new();
        encoder.text("axiomatic inbox").text(schema.name());
        match self {
            Turn::Message(consumer, id) => {
                encoder.text("message").text(consumer).text(id.as_str());
            }
            Turn::Stream(stream) => {
                encoder.text("stream").text(stream.consumer);
                encoder.text(stream.source);
                encoder.text(&stream.tenant_to_stored()).text(stream.key);
            }
            Turn::Partitions => {
                encoder.text("partitions");
            }
        }
        let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
        hasher.hash(encoder.as_bytes()).cast_signed()
    }
}

/// A row of the quarantine.
pub(super) fn quarantined(row: &Row) -> Result<Quarantined, StoreError> {
    let [consumer, reason, rest] = texts(row, [0, 3, 5])?;
    let id = String::from_utf8(row.get::<Bytes>(1)?.into()).map_err(corrupt)?;
    let started: i32 = row.get(2)?;
    Ok(Quarantined {
        consumer: consumer.into(),
        id: Id::new(id).map_err(corrupt)?,
        started: started.cast_unsigned(),
        reason: reason.into(),
        since: row.get(4)?,
        delivery: Delivery::from_stored(&rest, row.get::<Bytes>(6)?).map_err(corrupt)?,
    })
}

/// A watermark, from the column `at` on.
pub(super) fn watermark(row: &Row, at: usize) -> Result<Watermark, StoreError> {
    let [through, epoch]: [i64; 2] = [row.get(at)?, row.get(at + 1)?];
    let rejected: Option<i64> = row.nullable(at + 3)?;
    Ok(Watermark {
        through: through.cast_unsigned(),
        epoch: Epoch(epoch.cast_unsigned()),
        ahead: row.get::<String>(at + 2)?.parse().map_err(corrupt)?,
        rejected: rejected.and_then(|number| number.cast_unsigned().try_into().ok()),
        missing_since: row.nullable(at + 4)?,
    })
}

/// A message that came ahead, with its number.
pub(super) fn held(row: &Row) -> Result<(u64, Delivery), StoreError> {
    let number: i64 = row.get(0)?;
    let rest: String = row.get(1)?;
    let delivery = Delivery::from_stored(&rest, row.get::<Bytes>(2)?).map_err(corrupt)?;
    Ok((number.cast_unsigned(), delivery))
}

/// A stream of which something is missing.
pub(super) fn waits(row: &Row) -> Result<Waiting, StoreError> {
    let [consumer, source, tenant, key] = texts(row, [0, 1, 2, 3])?;
    Ok(Waiting {
        consumer: consumer.into(),
        source: source.into(),
        tenant: tenant.strip_prefix('=').map(Into::into),
        key: key.into(),
        watermark: watermark(row, 4)?,
    })
}

fn texts<const N: usize>(row: &Row, columns: [usize; N]) -> Result<[String; N], StoreError> {
    let mut texts = [const { String::new() }; N];
    for (text, column) in texts.iter_mut().zip(columns) {
        *text = row.get(column)?;
    }
    Ok(texts)
}

/// What was stored is not what an inbox stores.
pub(super) fn corrupt(error: impl Into<BoxError>) -> StoreError {
    StoreError::new(Why::Corrupt).because(error)
}
