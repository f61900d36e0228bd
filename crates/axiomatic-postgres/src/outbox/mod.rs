//! The outbox in PostgreSQL: messages commit with the business, and wait in
//! the same database until a relay has published them.
//!
//! # The problem
//!
//! A service that writes to its database and then sends a message can die
//! between the two, and one that sends first can be refused its commit. With
//! PostgreSQL the usual table of messages brings trouble of its own: a cursor
//! over its ids passes over what commits late (26 of 1000 rows with eight
//! writers); an update that claims a row halves what the table can do and leaves
//! a dead row each; a `NOTIFY` in the writer's transaction takes the commits of a
//! whole server from 3,351 a second to 228; one report that holds a snapshot for
//! an hour keeps every dead row; and a transaction that was forgotten open, since
//! the future that had begun it was dropped, keeps them too.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_coordination::outbox::{Config, Message, Relay, in_process};
//! use axiomatic_postgres::outbox::{Options, Outbox};
//! use axiomatic_postgres::Database;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # let url = "postgres://shop@127.0.0.1/shop";
//! let database = Database::new(url, axiomatic_postgres::Options::new())?;
//! let outbox = Outbox::new(&database, Options::new()).await?;
//!
//! // The business and its message, in a transaction of the user's own.
//! let (mut client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
//! tokio::spawn(connection);
//! let mut tx = outbox.buffered(client.transaction().await?);
//! tx.execute("INSERT INTO orders (total) VALUES (1999)", &[]).await?;
//! tx.push(Message::new("orders", r#"{"placed":17}"#).keyed("order-17"))?;
//! tx.commit().await?;
//!
//! // A relay, here to a subscriber in the same process.
//! let (publisher, mut subscriber) = in_process(16);
//! let relay = Relay::new(outbox.clone(), publisher, Config::new())?;
//! let relayed = relay.run(async move {
//!     let delivery = subscriber.next().await.expect("the relay runs");
//!     assert_eq!(delivery.envelope().key(), Some("order-17"));
//!     delivery.ack();
//! });
//! relayed.await?;
//! # Ok(())
//! # }
//! ```
//!
//! With sqlx, `outbox.buffered(pool.begin().await?)`; or, in any transaction,
//! [`Outbox::enqueue`].
//!
//! # Guarantees
//!
//! - It keeps what every store promises to relays and operators
//!   (`postgres_keeps_what_every_store_promises`).
//! - Wherever a process is killed, nothing that was committed is lost, nothing is
//!   published that was not, and each key keeps its order
//!   (`wherever_a_process_ends_nothing_is_lost_and_nothing_happens_twice`,
//!   `relays_and_producers_that_are_killed_at_any_time_lose_nothing`).
//! - A relay that was stopped past its lease changes nothing when it goes on, and
//!   is told so (`a_late_write_of_a_zombie_is_refused_and_counted`,
//!   `under_a_lease_that_is_lost_nothing_is_changed`); also if it waits for the
//!   lock while another takes the lease
//!   (`a_settlement_that_waits_for_a_claim_compares_again`).
//! - Whatever is dropped while it waits is done or not done, and leaves no
//!   transaction open (`what_relays_ask_for_is_done_or_not_done`,
//!   `a_transaction_of_sqlx_goes_on_or_rolls_back`).
//! - Sessions that are ended, a server that dies, and one that says nothing cost
//!   time and no message (`sessions_that_are_ended_at_random_lose_nothing_and_the_relay_goes_on`,
//!   `a_server_that_dies_and_comes_back_has_all_that_was_committed`). If a commit
//!   is cut off and nobody knows whether it happened, the message is published
//!   exactly if the business is there
//!   (`a_message_is_published_exactly_if_the_business_of_an_unknown_commit_is_there`).
//! - Ids and numbers of [ordered](axiomatic_coordination::outbox::Message::ordered)
//!   messages follow the commits of their key
//!   (`ids_and_numbers_of_a_key_follow_the_order_of_the_commits`).
//! - A hundred thousand messages behind one key cost the other keys nothing
//!   (`what_stands_behind_one_key_costs_the_others_nothing`), and a fetch finds what
//!   looking at every row would find
//!   (`a_fetch_finds_what_looking_at_every_row_would_find`).
//! - Relays of other processes are woken by one notification an interval at most,
//!   never from the writer's transaction
//!   (`a_burst_of_wakes_is_one_notification_at_once_and_one_an_interval_later`,
//!   `the_session_that_notifies_is_not_the_writers_and_not_of_the_pool`), and find
//!   what was committed while their session was away
//!   (`a_relay_finds_what_was_committed_while_its_session_was_away`).
//! - Of processes that start at once one migrates
//!   (`processes_that_start_at_once_migrate_once`), and an index that is missing or
//!   broken is built while others write
//!   (`an_index_that_is_missing_or_broken_is_built_while_others_write`).
//!
//! # Cost
//!
//! On a machine with two processors, which the client shares with the server
//! (PostgreSQL 15, fsync on, a commit of one row 0.25 ms, bodies of 200 bytes, a
//! key each; `cargo run --release` in `benches/postgres`, medians of three rounds):
//!
//! | | rows a second | beside hand-written SQL |
//! |---|---|---|
//! | enqueue, 1 a commit, one connection | 2,900 | 0.86 of a bare `INSERT … unnest` |
//! | enqueue, 100 a commit | 106,000 | 1.05 |
//! | enqueue, 1000 a commit, four connections | 277,000 | 1.23: one index, where the bare table has two |
//! | relay to nobody, 100 at a time | 79,000 | 0.67 of a bare `DELETE … SKIP LOCKED … RETURNING` |
//! | relay to nobody, 500 at a time | 102,000 | 0.53 |
//! | graphile_worker 0.14, its best settings of those tried | 46,000 | 0.17 |
//! | others, behind a key with 100,000 messages that is blocked | 58,000 | 0.98 of the same without |
//! | relay, after a snapshot was held for 30 s at 5,000 rows/s | 59,000 | 2.5 times slower than before; the bare one 7.9 times |
//!
//! The relay reads a message before it deletes it, and the two statements cost
//! more than the one that does both. One after the other, a settlement took 3 µs
//! a message and a fetch that walks 6; beside each other, a fetch that scans 5
//! and a settlement 4 to 6, since the two processors gain little by it. From the
//! commit of a message to an idle outbox until a relay of the same process, which
//! is woken without a notification, had it in hand took 0.8 ms, where the commit
//! took 0.9.
//!
//! A message of 200 bytes is 428 bytes in the server's log, where a bare row of
//! the same columns is 380 with one index, and 470 with two.
//!
//! A message is one row and one entry of an index, inserted once and deleted
//! once. Messages that are [ordered](axiomatic_coordination::outbox::Message::ordered)
//! cost an update of their key's number each, and their writers take turns.
//!
//! # When not to use it
//!
//! When messages may be lost: then send them. When they are larger than some
//! hundred kilobytes: put what is large in a place of its own, and say where in
//! the message. When a consumer can read the database: then it needs no message.
//!
//! # How it works
//!
//! What was measured on machines of this kind, with two processors, and what
//! follows from it:
//!
//! | Measured | So |
//! |---|---|
//! | cursors lose 2.6 % of rows to late commits | no cursor: a row waits until it is settled |
//! | claim by update and delete: 16,100 rows/s; delete alone: 30,700 | no claim of rows: a lease on a bucket of keys, compared and locked by the statement that deletes |
//! | heads of keys with 100,000 rows behind one: `NOT EXISTS` 612 ms, `row_number` 46 ms, a loose scan of the index 0.67 ms | a loose scan, in steps that read several keys at once |
//! | a commit with `NOTIFY` inside: 228 a second, without: 3,351 | a notification behind the commit, from another session, one in 10 ms |
//! | `begin` of sqlx, dropped: the transaction stays open | an operation of a relay is one statement, which cannot be left half-way |
//! | one row a commit: 160 a second; 1000: 57,700 | everything is written for as many messages as there are: one `unnest` in, one out |
//! | a snapshot held for 30 s, by id order: six times slower | the walk along keys passes the dead rows between those it finds, and not all of them |
//! | plans made while a table was empty read all of it later | sessions of the pool plan once, and only by indexes |
//!
//! | table | holds | who writes it |
//! |---|---|---|
//! | `outbox` | messages that wait | producers; relays delete |
//! | `outbox_lane` | keys that are blocked or parked, and why | relays; operators unblock |
//! | `outbox_lease` | who holds which bucket of keys, under which epoch | relays |
//! | `outbox_relay` | who is here | relays |
//! | `outbox_pause` | what is paused | operators |
//! | `outbox_dead` | what was given up | relays; operators requeue and discard |
//! | `outbox_archive` | what was published, if it is kept | relays; [tidied](axiomatic_coordination::outbox::Store::tidy) |
//! | `outbox_sequence` | the last number of each key of ordered messages | producers; tidied |
//!
//! The one index of `outbox` is its primary key, the lane of the key and the id:
//! a message costs one entry, inserted and deleted once. There is no counter of
//! what waits, since it would be a row that all producers wait for, and no index
//! by id alone, since only operators would read it.
//!
//! [The operator's page](operating) says what to watch, and what to do about a
//! session that holds back the vacuum.

