//! Idempotent requests in PostgreSQL.

mod atomic;
mod rows;
mod sql;
mod store;

pub use self::atomic::AtomicPhase;
pub use self::store::Idempotency;

use crate::schema::IDEMPOTENCY;

/// The SQL that makes the table in the schema of these options, for those who
/// let no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let options = axiomatic_postgres::Options::new().schema("shop_messaging")?;
/// let script = axiomatic_postgres::idempotency::schema(&options);
/// # assert!(script.contains("shop_messaging"));
/// # Ok::<_, axiomatic_postgres::InvalidSchema>(())
/// ```
///
/// Version 1, but for the name of the schema:
///
/// ```sql
#[doc = include_str!("../schema/idempotency_1.sql")]
/// ```
#[must_use]
pub fn schema(options: &crate::Options) -> String {
    IDEMPOTENCY.to_sql(&options.schema)
}
