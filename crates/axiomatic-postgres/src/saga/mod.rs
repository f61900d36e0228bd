//! Sagas in PostgreSQL.

mod batches;
mod rows;
mod sql;
mod store;
mod work;
mod write;

pub use self::store::Sagas;
pub use self::work::SagaWork;

use crate::schema::SAGA;

/// The SQL that makes the tables in the schema of these options, for those who
/// let no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let options = axiomatic_postgres::Options::new().schema("shop_messaging")?;
/// let script = axiomatic_postgres::saga::schema(&options);
/// # assert!(script.contains("shop_messaging"));
/// # Ok::<_, axiomatic_postgres::InvalidSchema>(())
/// ```
///
/// Version 1, but for the name of the schema:
///
/// ```sql
#[doc = include_str!("../schema/saga_1.sql")]
/// ```
#[must_use]
pub fn schema(options: &crate::Options) -> String {
    SAGA.to_sql(&options.schema)
}