mod backlog_gauge;
mod buffered;
mod enqueue_error;
mod fetch;
mod handle;
mod health;
mod leases;
mod operate;
mod operations;
mod options;
mod outgoing;
mod plain;
mod producer;
mod row;
mod settle;
mod statements;
mod store;
mod tidy;
mod waking;

#[doc = include_str!("../../docs/operating-the-outbox.md")]
pub mod operating {}

pub use axiomatic_coordination::outbox::Keep;

pub use self::buffered::{Buffered, Transaction};
pub use self::enqueue_error::EnqueueError;
pub use self::handle::Outbox;
#[cfg(feature = "metrics")]
pub use self::health::record_leases;
pub use self::health::{Health, Held, Holder, Who, owner_number};
pub use self::options::{Notify, Options, WhenFull};
use crate::schema::OUTBOX;

/// The SQL that makes the outbox's tables in the schema of these options, for
/// those who let no program do that ([`Tables::Expect`](crate::Tables)).
///
/// ```
/// let options = axiomatic_postgres::Options::new().schema("shop_messaging")?;
/// let script = axiomatic_postgres::outbox::schema(&options);
/// # assert!(script.contains("shop_messaging"));
/// # Ok::<_, axiomatic_postgres::InvalidSchema>(())
/// ```
///
/// Version 1, but for the name of the schema:
///
/// ```sql
#[doc = include_str!("../schema/outbox_1.sql")]
/// ```
#[must_use]
pub fn schema(options: &crate::Options) -> String {
    OUTBOX.to_sql(&options.schema)
}
