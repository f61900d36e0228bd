//! What stands in the table, as values of the protocol.

use std::time::Duration;

use axiomatic_coordination::idempotency::{
    Adopted, Claimed, Fence, Key, Kind, Lease, Mine, Name, Scope, Step, StoredRequest,
    StoredResponse,
};
use axiomatic_coordination::{StoreError, Why};
use axiomatic_core::BoxError;
use bytes::Bytes;

use crate::wire::{Param, Row, damaged};

/// A hundred years, in microseconds: what is longer is as good as that, and
/// leaves the times that PostgreSQL knows.
const LONGEST: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;

/// A time in microseconds.
pub(super) fn micros(time: Duration) -> i64 {
    let micros = i64::try_from(time.as_micros());
    micros.map_or(LONGEST, |micros| micros.min(LONGEST))
}

/// A lease as two columns.
pub(super) fn lease(lease: &Lease) -> [Param; 2] {
    [
        Param::new(lease.record),
        Param::new(lease.epoch.cast_signed()),
    ]
}

/// A step as its line, and what another line would begin with that is of the
/// same name, behind the end of the line before.
pub(super) fn step(step: &Step) -> [Param; 2] {
    let bare = Step {
        name: step.name.clone(),
        kind: Kind::Foreign,
        value: Default::default(),
    };
    let bare = bare.line();
    let begins = bare.strip_suffix("\"foreign\",null]\n").unwrap_or(&bare);
    [Param::new(step.line()), Param::new(format!("\n{begins}"))]
}

/// Whether a statement that writes for a lease has found it.
pub(super) fn fence(rows: &[Row]) -> Fence {
    match rows {
        [] => Fence::Lost,
        _ => Fence::Held,
    }
}

/// What a claim has found.
pub(super) fn claimed(row: &Row) -> Result<Claimed, StoreError> {
    let outcome: String = row.get(0)?;
    Ok(match outcome.as_str() {
        "mine" => Claimed::Mine(mine(row, 1)?),
        "in progress" => Claimed::InProgress {
            lease_ends_in: Duration::from_micros(row.get::<i64>(5)?.try_into().unwrap_or(0)),
        },
        "completed" => {
            let (head, body) = (row.get::<String>(6)?, row.get::<Bytes>(7)?);
            Claimed::Completed(StoredResponse::from_stored(&head, body).map_err(corrupt)?)
        }
        "mismatch" => Claimed::Mismatch,
        other => return Err(damaged(format!("a claim has found {other:?}"))),
    })
}

/// A request that was adopted.
pub(super) fn adopted(row: &Row) -> Result<Adopted, StoreError> {
    let text = |column| row.get::<String>(column).map(String::into_boxed_str);
    let (head, body) = (text(8)?, row.get::<Bytes>(9)?);
    Ok(Adopted {
        name: Name {
            scope: Scope {
                tenant: text(0)?,
                method: text(1)?,
                route: text(2)?,
            },
            key: Key::new(text(3)?).map_err(corrupt)?,
        },
        request: StoredRequest::from_stored(&head, body).map_err(corrupt)?,
        mine: mine(row, 4)?,
    })
}

/// Record, epoch, attempts and steps, from the column `at` on.
fn mine(row: &Row, at: usize) -> Result<Mine, StoreError> {
    let epoch: i64 = row.get(at + 1)?;
    let attempts: i32 = row.get(at + 2)?;
    let steps: String = row.get(at + 3)?;
    Ok(Mine {
        lease: Lease {
            record: row.get(at)?,
            epoch: epoch.cast_unsigned(),
        },
        steps: Step::from_lines(&steps).map_err(corrupt)?,
        attempts: attempts.cast_unsigned(),
    })
}

/// What was stored is not what this crate stores.
fn corrupt(error: impl Into<BoxError>) -> StoreError {
    StoreError::new(Why::Corrupt).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_known_by_the_beginning_of_its_line() {
        for name in ["book", "a\"b\\", "a\nb", "", "foreign\",null]"] {
            for kind in [Kind::Foreign, Kind::Atomic] {
                let value = "x".into();
                let name = name.into();
                let [line, begins] = step(&Step { name, kind, value });
                let (line, begins) = (line.value.unwrap(), begins.value.unwrap());
                assert_eq!(begins[0], b'\n');
                assert!(line.starts_with(&begins[1..]), "{line:?} {begins:?}");
                assert!(begins.ends_with(b"\","), "{begins:?}");
            }
        }
    }

    #[test]
    fn a_time_that_is_too_long_is_a_hundred_years() {
        assert_eq!(micros(Duration::from_micros(7)), 7);
        assert_eq!(micros(Duration::MAX), LONGEST);
    }
}
