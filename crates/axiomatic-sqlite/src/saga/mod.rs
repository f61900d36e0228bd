//! Sagas in SQLite: their logs stand beside what their steps have done.
//!
//! A step whose work is in this database is done exactly once, since the work
//! and the line that says so are one transaction; and what many sagas write
//! shares one commit. The protocol is in [`axiomatic_coordination::saga`];
//! here is what SQLite adds.
//!
//! # The problem
//!
//! A process that ends between a step and the note that it was done leaves the
//! next one to guess. If the service's database is SQLite, a step and its note
//! can be one transaction: there is nothing between them. And since SQLite has
//! one writer, a lease that was held when a transaction looked is followed by
//! nobody before that transaction has ended.
//!
//! # Example
//!
//! A saga begins with a row of the business, and its first step is done with
//! its line. An executor does this by itself; here it is done by hand.
//!
//! ```
//! use std::time::Duration;
//!
//! use axiomatic_coordination::saga::{
//!     Change, Definition, ExecutorId, Kind, Record, SagaId, Stage, Start, Store, Wake, Worked,
//! };
//! use axiomatic_core::BoxError;
//! use axiomatic_sqlite::saga::{SagaWork, Sagas};
//! use axiomatic_sqlite::{Database, Options};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let folder = std::env::temp_dir().join(format!("axiomatic-saga-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("shop.db");
//! let database = Database::open(path, Options::new())?;
//! let sagas = Sagas::new(&database)?;
//! # let tables = "CREATE TABLE orders (item TEXT); CREATE TABLE stock (item TEXT, left_ INTEGER); \
//! #               INSERT INTO stock VALUES ('tea', 3)";
//! # database.writer().run(|tx| tx.execute_batch(tables)).await?;
//! let start = Start {
//!     saga: SagaId::unique(),
//!     definition: Definition { name: "order".into(), version: 1, hash: 17 },
//!     input: r#"{"item":"tea"}"#.into(),
//!     deadline: None,
//!     held: None,
//! };
//! let (saga, begins) = (start.saga, sagas.clone());
//! database
//!     .writer()
//!     .run(move |tx| {
//!         tx.execute("INSERT INTO orders (item) VALUES ('tea')", ())?;
//!         begins.start_in(tx, &start)?;
//!         Ok::<_, BoxError>(())
//!     })
//!     .await?;
//!
//! let (executor, minute) = (ExecutorId::new("here"), Duration::from_secs(60));
//! let leases = sagas.claim(&executor, &[saga.bucket()], minute).await?;
//! let taken = sagas.take(&leases, 10, minute).await?;
//! assert_eq!(taken.sagas.len(), 1);
//! let reserve = SagaWork::new(|tx| {
//!     tx.execute("UPDATE stock SET left_ = left_ - 1 WHERE item = 'tea'", ())?;
//!     let reserved = Record {
//!         kind: Kind::Done,
//!         step: "reserve".into(),
//!         item: 0,
//!         attempt: 1,
//!         data: "2".into(),
//!         mail: None,
//!     };
//!     Ok(Change {
//!         records: vec![reserved],
//!         stage: Stage::Running,
//!         wake: Wake::Held,
//!         result: None,
//!         progress: true,
//!     })
//! });
//! let worked = sagas.append_with(&leases[0], saga, 0, reserve).await?;
//! assert!(matches!(worked, Worked::Done(_)));
//! # drop(sagas);
//! # database.close().await;
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - It keeps the laws of every store
//!   (`an_append_asked_again_is_one`,
//!   `nothing_is_appended_for_a_lease_that_is_lost`,
//!   `an_effect_and_its_record_are_one`,
//!   `what_was_held_is_due_when_another_claims`, and so on), also if other
//!   processes have the file open
//!   (`of_two_processes_one_has_each_bucket_and_each_saga`,
//!   `what_two_processes_write_of_a_saga_has_one_author_at_a_time`).
//! - Wherever the process is killed, a log has neither gap nor double, and
//!   local work was done as often as its line is there
//!   (`sagas_whose_process_is_killed_at_any_boundary_have_each_line_once`).
//! - Local work leaves its rows, its messages and its lines, or none of them
//!   (`work_leaves_its_row_its_message_and_its_line_once`,
//!   `work_that_fails_leaves_neither_row_nor_message_nor_line`).
//! - Whoever slept beyond the lease, and was followed, writes nothing
//!   (`whoever_was_followed_writes_nothing`,
//!   `a_process_that_stood_still_beyond_its_leases_writes_nothing`); and work
//!   that takes longer than the lease is taken back
//!   (`a_lease_that_ends_while_work_is_done_takes_the_work_back`).
//! - A saga begins with the user's transaction or does not, and executors of
//!   this process are woken when it is committed
//!   (`a_saga_begins_with_the_transaction_that_starts_it`,
//!   `executors_are_woken_when_what_they_wait_for_is_committed`).
//! - Who locks something stands in line for it, and who asks for several things
//!   in all of those lines at once; a saga leaves them in the transaction that
//!   ends it, and whoever has its turn by that has its letter in the same one
//!   (`who_asks_first_has_it_until_its_saga_ends`,
//!   `work_that_ends_a_saga_leaves_its_lines`,
//!   `of_those_who_share_a_commit_one_has_it`). There is no crash between that
//!   would have to be cleaned up behind. Executors of this process are woken
//!   (`executors_are_woken_when_somebody_hears_of_its_turn`). Whoever leaves a
//!   place that it shared overlooks nobody by looking at fewer
//!   (`whoever_leaves_a_shared_place_overlooks_nobody`,
//!   `whoever_has_all_that_it_asked_for_is_told`).
//! - Letters of a saga that is parked wait for its time or for another letter,
//!   and wake nobody
//!   (`nobody_is_woken_for_letters_of_a_saga_that_is_parked`,
//!   `letters_of_a_parked_saga_are_put_off_however_it_is_parked`,
//!   `letters_that_were_put_off_make_a_saga_due_that_goes_on_with_work`).
//! - A saga whose rows are damaged, or of a release that knows more, is put
//!   off, and the others go on
//!   (`a_saga_that_cannot_be_read_is_put_off_and_the_others_go_on`).
//! - What is archived is archived once, whole, and gone from the tables in the
//!   same transaction, wherever the process is killed
//!   (`what_is_archived_is_found_and_otherwise_gone`,
//!   `what_is_archived_comes_back_as_it_was`,
//!   `sagas_whose_process_is_killed_at_any_boundary_have_each_line_once`), also
//!   if it cannot be read
//!   (`a_saga_that_cannot_be_read_is_archived_like_any_other`).
//! - Wherever a future is dropped, what it was to do is done or not done
//!   (`what_is_asked_of_sagas_is_done_or_not_done_and_can_be_asked_again`).
//! - To see that nothing is due, or to look at a saga, nobody waits for those
//!   who write (`who_only_looks_does_not_wait_for_those_who_write`).
//! - It refuses tables that it does not understand
//!   (`tables_of_another_release_are_refused`).
//!
//! # Cost
//!
//! | what | commits | |
//! |---|---|---|
//! | a start, an append, a letter | 1 | a row of the saga, one for each line |
//! | local work | 1 | that of the work |
//! | a look for what is due | 0 or 1 | none if nothing is |
//! | a claim | 1 | and a row for each saga that somebody had |
//! | a lock | 1 | a row for each resource, and a letter when it has all |
//! | a sweep | 1 | a row for each saga that is archived |
//! | finding, listing, counting, loading, a line | 0 | counting reads an index, whole |
//!
//! Commits are shared with whatever else the [`Writer`](crate::Writer) is
//! given. A saga of three steps, with six lines, is four transactions of ten
//! statements together: each begins with the one that compares the lease and
//! the saga, and writes if they are as they should be. With 256 callers and the
//! disk waited for, sagas were half as many as transactions of bare inserts of
//! the same rows by the same writer, and took five times the processor time of
//! bare inserts in a loop (`benches/saga.rs`), on a virtual machine of two
//! cores that was busy with other things. One client alone waits for the disk
//! four times a saga. Local work has a savepoint to itself, and takes half as
//! much time again.
//!
//! What is looked for is looked for by an index, and read in the order in
//! which it is needed: that a hundred thousand sagas sleep costs nothing
//! (`what_is_due_is_read_in_its_order_and_nothing_else`,
//! `a_claim_reads_what_it_hands_over`, `a_sweep_reads_what_it_throws_away`),
//! and a saga that goes on changes no index
//! (`a_saga_that_goes_on_changes_no_index`). What is asked for each saga is
//! compiled once (`what_is_asked_for_each_saga_is_compiled_once`).
//!
//! A saga that locks nothing is looked for in an index once, when it ends: 8 of
//! the some 600 steps of SQLite's machine that a saga of three steps takes
//! (`a_saga_without_locks_pays_one_look_when_it_ends`). To stand in a line takes
//! 120, and to leave it 190 if another waits, however many wait behind that one
//! (`what_the_end_of_a_lock_costs_does_not_grow_with_its_line`), and however many
//! share something else with it and wait for this
//! (`what_the_end_of_a_lock_costs_does_not_grow_with_those_who_share_another`);
//! each letter comes to that. Those are lines of which one has its turn at a
//! time. Who shares a resource looks at all of those before it when it asks,
//! and again when it has waited and its turn comes; and whoever had it alone
//! looks, when it leaves, at all who share it next.
//!
//! In the archive a saga of three steps takes 340 bytes, and in the tables 570,
//! with an index on either.
//!
//! An input stands in the saga's row, which every append writes: what is long
//! should be elsewhere, with its address as the input.
//!
//! # When not to use it
//!
//! - If steps come faster than one writer commits them: see
//!   [group commit](crate::Writer).
//! - If executors are on several machines: SQLite's file is on one.
//! - For local work that takes long: while it runs, nobody else writes.
//! - If nobody calls [`sweep`](axiomatic_coordination::saga::Store::sweep): the
//!   tables grow for ever; and so does the archive, from which nothing is ever
//!   deleted but by hand.

mod append;
mod archive;
mod due;
mod leases;
mod local;
mod lock;
mod look;
mod mail;
mod row;
mod stands;
mod start;
mod store;
mod sweep;
mod work;

pub use self::local::SagaLocal;
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
