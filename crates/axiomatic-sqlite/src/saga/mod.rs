//! Sagas in SQLite.

mod append;
mod due;
mod leases;
mod look;
mod mail;
mod row;
mod start;
mod store;
mod sweep;
mod work;

pub use self::store::Sagas;
pub use self::work::SagaWork;
pub(crate) use self::work::Undone;
use crate::schema::{Component, Migration};

/// The tables of sagas.
const SAGA: Component = Component {
    name: "saga",
    migrations: &[Migration {
        version: 1,
        oldest_code: 1,
        sql: include_str!("../schema/saga_1.sql"),
    }],
    oldest_file: 1,
};

/// The SQL that makes the tables of sagas in a file without them, for those
/// who let no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let connection = rusqlite::Connection::open_in_memory()?;
/// connection.execute_batch(&axiomatic_sqlite::saga::schema())?;
/// # Ok::<_, rusqlite::Error>(())
/// ```
///
/// Version 1:
///
/// ```sql
#[doc = include_str!("../schema/saga_1.sql")]
/// ```
pub fn schema() -> String {
    SAGA.to_sql()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite goes about it.
    pub(super) fn plan(sql: &str) -> String {
        let connection = rusqlite::Connection::open_in_memory().expect("opens");
        connection.execute_batch(&schema()).expect("tables");
        let plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
        let mut plan = plan.expect("is SQL");
        let count = plan.parameter_count();
        let steps = plan.query_map(rusqlite::params_from_iter(vec![0; count]), |row| row.get(3));
        steps
            .expect("a plan")
            .collect::<Result<Vec<String>, _>>()
            .expect("texts")
            .join("; ")
    }
}
