//! The inbox in SQLite.

#[expect(
    clippy::module_inception,
    reason = "the mechanism is named like its pattern"
)]
mod inbox;
mod operate;
mod tables;

pub use self::inbox::{Handled, Inbox};
pub use self::tables::Connected;
use crate::schema::{Component, Migration};

/// The inbox's tables.
const INBOX: Component = Component {
    name: "inbox",
    migrations: &[Migration {
        version: 1,
        oldest_code: 1,
        sql: include_str!("../schema/inbox_1.sql"),
    }],
    oldest_file: 1,
};

/// The SQL that makes the inbox's tables in a file without them, for those who
/// let no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let connection = rusqlite::Connection::open_in_memory()?;
/// connection.execute_batch(&axiomatic_sqlite::inbox::schema())?;
/// # Ok::<_, rusqlite::Error>(())
/// ```
pub fn schema() -> String {
    INBOX.to_sql()
}
