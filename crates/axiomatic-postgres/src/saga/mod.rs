//! Sagas in PostgreSQL: their logs, who runs which of them, and steps whose
//! effect commits with the line that says so.
//!
//! What a saga is and what an executor asks of a store is said in
//! [`axiomatic_coordination::saga`]; here is what PostgreSQL adds.
//!
//! # The problem
//!
//! A line of a saga's log is written before each step and behind it, so a saga
//! of five steps is ten commits; and a disk that syncs takes about 6 ms for
//! one, whether it holds one line or two hundred. A line must be refused if its
//! writer's lease has ended. But a statement that looks at a lease and inserts
//! a line looks first and commits later, and between the two another may take
//! the bucket, read the log without the line, and run the step again.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_coordination::outbox::Bucket;
//! use axiomatic_coordination::saga::{
//!     Change, Definition, ExecutorId, Kind, Record, SagaId, Stage, Start, Store, Wake,
//! };
//! use axiomatic_postgres::saga::{SagaWork, Sagas};
//! use axiomatic_postgres::{Database, Options};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "postgres://shop@localhost/shop";
//! let database = Database::new(url, Options::new())?;
//! let sagas = Sagas::new(&database).await?;
//!
//! // In a transaction of the user's, with which it begins:
//! let start = Start {
//!     saga: SagaId::unique(),
//!     definition: Definition { name: "order".into(), version: 1, hash: 7 },
//!     input: "{\"cents\":2000}".into(),
//!     deadline: None,
//!     held: None,
//! };
//! let (mut client, connection) =
//!     tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
//! tokio::spawn(connection);
//! let mut tx = client.transaction().await?;
//! tx.execute("INSERT INTO orders (cents) VALUES (2000)", &[]).await?;
//! sagas.start_in(&mut tx, &start).await?;
//! tx.commit().await?;
//! sagas.wake();
//!
//! // What an executor does:
//! let (me, minute) = (ExecutorId::new("shop-1"), Duration::from_secs(60));
//! let buckets: Vec<_> = (0..64).map(Bucket).collect();
//! let leases = sagas.claim(&me, &buckets, minute).await?;
//! for saga in sagas.take(&leases, 10, minute).await?.sagas.into_iter().flatten() {
//!     let lines = saga.records.len() as u64;
//!     let booked = SagaWork::new(|tx| {
//!         Box::pin(async move {
//!             let insert = "INSERT INTO ledger (cents) VALUES (2000)";
//!             tx.execute(insert, &[]).await?;
//!             Ok(Change {
//!                 records: vec![Record {
//!                     kind: Kind::Done,
//!                     step: "book".into(),
//!                     item: 0,
//!                     attempt: 1,
//!                     data: "null".into(),
//!                     mail: None,
//!                 }],
//!                 stage: Stage::Done,
//!                 wake: Wake::Held,
//!                 result: Some("null".into()),
//!                 progress: true,
//!             })
//!         })
//!     });
//!     let worked = sagas.append_with(&saga.lease, saga.saga, lines, booked).await?;
//!     println!("{worked:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! **A lease** is a row of its bucket. Whoever writes under it first locks the
//! row, shared, and then compares owner, epoch and end, by a statement of its
//! own, which sees what was committed while the lock was waited for, and the
//! time that it is by then. A claim takes rows that nobody has locked, so what
//! was compared stays so until the commit, however late that comes. The shared
//! lock is of the kind that an update of the row's other columns does not wait
//! for (`FOR KEY SHARE`): leases are prolonged and given back while a step
//! works under them.
//!
//! **Appends and starts** of a process stand in one line. If nothing is being
//! written, what stands there is, as one statement; what comes meanwhile is the
//! next batch. Nothing waits for company, and no timer runs. Each saga of a
//! batch is written whole or not at all, and told so by itself. If the batch is
//! refused because of one of its sagas, or waits for a lock for longer than
//! 500 ms, each of them is written alone.
//!
//! **Local work** is a transaction that locks and compares the lease, runs the
//! work, and appends what it returns. The row of the saga it does not lock
//! before that, so letters are taken meanwhile. Of the connections of the
//! [`Database`](crate::Database) it leaves two to everything else, together with
//! those who enter lines: who would be one more waits.
//!
//! **What is due** is found by three indexes: by time, by mail, and by the
//! epoch under which it was held, which is how a claim makes all that was held
//! due without writing it. A saga that was given for mail which is not read
//! goes to the end of the line. One that is parked with mail is due for it no
//! more, until another letter comes or it goes on.
//!
//! **A lock** is a row: a place in the line for a resource. Who enters lines
//! takes an advisory lock of each until it has committed, so of two that ask at
//! once one sees the other; who leaves them, since its saga ends, takes none.
//! Each looks for the other when it has committed: who has left, whether
//! somebody's turn has come, and posts its letter; who has entered, whether it
//! has all by now. Who shared a line was in the way only of those who want it
//! alone, and looks for no others. So nobody is overlooked by both, and if one
//! dies before it has looked, whoever attends does it. An advisory lock's number
//! is a hash of the table and the resource: who uses such locks of the same
//! database for something else shares a number with one in 2⁶⁴.
//!
//! **The archive** is a table with a row a saga: its columns, and those of its
//! log and of its unread letters as arrays. It is written by the transaction
//! that deletes the saga, and looked at by
//! [`find`](axiomatic_coordination::saga::Store::find) alone. Nothing empties it
//! but a `DELETE … WHERE ended < …`, for which there is an index.
//!
//! **Executors are woken** by what this process starts, posts and appends; those
//! of other processes see it when they look next.
//!
//! # Guarantees
//!
//! - It keeps the laws of every store (`nothing_is_appended_for_a_lease_that_is_lost`,
//!   `an_append_asked_again_is_one`, `nobody_follows_before_work_has_ended`,
//!   `what_a_zombie_writes_is_not_among_what_its_followers_write`, and so on).
//! - Between the comparison of a lease and the commit nobody takes the bucket
//!   (`who_claims_while_an_append_stands_still_gets_nothing`); who waited for a
//!   claim, or until its lease had ended, is refused
//!   (`an_append_that_waits_for_a_claim_is_refused_if_it_commits`,
//!   `an_append_that_waited_until_its_lease_had_ended_is_refused`).
//! - Of a batch, what is lost, in conflict, refused by the server or kept
//!   waiting fails no other (`one_that_is_lost_or_in_conflict_fails_no_other`,
//!   `one_that_the_server_refuses_fails_no_other`,
//!   `one_whose_row_is_locked_holds_up_no_other`), and what is asked of one
//!   saga is written in its order
//!   (`what_is_asked_of_one_saga_is_written_in_its_order`).
//! - Local work keeps nobody waiting (`work_keeps_nobody_waiting`), and runs
//!   under the database's own settings (`work_is_planned_as_the_database_is_set`).
//!   Neither it nor those who enter lines have all connections
//!   (`work_never_has_all_connections`, `who_enters_never_has_all_connections`).
//! - No operation leaves a transaction open, wherever it is dropped, and it is
//!   done or not done
//!   (`operations_that_are_dropped_are_done_or_not_done_and_can_be_asked_again`,
//!   `takes_sweeps_and_work_that_are_dropped_are_done_or_not_done`,
//!   `work_that_is_dropped_while_it_waits_for_a_lock_leaves_no_transaction`), and
//!   nobody else waits behind it (`who_is_dropped_while_it_enters_keeps_nobody_waiting`).
//! - What cannot be read is told apart, and looked at again after the pause
//!   (`whatever_cannot_be_read_is_broken_and_due_after_the_pause`).
//! - A saga begins with the user's transaction or not at all
//!   (`a_saga_begins_with_the_users_transaction_or_not_at_all`).
//! - Of two that enter a line at once one stands behind the other
//!   (`who_enters_waits_for_who_enters_the_same_line`), and each has its turn
//!   (`of_those_who_ask_at_once_each_has_its_turn`,
//!   `who_has_entered_looks_again_at_who_left_meanwhile`), also if who left died
//!   before it had told (`whoever_attends_passes_on_for_the_dead`,
//!   `ends_that_are_dropped_are_passed_on_or_not_done`). A saga that has ended
//!   stands in no line (`a_saga_that_ends_while_it_enters_stands_in_no_line`).
//! - A step that goes on behind an error has not happened, and costs no other saga
//!   anything
//!   (`a_step_that_swallows_an_error_has_not_happened_and_costs_the_others_nothing`).
//! - What is archived is what was there, to the byte
//!   (`nothing_is_lost_in_the_archive`), and at each moment in one of the places
//!   (`a_saga_is_archived_as_it_is_deleted`).
//! - It does not deadlock with itself
//!   (`all_operations_at_once_neither_fail_nor_deadlock`).
//! - It refuses tables that it does not understand
//!   (`tables_of_another_release_are_refused`).
//!
//! # Cost
//!
//! Sagas that are written at the same time share commits: 256 of them that
//! wrote four times each, at once, took 8 commits on a busy machine, and take
//! fewer than one a saga
//! (`sagas_that_are_written_at_once_share_their_commits`). What is appended is
//! an insert into the log and an update of the saga's row which touches no index
//! (`appends_of_who_holds_a_saga_write_no_index_of_it`). Claims, takes and
//! sweeps write what they return and nothing else
//! (`claims_takes_and_sweeps_write_only_what_they_return`), and find it by
//! indexes (`rows_are_found_by_indexes`).
//! [`count`](axiomatic_coordination::saga::Store::count) reads an index of all
//! sagas.
//!
//! A lock is a statement and a commit, and a second statement, which writes
//! nothing, if others have it. When a saga ends that has some, what tells the
//! next is one more of each; those that are written with it do not wait for that
//! (`only_who_ends_waits_until_others_are_told`). It looks no further down a line
//! than to the first that waits on: to pass on one of ten thousand that all want
//! it alone took less than twice what one of ten takes. Where only such as shared
//! a line have left it, nobody else who shares it is read
//! (`who_shared_a_line_passes_on_without_reading_all_who_share_it`). Where one
//! leaves that had it alone, all are read that share it behind that one, up to
//! the next that wants it alone. A saga without locks pays one look at an index,
//! when it ends (`a_saga_without_locks_looks_for_them_once`), and an executor one
//! statement each time that it attends: that one reads of each line in which
//! somebody waits as much as if who had it alone had left, so also all who share
//! it and wait in another. Those who enter one line take turns, with
//! a commit each.
//!
//! Local work is four round trips beside its own: it begins, compares and sets
//! its session, appends, and commits, and the connection it goes over is its own
//! until then. It shares its commit with nobody.
//!
//! Sagas of three steps, beside a log that writes the same lines at the same
//! points by hand, one statement each and none for two sagas, over up to 32
//! connections. One round of `benches/postgres --quick --only sagas`, on two
//! cores that the server, the client and the builds of others shared (a load of
//! about 20, and 7 ms for a commit): what is near one says little.
//!
//! | Callers at once | Steps | Sagas a second, to by hand | Commits a saga, by hand | WAL a saga, by hand |
//! |---|---|---|---|---|
//! | 1 | elsewhere | 0.53 | 4.07, 4.00 | 3.2 kB, 2.1 kB |
//! | 16 | elsewhere | 0.49 | 0.28, 4.00 | 3.0 kB, 2.0 kB |
//! | 256 | elsewhere | 3.02 | 0.03, 4.00 | 2.9 kB, 2.2 kB |
//! | 1 | local | 0.89 | 5.06, 4.00 | 3.1 kB, 2.0 kB |
//! | 16 | local | 0.12 | 3.62, 4.00 | 3.2 kB, 1.9 kB |
//! | 256 | local | 0.23 | 3.15, 4.00 | 3.2 kB, 2.0 kB |
//!
//! So many sagas at once are faster than by hand, and few are not. Of the local
//! steps a part was a commit too many and a wait, when a saga ended with one:
//! that is mended since, and was not measured again.
//!
//! # When not to use it
//!
//! - For a local step that takes minutes: its transaction keeps the vacuum from
//!   all that died since. Make it a step that is not local.
//! - For locks that thousands ask for each second: who enters a line waits for
//!   the commit of who entered before.
//! - If a name holds a NUL, which no text of PostgreSQL does: it is refused.
//! - Behind a pool that lends a connection for a single statement: local work is
//!   a transaction of several.

mod batches;
mod lines;
mod local;
mod rows;
mod sql;
mod store;
mod work;
mod write;

pub use self::local::SagaLocal;
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
#[doc = include_str!("../schema/saga_1_lines.sql")]
/// ```
#[must_use]
pub fn schema(options: &crate::Options) -> String {
    SAGA.to_sql(&options.schema)
}
