//! Sagas that have ended and are kept as one row each.
//!
//! A row is moved as it stands, whatever it says: one that cannot be read, or
//! is of a release that knows more, keeps nobody from archiving the others.

use axiomatic_coordination::Timestamp;
use axiomatic_coordination::saga::{Found, Kind, Mail, Record, Recorded, SagaId, Subject, Summary};
use bytes::Bytes;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::row::{LINES, MAIL, bytes, summary, timestamp};
use crate::error::damaged;

const STARTED: &str = "SELECT started FROM saga WHERE id = ?1";

const PUT: &str = "\
INSERT INTO saga_archive (saga, name, version, hash, stage, result, started, changed, ended, \
       archived, input, length, log) \
SELECT saga, name, version, hash, stage, result, started, changed, ended, ?2, input, length, ?3 \
FROM saga WHERE id = ?1";

/// The columns that [`summary`] reads first.
const FIND: &str = "\
SELECT saga, name, version, hash, stage, result, started, changed, input, length, log \
FROM saga_archive WHERE saga = ?1 ORDER BY id DESC LIMIT 1";

/// What a log begins with that is written as the schema says.
const FORMAT: u8 = 1;

/// Copies a saga's row, with its log and its mail.
pub(super) fn put(
    connection: &Connection,
    row: i64,
    saga: &[u8; 16],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut started = connection.prepare_cached(STARTED)?;
    let mut before: i64 = started.query_row([row], |row| row.get(0))?;
    let mut lines = Rows::default();
    lines.read(connection, LINES, saga, |line, row| {
        // Where a line stands is told by the others.
        for column in 1..=6 {
            line.value(row.get_ref(column)?)?;
        }
        let at: i64 = row.get(7)?;
        line.difference(at, before);
        before = at;
        Ok(())
    })?;
    let mut mail = Rows::default();
    mail.read(connection, MAIL, saga, |mail, row| {
        (0..=3).try_for_each(|column| mail.value(row.get_ref(column)?))
    })?;
    let mut log = Encoded(vec![FORMAT]);
    for rows in [lines, mail] {
        log.number(rows.count);
        log.0.extend(rows.encoded.0);
    }
    let put = (row, now.as_micros(), log.0);
    connection.prepare_cached(PUT)?.execute(put)?;
    Ok(())
}

/// Of those of this id that are in the archive, the latest.
pub(super) fn find(connection: &Connection, saga: SagaId) -> rusqlite::Result<Option<Found>> {
    let mut find = connection.prepare_cached(FIND)?;
    find.query_row([saga.0.as_bytes()], found).optional()
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let summary = summary(row)?;
    let log = row.get_ref(10)?.as_blob()?;
    let log = Encoding(log).log(&summary);
    let is_whole = |(records, _): &(Vec<_>, _)| {
        let length = row.get::<_, i64>(9);
        length.is_ok_and(|length| usize::try_from(length) == Ok(records.len()))
    };
    let Some((records, mail)) = log.filter(is_whole) else {
        let saga = summary.saga;
        let what = format!("the log of {saga} in the archive cannot be read");
        return Err(damaged(what));
    };
    Ok(Found {
        input: bytes(row, 8)?,
        summary,
        records,
        mail,
    })
}

/// Rows one after the other.
#[derive(Default)]
struct Rows {
    count: u64,
    encoded: Encoded,
}

impl Rows {
    fn read(
        &mut self,
        connection: &Connection,
        sql: &str,
        saga: &[u8; 16],
        mut encode: impl FnMut(&mut Encoded, &Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut rows = connection.prepare_cached(sql)?;
        let mut rows = rows.query([saga])?;
        while let Some(row) = rows.next()? {
            encode(&mut self.encoded, row)?;
            self.count += 1;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Encoded(Vec<u8>);

impl Encoded {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Of times, which mostly follow each other.
    fn difference(&mut self, number: i64, before: i64) {
        let more = number.wrapping_sub(before);
        self.number(((more << 1) ^ (more >> 63)).cast_unsigned());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn value(&mut self, value: ValueRef<'_>) -> rusqlite::Result<()> {
        match value {
            ValueRef::Null => self.bytes(&[]),
            ValueRef::Integer(number) => self.number(number.cast_unsigned()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => self.bytes(bytes),
            // No column of ours is of that type.
            ValueRef::Real(_) => {
                let real = "a number of a log".into();
                return Err(rusqlite::Error::InvalidColumnType(0, real, Type::Real));
            }
        }
        Ok(())
    }
}

/// What is left of a log; what nobody writes so is `None`.
struct Encoding<'a>(&'a [u8]);

impl<'a> Encoding<'a> {
    fn log(mut self, summary: &Summary) -> Option<(Vec<Recorded>, Vec<Mail>)> {
        if self.take(1)? != [FORMAT] {
            return None;
        }
        let mut at = summary.started;
        let records = self.rows(|log| {
            let line = log.line(at)?;
            at = line.at;
            Some(line)
        })?;
        let mail = self.rows(Self::letter)?;
        self.0.is_empty().then_some((records, mail))
    }

    fn rows<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| read(self)).collect()
    }

    fn line(&mut self, before: Timestamp) -> Option<Recorded> {
        let record = Record {
            kind: Kind::from_stored(self.text()?)?,
            step: self.text()?.into(),
            item: u32::try_from(self.number()?).ok()?,
            attempt: u32::try_from(self.number()?).ok()?,
            data: Bytes::copy_from_slice(self.bytes()?),
            mail: match self.bytes()? {
                [] => None,
                id => Some(Uuid::from_slice(id).ok()?),
            },
        };
        let twice = self.number()?;
        let more = (twice >> 1).cast_signed() ^ -(twice & 1).cast_signed();
        let at = timestamp(before.as_micros().wrapping_add(more));
        Some(Recorded { record, at })
    }

    fn letter(&mut self) -> Option<Mail> {
        Some(Mail {
            id: Uuid::from_slice(self.bytes()?).ok()?,
            subject: Subject::from_stored(self.text()?)?,
            name: self.text()?.into(),
            data: Bytes::copy_from_slice(self.bytes()?),
        })
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
