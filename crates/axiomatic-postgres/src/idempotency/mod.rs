//! Idempotent requests in PostgreSQL: the record of a request stands beside
//! what it does, and a phase is one transaction with its recovery point.
//!
//! What an idempotent request is, how it is divided into phases, and how a
//! client's repeat is answered is said in
//! [`axiomatic_coordination::idempotency`]; here is what PostgreSQL adds.
//!
//! # The problem
//!
//! A client that has no answer asks again, and cannot know whether the first
//! time it was done. It comes again while the first is still at work, on
//! another process, or after that process has died between two effects. So a
//! key is locked for the one who runs it. But a lock of the database ends with
//! its session and keeps its waiters in theirs: forty clients that ask again
//! for a slow request are forty connections that wait. And a lease, which is a
//! time in a column, ends while its holder is alive and about to commit: one
//! that stood still for longer writes what it was about to write, beside who
//! has followed it, unless the database itself refuses it.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_coordination::idempotency::{
//!     Claim, Claimed, Fingerprint, Key, Name, Owner, Phases, Scope, Store, StoredResponse,
//! };
//! use axiomatic_postgres::idempotency::{AtomicPhase, Idempotency};
//! use axiomatic_postgres::{Database, Options};
//! use std::time::Duration;
//! use tokio_postgres::{NoTls, Transaction};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "postgres://shop@localhost/shop";
//! let database = Database::new(url, Options::new())?;
//! let store = Idempotency::new(&database).await?;
//!
//! // A connection of the handler's own.
//! let (mut client, connection) = tokio_postgres::connect(url, NoTls).await?;
//! tokio::spawn(connection);
//!
//! // What the layer does for each request:
//! let name = Name { scope: Scope::default(), key: Key::new("8e03978e-40d5")? };
//! let day = Duration::from_secs(24 * 60 * 60);
//! let claim = Claim {
//!     name: &name,
//!     fingerprint: Fingerprint([0; 32]),
//!     owner: Owner::unique(),
//!     lease: Duration::from_secs(30),
//!     retention: day,
//!     request: None,
//! };
//! if let Claimed::Mine(mine) = store.claim(&claim).await? {
//!     // What its handler does:
//!     let phases = Phases::new(store.clone(), name.clone(), mine);
//!     let book = async |tx: &mut Transaction<'_>| {
//!         let insert = "INSERT INTO ledger (cents) VALUES (2000) RETURNING entry";
//!         Ok::<i64, tokio_postgres::Error>(tx.query_one(insert, &[]).await?.get(0))
//!     };
//!     let entry = phases.phase("book").atomic(&mut client, book).await?;
//!     // And the layer again:
//!     let answer = StoredResponse {
//!         status: 201,
//!         headers: Vec::new(),
//!         body: entry.to_string().into(),
//!     };
//!     let held = store.complete(phases.lease(), &answer, day).await?;
//!     println!("{held:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! In a transaction of one's own, of tokio-postgres, deadpool or sqlx:
//! [`fence`](AtomicPhase::fence) and [`append`](AtomicPhase::append).
//!
//! # How it works
//!
//! **A claim** is one statement, a function of the schema. It reads the row of
//! the key as it was last committed, without a lock. In most cases that is all:
//! the answer is there, or the lease is held. What it has to write it locks
//! only if nobody else has (`SKIP LOCKED`), and else it says that the request
//! is in progress. A key without a row is inserted. Of two that do so at the
//! same time the second waits for the first, which is one statement, and then
//! looks again, by a statement that sees what was committed meanwhile; after a
//! second it gives up and is asked again, a few times.
//!
//! **An atomic phase** locks the row, if record, epoch and state are those of
//! its lease, until its transaction ends. So whoever has followed has another
//! epoch by then, and the phase is refused; and while it works nobody can
//! follow, even if the lease ends meanwhile. It appends its step and renews the
//! lease in the same transaction. What is written outside of a phase compares
//! the epoch in the statement that writes.
//!
//! **A renewal** that finds the row locked says that the lease is held, if the
//! row is that of the lease, and writes nothing: what locks a row for more than
//! a moment is its own phase, which renews the lease when it ends. Should it be
//! the claim of another, which the server takes its time to commit, the next
//! renewal says so; and should the phase fail, the lease ends when it would
//! have. A renewal permits nothing: each write is fenced by itself.
//!
//! # Guarantees
//!
//! - It keeps the laws of every store, with phases over tokio-postgres and
//!   over sqlx (`a_key_is_new_then_in_progress_then_completed`,
//!   `nothing_is_written_for_a_lease_that_was_followed`,
//!   `a_released_request_goes_on_from_its_last_step`,
//!   `two_adopters_never_have_the_same`, and so on).
//! - However many claim a key at the same time, one has it and all have an
//!   answer (`of_many_first_claims_at_once_one_has_the_key_and_all_have_an_answer`,
//!   `a_first_claim_that_loses_a_race_says_what_became_of_who_won`,
//!   `a_first_claim_does_not_wait_for_ever_for_a_rival`).
//! - A claim, an adoption, a renewal and a sweep do not wait for a phase
//!   (`a_phase_keeps_nobody_waiting`), and while it works nobody takes its
//!   request over or forgets it
//!   (`a_lease_that_ended_is_not_taken_over_while_its_phase_works`,
//!   `a_process_that_stands_still_in_an_atomic_phase_is_not_taken_over_nor_waited_for`).
//! - The work of an atomic phase happens once, however often the request is
//!   taken over (`however_often_a_request_is_taken_over_its_phase_happens_once`),
//!   wherever its process ends
//!   (`wherever_a_process_ends_its_request_has_its_effects_once_and_one_answer`),
//!   its future is dropped (`wherever_a_phase_is_dropped_it_happens_once`), or
//!   its commit is cut off
//!   (`a_phase_whose_commit_is_cut_off_is_found_or_done_again_and_happens_once`).
//!   Each foreign phase has the same key each time, and each time the answer is
//!   the same
//!   (`wherever_a_process_ends_its_request_has_its_effects_once_and_one_answer`).
//! - What a zombie writes is refused by the database
//!   (`late_writes_of_a_zombie_are_refused_by_the_database`,
//!   `what_a_zombie_does_late_is_refused_and_it_answers_as_the_other_did`), also
//!   in a transaction that sees an old state
//!   (`a_transaction_that_sees_an_old_state_does_not_pass_the_fence`).
//! - No operation leaves a transaction open, wherever it is dropped, and asked
//!   again it is answered as if it had been asked once
//!   (`operations_that_are_dropped_are_done_or_not_done_and_can_be_asked_again`,
//!   `an_adoption_that_is_asked_again_while_it_is_under_way_is_one`,
//!   `a_phase_that_is_dropped_while_it_waits_for_a_lock_leaves_no_transaction`).
//! - It does not deadlock with itself
//!   (`claims_phases_adoptions_and_sweeps_at_once_neither_fail_nor_deadlock`).
//! - It refuses a table that it does not understand
//!   (`a_table_of_another_release_is_refused`).
//!
//! # Cost
//!
//! | | statements |
//! |---|---|
//! | a new request without phases | 2: claim, complete |
//! | a repeat that is answered, or told that it is in progress | 1, which writes nothing (`repeating_an_answer_is_a_read`) |
//! | an atomic phase | 4, beside those of the work: begin, fence, append, commit |
//! | a foreign phase | 1 |
//! | a renewal | 1; 50 ms of a connection while an atomic phase works |
//!
//! They go over the connections of the [`Database`](crate::Database), which are
//! [4](crate::Options::connections) unless it is said otherwise, and phases
//! over those of the handler.
//!
//! A new request is an insert into the table and its three indexes, and one
//! update with the answer; a step or a renewal is an update that touches no
//! index (`steps_and_renewals_of_a_request_that_is_not_stored_write_no_index`),
//! but for a request that is stored, whose lease stands in one. Forgetting is a
//! delete. So each request leaves two dead rows at least, for the vacuum,
//! which is set to come early. Rows are found by indexes, however many there
//! are (`rows_are_found_by_indexes`).
//!
//! Measured by pgbench with a key of 36 characters and an answer of 200 bytes:
//! 820 bytes for each request that is remembered, indexes included, and 1.3 kB
//! in a table that was just filled and not vacuumed. A repeat took 0.8 ms,
//! where `SELECT 1` took 0.35 ms, and a new request with its answer eight times
//! that, on two cores with a load of eight and commits that were not synced. On
//! a quiet machine it was not measured.
//!
//! # When not to use it
//!
//! - If the work is on another database: its phases are foreign, and it is
//!   enough that the other side knows a key again.
//! - If a tenant or a route holds a NUL, which no text of PostgreSQL does: the
//!   claim is refused. So it is if tenant, method, route and key have more than
//!   2.6 kB together; over HTTP such a request is refused before
//!   (`the_longest_name_is_taken`).
//! - Behind a pool that lends a connection for a single statement: its
//!   transactions are none. One that lends it for a transaction will do.
//! - For a phase that takes minutes: its transaction keeps the vacuum from all
//!   that died since. Do what takes long in a foreign phase.

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
