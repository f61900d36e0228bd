//! What stands in the tables, as values of the protocol.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::outbox::{Bucket, Epoch};
use axiomatic_coordination::saga::{
    Attended, Broken, Definition, ExecutorId, Found, Kind, Lease, Loaded, Mail, Posted, Record,
    Recorded, SagaId, Stage, Subject, Summary, Taken,
};
use axiomatic_coordination::{StoreError, Timestamp};
use bytes::Bytes;
use uuid::Uuid;

use crate::wire::{Param, Row, damaged};

/// A hundred years, in microseconds: what is longer is as good as that, and
/// leaves the times that PostgreSQL knows.
const LONGEST: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;

/// A time in microseconds.
pub(super) fn micros(time: Duration) -> i64 {
    let micros = i64::try_from(time.as_micros());
    micros.map_or(LONGEST, |micros| micros.min(LONGEST))
}

/// How many at most. One more is asked for, and that is a place in an array
/// too, which PostgreSQL numbers with 32 bits.
pub(super) fn at_most(of: usize) -> i64 {
    const MOST: i64 = 1 << 30;
    i64::try_from(of).map_or(MOST, |of| of.min(MOST))
}

/// A lease as three columns.
pub(super) fn lease(lease: &Lease) -> [Param; 3] {
    [
        Param::new(i32::from(lease.bucket.0)),
        Param::new(lease.epoch.0.cast_signed()),
        Param::new(lease.owner.as_str()),
    ]
}

/// Leases as three arrays.
pub(super) fn leases(leases: &[Lease]) -> [Param; 3] {
    [
        Param::array(leases.iter().map(|lease| i32::from(lease.bucket.0))),
        Param::array(leases.iter().map(|lease| lease.epoch.0.cast_signed())),
        Param::array(leases.iter().map(|lease| lease.owner.as_str())),
    ]
}

/// All that this release can read: stages, kinds and subjects.
pub(super) fn legible() -> [Param; 3] {
    [
        Param::array(Stage::ALL.iter().map(|stage| stage.as_str())),
        Param::array(Kind::ALL.iter().map(|kind| kind.as_str())),
        Param::array(Subject::ALL.iter().map(|subject| subject.as_str())),
    ]
}

/// Who is here, and what this one holds.
pub(super) fn attended(rows: &[Row], executor: &ExecutorId) -> Result<Attended, StoreError> {
    let (mut executors, mut leases) = (Vec::new(), Vec::new());
    for row in rows {
        match row.nullable::<String>(0)? {
            Some(here) => executors.push(ExecutorId::from_stored(&here)),
            None => leases.push(held(row, 1, executor)?),
        }
    }
    Ok(Attended { executors, leases })
}

/// The leases that were claimed, in the order of their buckets.
pub(super) fn claimed(rows: &[Row], executor: &ExecutorId) -> Result<Vec<Lease>, StoreError> {
    let leases = rows.iter().map(|row| held(row, 0, executor));
    let mut leases = leases.collect::<Result<Vec<_>, _>>()?;
    leases.sort_unstable_by_key(|lease| lease.bucket);
    Ok(leases)
}

fn held(row: &Row, at: usize, executor: &ExecutorId) -> Result<Lease, StoreError> {
    let bucket: i32 = row.get(at)?;
    let known = u16::try_from(bucket).map(Bucket);
    Ok(Lease {
        bucket: known.map_err(|_| damaged(format!("there is no bucket {bucket}")))?,
        epoch: Epoch(row.get::<i64>(at + 1)?.cast_unsigned()),
        owner: executor.clone(),
    })
}

/// What became of a letter.
pub(super) fn posted(rows: &[Row]) -> Result<Posted, StoreError> {
    Ok(match only(rows)?.get::<String>(0)?.as_str() {
        "accepted" => Posted::Accepted,
        "missing" => Posted::Missing,
        "ended" => Posted::Ended,
        other => return Err(damaged(format!("a letter is {other:?}"))),
    })
}

/// The one row that there is.
pub(super) fn only(rows: &[Row]) -> Result<&Row, StoreError> {
    let row = rows.first();
    row.ok_or_else(|| damaged("the answer has no row".into()))
}

/// What was taken. The rows are those of one saga behind those of the other,
/// and the last says what there is besides.
pub(super) fn taken(rows: &[Row], leases: &[Lease]) -> Result<Taken, StoreError> {
    let (last, rows) = rows
        .split_last()
        .ok_or_else(|| damaged("the answer has no row".into()))?;
    let (now, next): (Timestamp, Option<Timestamp>) = (last.get(17)?, last.nullable(7)?);
    let mut sagas = Vec::new();
    for rows in rows.chunk_by(|one, other| one.0[2] == other.0[2]) {
        let saga = SagaId(rows[0].get(2)?);
        let is_broken = rows[0].get::<bool>(16)?;
        sagas.push(match loaded(rows, leases) {
            Ok(_) if is_broken => Err(Broken {
                saga,
                error: damaged("its log is not whole".into()),
            }),
            Ok(loaded) => Ok(loaded),
            Err(error) => Err(Broken { saga, error }),
        });
    }
    let found: i64 = last.get(3)?;
    Ok(Taken {
        more: usize::try_from(found).unwrap_or(0) > sagas.len(),
        sagas,
        next: next.map(|next| next.saturating_since(now)),
    })
}

