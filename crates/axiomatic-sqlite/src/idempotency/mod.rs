//! Idempotent requests in SQLite: the keys and the answers stand beside what
//! the requests have done.
//!
//! A request's effects in this database happen once, however often it comes
//! and wherever its process ends; what it asks of others is asked under a key
//! that is the same each time. The protocol is in
//! [`axiomatic_coordination::idempotency`]; here is what SQLite adds.
//!
//! # The problem
//!
//! A client whose connection ends does not know whether its request was
//! handled, and sends it again. If the service's database is SQLite, an effect
//! and the note that it has happened can be one transaction: there is no crash
//! between them. And since SQLite has one writer, a lease that was held when a
//! transaction looked is held until it commits.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use axiomatic_coordination::idempotency::{
//!     Claim, Claimed, DerivedKey, Fingerprint, Key, Name, Owner, Phases, Scope, Store,
//!     StoredResponse,
//! };
//! use axiomatic_core::BoxError;
//! use axiomatic_sqlite::idempotency::{AtomicPhase, Idempotency};
//! use axiomatic_sqlite::{Database, Options};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let folder = std::env::temp_dir().join(format!("axiomatic-idem-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("shop.db");
//! # async fn charge(key: DerivedKey) -> Result<String, BoxError> { Ok(key.to_string()) }
//! let database = Database::open(path, Options::new())?;
//! let store = Idempotency::new(&database)?;
//! # database.writer().run(|tx| tx.execute_batch("CREATE TABLE orders (item TEXT)")).await?;
//!
//! let a_day = Duration::from_secs(24 * 60 * 60);
//! let name = Name {
//!     scope: Scope { method: "POST".into(), route: "/orders".into(), ..Scope::default() },
//!     key: Key::new("order-17")?,
//! };
//! let claim = || Claim {
//!     name: &name,
//!     fingerprint: Fingerprint([17; 32]), // a hash of what is asked for
//!     owner: Owner::unique(),
//!     lease: Duration::from_secs(60),
//!     retention: a_day,
//!     request: None,
//! };
//! let Claimed::Mine(mine) = store.claim(&claim()).await? else {
//!     unreachable!("it is new");
//! };
//! let lease = mine.lease;
//! let phases = Phases::new(store.clone(), name.clone(), mine);
//! let place = phases.phase("place").atomic(|tx| {
//!     tx.execute("INSERT INTO orders (item) VALUES ('tea')", ())?;
//!     Ok::<_, BoxError>(tx.last_insert_rowid())
//! });
//! let order = place.await.map_err(|error| error.to_string())?;
//! // The other side is asked under the same key if all of this is run again.
//! let receipt = phases.phase("charge").foreign(charge).await;
//! let receipt = receipt.map_err(|error| error.to_string())?;
//! let response = StoredResponse {
//!     status: 201,
//!     headers: Vec::new(),
//!     body: format!("order {order}, receipt {receipt}").into(),
//! };
//! let _held = store.complete(&lease, &response, a_day).await?;
//!
//! // The client has not heard of it, and asks again.
//! assert_eq!(store.claim(&claim()).await?, Claimed::Completed(response));
//! # drop((phases, store));
//! # database.close().await;
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - It keeps the laws of every store
//!   (`of_first_claims_at_once_one_has_it`,
//!   `a_claim_asked_again_is_answered_as_before`,
//!   `answers_are_repeated_to_the_byte`,
//!   `a_key_is_forgotten_when_its_retention_ends`, and so on), also if another
//!   process has the file open (`of_claims_by_two_databases_one_has_it`).
//! - Wherever the process is killed, each effect happens once, others are
//!   asked under one key, and each client gets one answer
//!   (`a_service_killed_at_any_boundary_has_each_effect_once`).
//! - A phase leaves its rows, its messages and its result, or none of them
//!   (`a_phase_leaves_its_row_its_message_and_its_step_once`,
//!   `work_that_fails_leaves_neither_row_nor_message_nor_step`); also if nobody
//!   heard how it ended (`a_phase_that_ended_unheard_of_is_not_done_again`).
//! - Whoever slept beyond the lease, and was followed, writes nothing
//!   (`whoever_was_followed_writes_nothing`,
//!   `a_service_that_stood_still_beyond_its_lease_writes_nothing`).
//! - Wherever a future is dropped, what it was to do is done or not done, and
//!   can be asked again
//!   (`what_is_asked_of_requests_is_done_or_not_done_and_can_be_asked_again`).
//! - A repeat of what is complete or runs is answered without waiting for
//!   those who write (`a_repeat_does_not_wait_for_those_who_write`).
//! - It refuses a table that it does not understand
//!   (`a_table_of_another_release_is_refused`).
//!
//! # Cost
//!
//! | what | commits | |
//! |---|---|---|
//! | a claim that is ours, a renewal, a release, an adoption | 1 | a claim reads first |
//! | a phase | 1 | an atomic one's is that of its work |
//! | the answer | 1 | |
//! | a repeat of what is complete, or runs | 0 | one read by the key's index |
//!
//! Commits are shared with whatever else the [`Writer`](crate::Writer) is
//! given. A claim and an answer, with the disk waited for, took 0.9 ms alone,
//! and 60 µs each with 64 clients at a time; a repeat took 80 µs and less, and
//! 12 µs each with 64. That was on a virtual machine of two cores, busy with
//! other things: a floor.
//!
//! A row with its four indices takes 600 bytes for a key of 34 bytes and an
//! answer of 200, and is there for the retention. A step that is appended
//! rewrites the row, so results of phases should be short.
//!
//! All reads share one thread, and all writes another: see
//! [`Database`](crate::Database).
//!
//! # When not to use it
//!
//! - If the effects are in another database: then every phase is a foreign
//!   one, and each of them needs the other side to know its key again.
//! - If the requests come faster than one writer commits them: see
//!   [group commit](crate::Writer).
//! - For responses of megabytes: each is a row, and is read whole.
//! - If nobody calls [`sweep`](axiomatic_coordination::idempotency::Store::sweep):
//!   the table grows for ever.

mod atomic;
mod claims;
mod leases;
mod row;
mod store;

pub use self::atomic::AtomicPhase;
pub use self::store::Idempotency;
use crate::schema::{Component, Migration};

/// The table of idempotent requests.
const IDEMPOTENCY: Component = Component {
    name: "idempotency",
    migrations: &[Migration {
        version: 1,
        oldest_code: 1,
        sql: include_str!("../schema/idempotency_1.sql"),
    }],
    oldest_file: 1,
};

/// The SQL that makes the table of idempotent requests in a file without it,
/// for those who let no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let connection = rusqlite::Connection::open_in_memory()?;
/// connection.execute_batch(&axiomatic_sqlite::idempotency::schema())?;
/// # Ok::<_, rusqlite::Error>(())
/// ```
///
/// Version 1:
///
/// ```sql
#[doc = include_str!("../schema/idempotency_1.sql")]
/// ```
pub fn schema() -> String {
    IDEMPOTENCY.to_sql()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite goes about it.
    pub(super) fn plan(sql: &str) -> String {
        let connection = rusqlite::Connection::open_in_memory().expect("opens");
        connection.execute_batch(&schema()).expect("a table");
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
