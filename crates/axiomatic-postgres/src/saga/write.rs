//! Many changes and starts, as the parameters of one statement.

use std::collections::BTreeMap;

use axiomatic_coordination::saga::{Append, Lease, LockMode, Record, Start, Wake};
use axiomatic_coordination::{StoreError, Why};
use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use bytes::Bytes;

use super::rows::micros;
use crate::wire::{Param, Row, damaged};

/// What is to be written of a saga.
#[derive(Clone, Debug)]
pub(super) enum What {
    Append(Lease, Append),
    Start(Start),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Held,
    Lost,
    Conflict,
    Waits,
    Before,
    Other,
    /// It was there, and then it was not.
    Gone,
}

/// How a batch is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// The leases are locked and compared by this transaction already.
    pub(super) is_fenced: bool,
    /// How long another's lock is waited for, as PostgreSQL has it. Nothing
    /// in a transaction of the user's: it would be set there until its end.
    pub(super) patience: Option<&'static str>,
}

impl What {
    /// Whose saga it is.
    pub(super) fn saga(&self) -> axiomatic_coordination::saga::SagaId {
        match self {
            What::Append(_, append) => append.saga,
            What::Start(start) => start.saga,
        }
    }

    fn records(&self) -> &[Record] {
        match self {
            What::Append(_, append) => &append.change.records,
            What::Start(start) => start
                .held
                .as_ref()
                .map_or(&[][..], |(_, change)| &change.records),
        }
    }

    /// Whether a saga ends with it, if it is written.
    pub(super) fn ends(&self) -> bool {
        match self {
            What::Append(_, append) => append.change.stage.is_end(),
            What::Start(_) => false,
        }
    }

    /// About how many bytes are sent of it.
    pub(super) fn size(&self) -> usize {
        let (input, result) = match self {
            What::Append(_, append) => (0, append.change.result.as_ref().map_or(0, Bytes::len)),
            What::Start(start) => (
                start.input.len(),
                start
                    .held
                    .as_ref()
                    .and_then(|(_, change)| change.result.as_ref())
                    .map_or(0, Bytes::len),
            ),
        };
        let lines = self.records().iter();
        let lines: usize = lines
            .map(|record| 64 + record.step.len() + record.data.len())
            .sum();
        256 + input + result + lines
    }

    /// Refuses what would have the server refuse all that is sent with it.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let mut steps = self.records().iter().map(|record| &*record.step);
        let name = match self {
            What::Append(..) => "",
            What::Start(start) => &start.definition.name,
        };
        if name.contains('\0') || steps.any(|step| step.contains('\0')) {
            return Err(StoreError::new(Why::Refused).because("no text of PostgreSQL holds a NUL"));
        }
        Ok(())
    }
}

/// By what a change without a line is known again.
fn hash(lease: &Lease, append: &Append) -> i64 {
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    hasher
        .hash(format!("{} {append:?}", lease.epoch.0).as_bytes())
        .cast_signed()
}

/// The parameters of the statement that writes all of these.
pub(super) fn params(all: &[&What], how: How) -> Vec<Param> {
    let mut leases: Vec<&Lease> = Vec::new();
    let mut place = |lease| {
        let at = leases.iter().position(|known| *known == lease);
        let at = at.unwrap_or_else(|| {
            leases.push(lease);
            leases.len() - 1
        });
        i32::try_from(at + 1).unwrap_or(i32::MAX)
    };
    let (mut appends, mut starts) = (Vec::new(), Vec::new());
    for what in all {
        match what {
            What::Append(lease, append) => appends.push((place(lease), lease, append)),
            What::Start(start) => {
                let held = start.held.as_ref();
                starts.push((held.map(|(lease, _)| place(lease)), start));
            }
        }
    }
    let lines = lines(&appends, &starts);
    let held = |start: &Start| start.held.clone().map(|(_, change)| change);
    let changes: Vec<_> = starts.iter().map(|(_, start)| held(start)).collect();
    vec![
        Param::new(how.is_fenced),
        Param::nullable(how.patience),
        Param::array(leases.iter().map(|lease| i32::from(lease.bucket.0))),
        Param::array(leases.iter().map(|lease| lease.epoch.0.cast_signed())),
        Param::array(leases.iter().map(|lease| lease.owner.as_str())),
        Param::array(appends.iter().map(|(.., append)| append.saga.0)),
        Param::array(appends.iter().map(|(place, ..)| *place)),
        Param::array(appends.iter().map(|(.., append)| count(append.after))),
        Param::array(
            appends
                .iter()
                .map(|(.., append)| len(&append.change.records)),
        ),
        Param::array(
            appends
                .iter()
                .map(|(.., append)| append.change.stage.as_str()),
        ),
        Param::array(
            appends
                .iter()
                .map(|(.., append)| append.change.stage.is_end()),
        ),
        Param::array(
            appends
                .iter()
                .map(|(.., append)| append.change.wake == Wake::Held),
        ),
        Param::nullable_array(appends.iter().map(|(.., append)| match append.change.wake {
            Wake::Held | Wake::In(std::time::Duration::MAX) => None,
            Wake::In(later) => Some(micros(later)),
        })),
        Param::nullable_array(
            appends
                .iter()
                .map(|(.., append)| append.change.result.as_deref()),
        ),
        Param::array(appends.iter().map(|(.., append)| append.change.progress)),
        Param::array(appends.iter().map(|(.., append)| i64::from(append.read))),
        Param::nullable_array(appends.iter().map(|(_, lease, append)| {
            append
                .change
                .records
                .is_empty()
                .then(|| hash(lease, append))
        })),
        Param::array(starts.iter().map(|(_, start)| start.saga.0)),
        Param::array(
            starts
                .iter()
                .map(|(_, start)| i32::from(start.saga.bucket().0)),
        ),
        Param::array(starts.iter().map(|(_, start)| &*start.definition.name)),
        Param::array(
            starts
                .iter()
                .map(|(_, start)| i64::from(start.definition.version)),
        ),
        Param::array(
            starts
                .iter()
                .map(|(_, start)| start.definition.hash.cast_signed()),
        ),
        Param::array(starts.iter().map(|(_, start)| &start.input[..])),
        Param::nullable_array(starts.iter().map(|(_, start)| start.deadline.map(micros))),
        Param::nullable_array(starts.iter().map(|(place, _)| *place)),
        Param::array(
            changes
                .iter()
                .map(|change| change.as_ref().map_or(0, |change| len(&change.records))),
        ),
        Param::nullable_array(
            changes
                .iter()
                .map(|change| change.as_ref().map(|change| change.stage.as_str())),
        ),
        Param::array(
            changes
                .iter()
                .map(|change| change.as_ref().is_some_and(|change| change.stage.is_end())),
        ),
        Param::nullable_array(
            changes
                .iter()
                .map(|change| change.as_ref().and_then(|change| change.result.as_deref())),
        ),
        Param::array(lines.iter().map(|line| line.request)),
        Param::array(lines.iter().map(|line| line.seq)),
        Param::array(lines.iter().map(|line| line.record.kind.as_str())),
        Param::array(lines.iter().map(|line| &*line.record.step)),
        Param::array(lines.iter().map(|line| i64::from(line.record.item))),
        Param::array(lines.iter().map(|line| i64::from(line.record.attempt))),
        Param::array(lines.iter().map(|line| &line.record.data[..])),
        Param::nullable_array(lines.iter().map(|line| line.record.mail)),
    ]
}