/// A saga for who holds it: the rows of one.
pub(super) fn loaded(rows: &[Row], leases: &[Lease]) -> Result<Loaded, StoreError> {
    let (head, found) = found(rows)?;
    let place: i32 = head.get(15)?;
    let lease = usize::try_from(place - 1).ok();
    let lease = lease.and_then(|place| leases.get(place));
    let loads: i32 = head.get(11)?;
    Ok(Loaded {
        saga: found.summary.saga,
        lease: lease
            .cloned()
            .ok_or_else(|| damaged(format!("there is no lease {place}")))?,
        definition: found.summary.definition,
        input: found.input,
        stage: found.summary.stage,
        records: found.records,
        mail: found.mail,
        deadline: head.nullable(7)?,
        now: head.get(17)?,
        loads: u32::try_from(loads).map_err(|_| damaged(format!("it was taken {loads} times")))?,
    })
}

/// A saga: the rows of one, of which the first is its own.
pub(super) fn found(rows: &[Row]) -> Result<(&Row, Found), StoreError> {
    let head = only(rows)?;
    let length: i64 = head.get(3)?;
    let (mut records, mut mail) = (Vec::new(), Vec::new());
    for row in &rows[1..] {
        match row.get::<i32>(1)? {
            1 => records.push(recorded(row, records.len())?),
            2 => mail.push(letter(row)?),
            what => return Err(damaged(format!("there is no {what} of a saga"))),
        }
    }
    if usize::try_from(length).ok() != Some(records.len()) {
        return Err(damaged(format!(
            "its log has {} lines and should have {length}",
            records.len()
        )));
    }
    let summary = Summary {
        saga: SagaId(head.get(2)?),
        definition: definition(head.get(4)?, head.get(8)?, head.get(9)?)?,
        stage: stage(&head.get::<String>(5)?)?,
        result: head.nullable(12)?,
        started: head.get(13)?,
        changed: head.get(14)?,
    };
    let input: Bytes = head.get(6)?;
    let found = Found {
        summary,
        input,
        records,
        mail,
    };
    Ok((head, found))
}

/// A saga in short.
pub(super) fn summary(row: &Row) -> Result<Summary, StoreError> {
    Ok(Summary {
        saga: SagaId(row.get(0)?),
        definition: definition(row.get(1)?, row.get(2)?, row.get(3)?)?,
        stage: stage(&row.get::<String>(4)?)?,
        result: row.nullable(5)?,
        started: row.get(6)?,
        changed: row.get(7)?,
    })
}

/// How many are at each stage.
pub(super) fn counted(rows: &[Row]) -> Result<[u64; 7], StoreError> {
    let mut counted = [0; 7];
    for row in rows {
        // A stage that this release does not know is none of its counts.
        let stored: String = row.get(0)?;
        let place = Stage::ALL.iter().position(|stage| stage.as_str() == stored);
        if let Some(place) = place {
            counted[place] = row.get::<i64>(1)?.cast_unsigned();
        }
    }
    Ok(counted)
}

fn recorded(row: &Row, before: usize) -> Result<Recorded, StoreError> {
    let seq: i64 = row.get(3)?;
    if usize::try_from(seq).ok() != Some(before + 1) {
        return Err(damaged(format!("line {seq} follows line {before}")));
    }
    let kind: String = row.get(4)?;
    let step: String = row.get(5)?;
    Ok(Recorded {
        record: Record {
            kind: Kind::from_stored(&kind)
                .ok_or_else(|| damaged(format!("line {seq} is {kind:?}")))?,
            step: step.into(),
            item: small(row.get(8)?, "item")?,
            attempt: small(row.get(9)?, "attempt")?,
            data: row.get(6)?,
            mail: row.nullable::<Uuid>(10)?,
        },
        at: row.get(7)?,
    })
}

fn letter(row: &Row) -> Result<Mail, StoreError> {
    let subject: String = row.get(4)?;
    Ok(Mail {
        id: row.get(10)?,
        subject: Subject::from_stored(&subject)
            .ok_or_else(|| damaged(format!("a letter asks for {subject:?}")))?,
        name: row.get::<String>(5)?.into_boxed_str(),
        data: row.get(6)?,
    })
}

fn definition(name: String, version: i64, hash: i64) -> Result<Definition, StoreError> {
    Ok(Definition {
        name: Arc::from(name),
        version: small(version, "version")?,
        hash: hash.cast_unsigned(),
    })
}

fn stage(stored: &str) -> Result<Stage, StoreError> {
    Stage::from_stored(stored).ok_or_else(|| damaged(format!("its stage is {stored:?}")))
}

fn small(number: i64, what: &str) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| damaged(format!("there is no {what} {number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_too_long_is_a_hundred_years() {
        assert_eq!(micros(Duration::from_micros(7)), 7);
        assert_eq!(micros(Duration::MAX), LONGEST);
    }
}
