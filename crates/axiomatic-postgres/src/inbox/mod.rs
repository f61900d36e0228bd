//! The inbox in PostgreSQL: what was seen stands beside what was done, in one
//! transaction.
//!
//! **Exactly-once effects inside this database; at-least-once outside.** What
//! that means, which rule and policy to choose, and when not to use it is said
//! in [`axiomatic_coordination::inbox`]; here is what PostgreSQL adds.
//!
//! # The problem
//!
//! A broker delivers at least once, and to several consumers at the same time.
//! If the consumer's database is PostgreSQL, what was delivered is best
//! remembered there, since that costs no commit of its own. But a table of a
//! hundred million ids has to forget as fast as it learns: deleted row by row,
//! each leaves a dead one, and an index that is full of them. So ids stand in
//! partitions by their age, and the oldest is dropped as a whole. Then no index
//! spans all of them, and nothing keeps two transactions from writing one id
//! into two partitions, but for what this crate does.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_coordination::inbox::{Config, Delivery, IdRule};
//! use axiomatic_postgres::inbox::{Handled, Inbox, Options};
//! use axiomatic_postgres::Database;
//! use std::time::Duration;
//! use tokio_postgres::{NoTls, Transaction};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "postgres://bank@localhost/bank";
//! let database = Database::new(url, axiomatic_postgres::Options::new())?;
//! let two_days = Duration::from_secs(2 * 24 * 60 * 60);
//! let inbox = Config::new(IdRule::BrokerId, two_days).build()?;
//! let inbox = Inbox::new(&database, inbox, Options::new()).await?;
//!
//! // A connection of the consumer's own.
//! let (mut client, connection) = tokio_postgres::connect(url, NoTls).await?;
//! tokio::spawn(connection);
//! let book = async |tx: &mut Transaction<'_>, payment: &Delivery| {
//!     let insert = "INSERT INTO ledger (entry) VALUES ($1)";
//!     tx.execute(insert, &[&&payment.body()[..]]).await
//! };
//! let payment = Delivery::new("20 for the milk").with_broker_id("payment-17");
//! let first = inbox.handle(&mut client, "bank", &payment, book).await?;
//! assert_eq!(first, Handled::Done(1));
//! // Committed: now it may be acknowledged. If that is lost, it comes again:
//! let again = inbox.handle(&mut client, "bank", &payment, book).await?;
//! assert_eq!(again, Handled::Duplicate);
//!
//! // By a timer, a few times a day:
//! let swept = inbox.sweep().await?;
//! println!("forgotten: {:?}", swept.dropped);
//! # Ok(())
//! # }
//! ```
//!
//! Work is an `async` closure. Where the future is to be `Send`, as in a task
//! of its own, the compiler wants the types of its arguments to be written
//! down, as here. [`in_order`](Inbox::in_order) calls it once for each message
//! that is due, so it has to be [`Clone`], which it is if it borrows or copies
//! what it uses.
//!
//! In a transaction of one's own: [`once`](Inbox::once) and the other methods,
//! with a `tokio_postgres::Transaction`, or with what a transaction of sqlx
//! lends (`&mut *tx`).
//!
//! # How it works
//!
//! **Turns.** Whoever handles a message takes an advisory lock whose number is
//! a hash of the schema, the consumer and the id, and keeps it until the end of
//! the transaction. Not before it is taken does a second statement look into
//! all partitions, and insert if the message is new. Under `READ COMMITTED`
//! each statement sees what was committed when it begins: so whoever has waited
//! sees what was waited for. Under `REPEATABLE READ` it would see the state
//! before the wait, and so it is refused. So is `SERIALIZABLE`: the server
//! would find two such transactions in conflict, but not one of them and one
//! that is `READ COMMITTED`. Keys that an outbox has numbered take turns in the
//! same way, also while nothing is remembered of them yet. That each partition
//! has a unique index is a second fence, within its width.
//!
//! **One function.** Both statements stand in a function of the schema,
//! `inbox_see`. It is one round trip instead of two for either driver, and the
//! server keeps its plans. As statements that are sent each time, planning the
//! look into 13 partitions takes longer than the look: 0.45 ms for a message by
//! the function, 0.90 ms by the statements (PostgreSQL 15, loopback, without
//! syncing, two cores that others used too).
//!
//! **All or nothing.** A savepoint stands before all that
//! [`once`](Inbox::once) does. If the work fails or panics, or the future is
//! dropped, it is rolled back to, without waiting: what the caller does next in
//! the transaction comes behind it. If the transaction itself is dropped, its
//! driver rolls it back.
//!
//! **Partitions.** [`sweep`](Inbox::sweep) makes them ahead and drops what is
//! old. Both need the table for themselves for a moment. They wait for it as
//! long as [`Options::lock_patience`] says, since all others would wait behind
//! them, and leave it to the next sweep. If nobody sweeps, nothing fails: what
//! comes stands in a default partition, which is emptied when all in it is old.
//! While it is large, making a partition reads all of it.
//!
//! # Guarantees
//!
//! - It keeps the laws of every inbox, over tokio-postgres and over sqlx
//!   (`a_repeat_has_no_effect_and_is_answered_with_the_first_result`,
//!   `repeats_at_the_same_time_have_one_effect`,
//!   `a_key_is_handled_in_order_whatever_the_broker_does`,
//!   `a_message_that_ends_processes_goes_to_quarantine`, and so on).
//! - However many are brought a message at the same time, one of them handles
//!   it (`sixteen_that_are_brought_the_same_messages_have_each_effect_once`),
//!   also at midnight
//!   (`repeats_at_the_edge_of_two_partitions_have_one_effect`); those of one
//!   key take turns (`deliveries_of_one_stream_take_turns`).
//! - It works in no transaction that would not see what it waited for
//!   (`a_transaction_that_sees_an_old_state_is_refused`), and in none that is
//!   not there (`a_transaction_of_ones_own_will_do_and_none_will_not`).
//! - Wherever its future is dropped, the effect happens once, and no
//!   transaction is left open
//!   (`wherever_handling_is_cancelled_the_effect_happens_once`; with sqlx none
//!   is when the connection has been used again,
//!   `wherever_handling_by_sqlx_is_cancelled_the_effect_happens_once`). What is
//!   dropped or panics in a transaction that then commits leaves nothing
//!   (`what_is_cancelled_leaves_nothing_even_if_its_transaction_commits`,
//!   `a_panic_in_the_work_leaves_nothing_even_if_its_transaction_commits`).
//! - Messages are forgotten as whole partitions, none before its time
//!   (`a_sweep_drops_what_is_old_as_a_whole_and_nothing_else`), and nothing is
//!   left to be vacuumed (`neither_handling_nor_forgetting_leaves_dead_rows`).
//!   A sweep keeps nobody waiting for long
//!   (`a_sweep_gives_way_to_a_long_transaction`), any number may run
//!   (`sweeps_at_the_same_time_drop_each_partition_once`), and none need to
//!   (`where_nobody_sweeps_messages_are_taken_and_forgotten_later`,
//!   `partitions_are_made_behind_what_stands_in_the_default`).
//! - It refuses tables that it does not understand
//!   (`tables_of_another_release_are_refused`).
//!
//! # Cost
//!
//! | | round trips, beside those of the work |
//! |---|---|
//! | [`handle`](Inbox::handle) | 3: begin, see, commit; a duplicate as many |
//! | [`handle`](Inbox::handle) of a redelivery | 4 more before them, and 1 if it fails |
//! | [`once`](Inbox::once) in one's own transaction | 3: savepoint, see, release; 2 for a failure |
//! | [`once_with_result`](Inbox::once_with_result) | 4 |
//! | [`in_order`](Inbox::in_order) | 4; 1 more if a message is stored, or some are due |
//!
//! | table | a row for each | goes |
//! |---|---|---|
//! | `inbox_seen` | message, 175 bytes with its index for an id of 36 | with its partition |
//! | `inbox_watermark` | key that was handled by number | never |
//! | `inbox_held` | message that came ahead | with the one that was missing |
//! | `inbox_start` | redelivery that is under way | when it ends |
//! | `inbox_quarantine` | message that ended processes | by an operator |
//!
//! Measured by pgbench as the steps of [`once`](Inbox::once) in a transaction,
//! with 12 partitions and the default, not synced, on loopback and two cores
//! that others used too: 0.67 ms for a new message, 0.22 of them for a
//! transaction with nothing but a savepoint. With commits that are synced the
//! disk decides. On a quiet machine it was not measured.
//!
//! Each message holds a lock of the server until its transaction ends, and
//! looking holds two for each partition: in one transaction handle a few
//! hundred messages at most, and keep partitions to a dozen. A transaction that
//! handles more than 64 messages has more savepoints than the server keeps at
//! hand, which costs others.
//!
//! # When not to use it
//!
//! - If the work is on another database: what was seen must commit with it.
//! - If transactions have to be `SERIALIZABLE`.
//! - If a consumer's name, a key, a source or a tenant holds a NUL, which no
//!   text of PostgreSQL does: the message is refused. Ids may.
//! - Behind a pool that lends a connection for a single statement: its
//!   transactions are none. One that lends it for a transaction will do.

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
