//! What operators look at.

use axiomatic_coordination::saga::{Found, SagaId, Stage, Summary};
use rusqlite::Connection;

use super::archive;
use super::due::whole;
use super::row::{columns, summary};

const FIND: &str = concat!("SELECT ", columns!(), " FROM saga WHERE saga = ?1");

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM saga WHERE stage = ?1 AND saga > ?2 ORDER BY saga LIMIT ?3"
);

/// Reads an index, whole.
const COUNT: &str = "SELECT stage, count(*) FROM saga GROUP BY stage";

pub(super) fn find(connection: &Connection, saga: SagaId) -> rusqlite::Result<Option<Found>> {
    let tx = connection.unchecked_transaction()?;
    match whole(&tx, FIND, [saga.0.as_bytes()])? {
        Some(whole) => Ok(Some(whole.into_found())),
        None => archive::find(&tx, saga),
    }
}

pub(super) fn list(
    connection: &Connection,
    stage: Stage,
    after: Option<SagaId>,
    at_most: usize,
) -> rusqlite::Result<Vec<Summary>> {
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    // No bytes at all come before the first id.
    let after = after.as_ref().map_or(&[][..], |saga| saga.0.as_bytes());
    let mut list = connection.prepare_cached(LIST)?;
    let list = list.query_map((stage.as_str(), after, at_most), summary)?;
    list.collect()
}

pub(super) fn count(connection: &Connection) -> rusqlite::Result<[u64; 7]> {
    let mut counts = [0; 7];
    let mut count = connection.prepare_cached(COUNT)?;
    let mut rows = count.query(())?;
    while let Some(row) = rows.next()? {
        let stage = row.get_ref(0)?.as_str()?;
        let place = Stage::ALL.iter().position(|known| known.as_str() == stage);
        if let Some(place) = place {
            counts[place] = row.get::<_, i64>(1)?.cast_unsigned();
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::tests::plan;

    #[test]
    fn a_list_reads_what_it_shows() {
        let expected = "SEARCH saga USING INDEX saga_by_stage (stage=? AND saga>?)";
        assert_eq!(plan(LIST), expected);
        let expected = "SCAN saga USING COVERING INDEX saga_by_stage";
        assert_eq!(plan(COUNT), expected);
        let expected = "SEARCH saga USING INDEX sqlite_autoindex_saga_1 (saga=?)";
        assert_eq!(plan(FIND), expected);
    }
}
