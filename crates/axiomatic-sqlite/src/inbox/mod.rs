//! The inbox in SQLite: what was seen stands beside what was done, in one
//! transaction.
//!
//! **Exactly-once effects inside this database; at-least-once outside.** What
//! that means, which rule and policy to choose, and when not to use it is said
//! in [`axiomatic_coordination::inbox`]; here is what SQLite adds.
//!
//! # The problem
//!
//! A broker delivers at least once. If the consumer's database is SQLite, the
//! cheapest place to remember what was delivered is that database: it costs no
//! commit of its own, since it shares that of the work, and in
//! [group commit](crate::Writer) the one of many others.
//!
//! # Example
//!
//! ```
//! use axiomatic_coordination::inbox::{Config, Delivery, IdRule};
//! use axiomatic_sqlite::inbox::{Handled, Inbox};
//! use axiomatic_sqlite::{Database, Options, Transaction};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("axiomatic-inbox-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("bank.db");
//! let database = Database::open(path, Options::new())?;
//! let two_days = Duration::from_secs(2 * 24 * 60 * 60);
//! let inbox = Inbox::new(&database, Config::new(IdRule::BrokerId, two_days).build()?)?;
//!
//! let create = |tx: &mut Transaction<'_>| tx.execute_batch("CREATE TABLE ledger (entry BLOB)");
//! database.writer().run(create).await?;
//!
//! let book = |tx: &mut Transaction<'_>, payment: &Delivery| {
//!     tx.execute("INSERT INTO ledger (entry) VALUES (?1)", [&payment.body()[..]])
//! };
//! let payment = Delivery::new("20 for the milk").with_broker_id("payment-17");
//! let first = inbox.handle(database.writer(), "bank", payment.clone(), book).await?;
//! assert_eq!(first, Handled::Done(1));
//! // Committed: now it may be acknowledged. If that is lost, it comes again:
//! let again = inbox.handle(database.writer(), "bank", payment, book).await?;
//! assert_eq!(again, Handled::Duplicate);
//! # database.close().await;
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! On a connection of one's own: [`Inbox::on_connection`], and then the same
//! methods with a `rusqlite::Transaction`.
//!
//! # Guarantees
//!
//! - It keeps the laws of every inbox
//!   (`a_repeat_has_no_effect_and_is_answered_with_the_first_result`,
//!   `repeats_at_the_same_time_have_one_effect`,
//!   `a_key_is_handled_in_order_whatever_the_broker_does`,
//!   `a_message_that_ends_processes_goes_to_quarantine`, and so on).
//! - Wherever its process is killed, each effect happens once, and those of a
//!   key in order (`a_consumer_killed_at_any_boundary_has_each_effect_once`);
//!   and so wherever its future is dropped
//!   (`wherever_handling_is_cancelled_the_effect_happens_once`).
//! - A duplicate enqueues nothing (`a_duplicate_enqueues_nothing`), and work
//!   that fails neither, also if its transaction commits
//!   (`work_that_fails_publishes_nothing_even_if_its_transaction_commits`).
//! - It works in no transaction that is not there
//!   (`a_transaction_of_ones_own_will_do_and_none_will_not`).
//! - It refuses tables that it does not understand
//!   (`tables_of_another_release_are_refused`).
//!
//! # Cost
//!
//! | table | a row for each | goes |
//! |---|---|---|
//! | `inbox_seen` | message, 100 bytes with its index for an id of 32 | with [`sweep`](Inbox::sweep), after the retention |
//! | `inbox_watermark` | key that was handled by number | never |
//! | `inbox_held` | message that came ahead | with the one that was missing |
//! | `inbox_start` | redelivery that is under way | when it ends |
//! | `inbox_quarantine` | message that ended processes | by an operator |
//!
//! The time that a message takes is in
//! [`axiomatic_coordination::inbox`](axiomatic_coordination::inbox#cost).
//!
//! # When not to use it
//!
//! - If the work is on another database: what was seen must commit with it.
//! - If nobody calls [`sweep`](Inbox::sweep): the table grows for ever. It is
//!   the caller's timer, in pieces of a thousand, say, so that nobody waits
//!   for long.

#[expect(
    clippy::module_inception,
    reason = "the mechanism is named like its pattern"
)]
mod inbox;
mod rows;
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
///
/// Version 1:
///
/// ```sql
#[doc = include_str!("../schema/inbox_1.sql")]
/// ```
pub fn schema() -> String {
    INBOX.to_sql()
}
