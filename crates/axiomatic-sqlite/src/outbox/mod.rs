//! The outbox in SQLite: messages commit with the business, and wait in the
//! same file until a relay has published them.
//!
//! # The problem
//!
//! A program that writes to its database and then sends a message can die
//! between the two, and a program that sends first can be refused its commit.
//! SQLite adds that a commit which survives the loss of power waits for the
//! disk: some 150 a second on a small machine, whatever is in them. Messages
//! must share the commits of the business, and what a relay writes down must
//! share them too.
//!
//! # Example
//!
//! ```
//! use axiomatic_coordination::outbox::{Config, Message, Operate, Relay, in_process};
//! use axiomatic_sqlite::outbox::{self, Outbox};
//! use axiomatic_sqlite::{Database, Options};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let id = axiomatic_coordination::MessageId::unique();
//! # let file = std::env::temp_dir().join(format!("axiomatic-sqlite-{id}.db"));
//! let database = Database::open(&file, Options::new())?;
//! let outbox = Outbox::new(&database, outbox::Options::new())?;
//!
//! // The business and its message, in one transaction.
//! let placed = database.writer().run(|tx| {
//!     tx.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)", ())?;
//!     tx.execute("INSERT INTO orders VALUES (17)", ())?;
//!     let message = Message::new("orders", r#"{"placed":17}"#).keyed("order-17");
//!     tx.enqueue(message)?;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! });
//! placed.await?;
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
//! assert_eq!(outbox.backlog().await?.messages, 0);
//! # for file in ["", "-wal", "-shm"].map(|end| format!("{}{end}", file.display())) {
//! #     let _ = std::fs::remove_file(file);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - It keeps what every store promises to relays and operators
//!   (`sqlite_keeps_what_every_store_promises`).
//! - A relay whose lease has expired, was released or taken by another changes
//!   nothing, however late it writes, and is told so
//!   (`under_a_lease_that_is_lost_nothing_is_changed`).
//! - A hundred thousand messages behind one key cost the other keys nothing,
//!   whether the key is blocked, parked, paused or busy
//!   (`what_stands_behind_one_key_costs_the_others_nothing`).
//! - A fetch finds what looking at every row would find
//!   (`a_fetch_finds_what_looking_at_every_row_would_find`).
//! - The count of the backlog is the number of messages that wait, whatever
//!   was done in whatever order
//!   (`the_backlog_is_what_waits_whatever_was_done`).
//! - The number of buckets cannot be changed under a relay
//!   (`the_number_of_buckets_changes_only_while_no_relay_runs`).
//! - What is thrown away, is so in pieces of bounded size
//!   (`what_is_kept_no_longer_is_thrown_away_piece_by_piece`).
//!
//! # Cost
//!
//! A message is one row and one entry of an index, inserted and deleted once.
//! All that a relay writes down of up to some hundred messages is one closure
//! on the thread that writes, and shares the commit of the group it falls in.
//! Deleting what was published, 500 messages a time, ran at 0.6 to 0.9 of the
//! speed of a bare loop of `DELETE`s by id; an archive makes it three to four
//! times slower, since each message is written a second time. A fetch took 3
//! to 10 µs a message of 200 bytes on the thread that reads, which keeps
//! nobody from writing. (Two cores that others used too; 50 000 keys with a
//! message each.)
//!
//! End to end (a business row of 200 bytes and a message of as much from each
//! of 256 callers, a relay to nobody, and its acknowledgement) `cargo xtask
//! bench outbox` measured 98,000 a second. That is 0.17 of what rusqlite
//! inserts by hand into one table, 256 rows a commit; 0.38 of the same inserts
//! by way of the [`Writer`](crate::Writer), whose savepoints and answers cost
//! each caller 2.4 µs; and 0.62 of the same three statements a message by hand.
//! While nobody publishes, inserting becomes slower with what waits, since each
//! message is on a page of its own of the index of lanes: 69,000 a second at
//! 40,000 messages.
//!
//! # When not to use it
//!
//! When more than one machine needs the database: SQLite's locks do not cross
//! a network. When messages may be lost: then send them. When they are larger
//! than some hundred kilobytes: put what is large in a place of its own, and
//! say where in the message.
//!
//! # How it works
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
//! | `outbox_backlog` | how many messages wait | whoever changes that |
//!
//! A row has no state: one that is in flight looks like one that waits, and
//! which is which is known to the relay that holds the bucket. So publishing
//! a message costs one deletion and no update; and a relay that dies leaves
//! nothing to clean up but a lease, which expires by SQLite's clock, the
//! clock of the machine.
//!
//! A lane waits for its first message: what keeps it goes when that message
//! goes, and what is said of a message behind it makes the wait no shorter.
//!
//! A fetch is a walk over the index of lanes that seeks past the rest of each
//! lane; `fetch.rs` has the story.

mod enqueue_error;
mod fetch;
mod handle;
mod leases;
mod operate;
mod options;
mod outgoing;
mod producer;
mod row;
mod settle;
mod store;
mod tidy;

pub use axiomatic_coordination::outbox::Keep;

pub use self::enqueue_error::EnqueueError;
pub use self::handle::Outbox;
pub use self::options::Options;
pub(crate) use self::outgoing::Outgoing;
pub use crate::schema::outbox as schema;
