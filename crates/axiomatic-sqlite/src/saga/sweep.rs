//! What is kept no longer.

use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::Swept;
use rusqlite::Connection;

use super::{archive, leases};
use crate::database::now;

const ENDED: &str = "SELECT id, saga FROM saga WHERE ended <= ?1 ORDER BY ended LIMIT ?2";

const LINES: &str = "DELETE FROM saga_event WHERE saga = ?1";

const MAIL: &str = "DELETE FROM saga_mail WHERE saga = ?1";

const ROW: &str = "DELETE FROM saga WHERE id = ?1";

pub(super) fn sweep(
    connection: &Connection,
    retention: Duration,
    swept: Swept,
    at_most: usize,
) -> rusqlite::Result<usize> {
    let now = now(connection)?;
    let latest = now.saturating_sub(retention).as_micros();
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    let mut ended = connection.prepare_cached(ENDED)?;
    let ended = ended.query_map((latest, at_most), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 16]>(1)?))
    })?;
    let ended = ended.collect::<rusqlite::Result<Vec<_>>>()?;
    for (row, saga) in &ended {
        if swept == Swept::Archived {
            archive::put(connection, *row, saga, now)?;
            reach("sqlite.saga.archived");
        }
        connection.prepare_cached(LINES)?.execute([saga])?;
        reach("sqlite.saga.log_swept");
        connection.prepare_cached(MAIL)?.execute([saga])?;
        connection.prepare_cached(ROW)?.execute([row])?;
        reach("sqlite.saga.swept");
    }
    let mut forget = connection.prepare_cached(leases::FORGET)?;
    forget.execute([now.as_micros()])?;
    Ok(ended.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::tests::plan;

    #[test]
    fn a_sweep_reads_what_it_throws_away() {
        for (sql, expected) in [
            (ENDED, "SEARCH saga USING INDEX saga_ended (ended<?)"),
            (LINES, "SEARCH saga_event USING PRIMARY KEY (saga=?)"),
            (MAIL, "SEARCH saga_mail USING PRIMARY KEY (saga=?)"),
            (ROW, "SEARCH saga USING INTEGER PRIMARY KEY (rowid=?)"),
        ] {
            assert_eq!(plan(sql), expected, "{sql}");
        }
    }
}
