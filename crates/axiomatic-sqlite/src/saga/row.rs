//! Rows of the tables, and what they say.

use std::sync::Arc;

use axiomatic_coordination::saga::{
    Definition, Found, Kind, Lease, Loaded, Mail, Record, Recorded, SagaId, Stage, Subject, Summary,
};
use axiomatic_coordination::{StoreError, Timestamp, Why};
use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, Row};
use uuid::Uuid;

use crate::error::{damaged, store_error};

/// The columns that [`Whole::read`] reads, and those of [`summary`] first.
macro_rules! columns {
    () => {
        "saga, name, version, hash, stage, result, started, changed, input, length, loads, wake, \
         deadline"
    };
}
pub(super) use columns;

pub(super) const LINES: &str = "\
SELECT seq, kind, step, item, attempt, data, mail, at FROM saga_event WHERE saga = ?1 \
ORDER BY seq";

pub(super) const MAIL: &str = "\
SELECT id, subject, name, data FROM saga_mail WHERE saga = ?1 ORDER BY nth";

/// A saga's row with its log and its mail.
pub(super) struct Whole {
    found: Found,
    loads: u32,
    /// When it is looked at, unless somebody has it.
    pub(super) wake: Option<Timestamp>,
    deadline: Option<Timestamp>,
}

impl Whole {
    /// From a row of [these columns](columns), within a transaction.
    pub(super) fn read(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Self> {
        let summary = summary(row)?;
        let saga = summary.saga;
        let records = lines(connection, saga)?;
        let length: i64 = row.get(9)?;
        if usize::try_from(length) != Ok(records.len()) {
            let lines = records.len();
            let what = format!("the log of {saga} has {lines} lines, and should have {length}");
            return Err(damaged(what));
        }
        let time =
            |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(timestamp));
        Ok(Whole {
            found: Found {
                summary,
                input: bytes(row, 8)?,
                records,
                mail: mail(connection, saga)?,
            },
            loads: row.get(10)?,
            wake: time(11)?,
            deadline: time(12)?,
        })
    }

    pub(super) fn into_found(self) -> Found {
        self.found
    }

    /// As whoever runs it has it.
    pub(super) fn into_loaded(self, lease: Lease, now: Timestamp) -> Loaded {
        let Found {
            summary,
            input,
            records,
            mail,
        } = self.found;
        Loaded {
            saga: summary.saga,
            lease,
            definition: summary.definition,
            input,
            stage: summary.stage,
            records,
            mail,
            deadline: self.deadline,
            now,
            loads: self.loads,
        }
    }

    /// It is taken once more.
    pub(super) fn count_load(&mut self) -> u32 {
        self.loads = self.loads.saturating_add(1);
        self.loads
    }
}

/// A saga in short, from the first of its columns.
pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let saga = SagaId(Uuid::from_bytes(row.get(0)?));
    let stage = row.get_ref(4)?.as_str()?;
    let stage = Stage::from_stored(stage)
        .ok_or_else(|| damaged(format!("{saga} is at a stage that is called {stage}")))?;
    let result = row.get_ref(5)?.as_blob_or_null()?;
    Ok(Summary {
        saga,
        definition: Definition {
            name: row.get_ref(1)?.as_str()?.into(),
            version: row.get(2)?,
            hash: row.get::<_, i64>(3)?.cast_unsigned(),
        },
        stage,
        result: result.map(Bytes::copy_from_slice),
        started: timestamp(row.get(6)?),
        changed: timestamp(row.get(7)?),
    })
}

fn lines(connection: &Connection, saga: SagaId) -> rusqlite::Result<Vec<Recorded>> {
    let mut lines = connection.prepare_cached(LINES)?;
    let mut lines = lines.query([saga.0.as_bytes()])?;
    let mut records = Vec::new();
    while let Some(row) = lines.next()? {
        let seq: i64 = row.get(0)?;
        if usize::try_from(seq) != Ok(records.len() + 1) {
            let what = format!("the log of {saga} has a hole before line {seq}");
            return Err(damaged(what));
        }
        records.push(Recorded {
            record: record(row, saga, 1)?,
            at: timestamp(row.get(7)?),
        });
    }
    Ok(records)
}

/// A line, from its columns in the order of its fields.
pub(super) fn record(row: &Row<'_>, saga: SagaId, first: usize) -> rusqlite::Result<Record> {
    let kind = row.get_ref(first)?.as_str()?;
    let kind = Kind::from_stored(kind)
        .ok_or_else(|| damaged(format!("the log of {saga} has a line of kind {kind}")))?;
    let step: Arc<str> = row.get_ref(first + 1)?.as_str()?.into();
    Ok(Record {
        kind,
        step,
        item: row.get(first + 2)?,
        attempt: row.get(first + 3)?,
        data: bytes(row, first + 4)?,
        mail: row
            .get::<_, Option<[u8; 16]>>(first + 5)?
            .map(Uuid::from_bytes),
    })
}

fn mail(connection: &Connection, saga: SagaId) -> rusqlite::Result<Vec<Mail>> {
    let mut mail = connection.prepare_cached(MAIL)?;
    let mail = mail.query_map([saga.0.as_bytes()], |row| {
        let subject = row.get_ref(1)?.as_str()?;
        let subject = Subject::from_stored(subject)
            .ok_or_else(|| damaged(format!("{saga} has mail whose subject is {subject}")))?;
        Ok(Mail {
            id: Uuid::from_bytes(row.get(0)?),
            subject,
            name: row.get_ref(2)?.as_str()?.into(),
            data: bytes(row, 3)?,
        })
    })?;
    mail.collect()
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    let bytes = row.get_ref(column)?.as_blob()?;
    Ok(Bytes::copy_from_slice(bytes))
}

pub(super) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// What is wrong with a saga whose rows cannot be read; the error itself, if
/// it is not the rows' fault.
pub(super) fn unreadable(error: rusqlite::Error) -> rusqlite::Result<StoreError> {
    match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Ok(store_error(error)),
            _ => Err(error),
        },
        // A value that is none of ours.
        _ => Ok(StoreError::new(Why::Corrupt).because(error)),
    }
}
