//! The inbox in PostgreSQL.

mod attempts;
mod by_id;
mod by_number;
mod handle;
#[expect(
    clippy::module_inception,
    reason = "the mechanism is named like its pattern"
)]
mod inbox;
mod options;
mod rows;
mod sql;
mod tables;
mod undo;

pub use self::handle::Handled;
pub use self::inbox::{Inbox, Swept};
pub use self::options::Options;

use crate::schema::INBOX;

/// The SQL that makes the inbox's tables in the schema of these options, for
/// those who let no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let options = axiomatic_postgres::Options::new().schema("shop_messaging")?;
/// let script = axiomatic_postgres::inbox::schema(&options);
/// # assert!(script.contains("shop_messaging"));
/// # Ok::<_, axiomatic_postgres::InvalidSchema>(())
/// ```
///
/// Version 1, but for the name of the schema:
///
/// ```sql
#[doc = include_str!("../schema/inbox_1.sql")]
/// ```
#[must_use]
pub fn schema(options: &crate::Options) -> String {
    INBOX.to_sql(&options.schema)
}