/// A line, and of which request: the nth append is n, the nth start is -n.
struct Line<'a> {
    request: i32,
    seq: i64,
    record: &'a Record,
}

fn lines<'a>(
    appends: &[(i32, &'a Lease, &'a Append)],
    starts: &[(Option<i32>, &'a Start)],
) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut of = |request, after: u64, records: &'a [Record]| {
        for (seq, record) in (count(after) + 1..).zip(records) {
            lines.push(Line {
                request,
                seq,
                record,
            });
        }
    };
    for (request, (.., append)) in (1..).zip(appends) {
        of(request, append.after, &append.change.records);
    }
    for (request, (_, start)) in (1i32..).zip(starts) {
        if let Some((_, change)) = &start.held {
            of(-request, 0, &change.records);
        }
    }
    lines
}

/// A number of lines that no log has is one more than any has.
fn count(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX / 2).min(i64::MAX / 2)
}

fn len(records: &[Record]) -> i64 {
    i64::try_from(records.len()).unwrap_or(i64::MAX)
}

/// Lines that were left, each once, and whether somebody left there who had it
/// alone, or only who shared it.
pub(super) type Left = BTreeMap<String, LockMode>;

/// Which lines were left by sagas that have ended with it.
pub(super) fn left(rows: &[Row]) -> Result<Left, StoreError> {
    let mut left = Left::new();
    for row in rows.iter().filter(|row| is_of_line(row)) {
        // What is not known is not less than alone.
        let mode = LockMode::from_stored(&row.get::<String>(3)?).unwrap_or(LockMode::Exclusive);
        let known = left.entry(row.get(2)?).or_insert(mode);
        if mode == LockMode::Exclusive {
            *known = mode;
        }
    }
    Ok(left)
}

/// Whether a row tells of a line, and not of a request.
fn is_of_line(row: &Row) -> bool {
    row.0.get(2).is_some_and(Option::is_some)
}

/// What became of each, in their order.
pub(super) fn outcomes(all: &[&What], rows: &[Row]) -> Result<Vec<Outcome>, StoreError> {
    let (mut appended, mut started) = (Vec::new(), Vec::new());
    for row in rows.iter().filter(|row| !is_of_line(row)) {
        let request: i32 = row.get(0)?;
        let outcome = match row.get::<String>(1)?.as_str() {
            "held" => Outcome::Held,
            "lost" => Outcome::Lost,
            "conflict" => Outcome::Conflict,
            "waits" => Outcome::Waits,
            "before" => Outcome::Before,
            "other" => Outcome::Other,
            "gone" => Outcome::Gone,
            other => return Err(damaged(format!("what was written is {other:?}"))),
        };
        let of = if request > 0 {
            &mut appended
        } else {
            &mut started
        };
        of.push((request.unsigned_abs(), outcome));
    }
    appended.sort_unstable_by_key(|(request, _)| *request);
    started.sort_unstable_by_key(|(request, _)| *request);
    let (mut appended, mut started) = (appended.into_iter(), started.into_iter());
    let outcome = |what: &&What| {
        let next = match what {
            What::Append(..) => appended.next(),
            What::Start(_) => started.next(),
        };
        let next = next.map(|(_, outcome)| outcome);
        next.ok_or_else(|| damaged("a request was not answered".into()))
    };
    all.iter().map(outcome).collect()
}
