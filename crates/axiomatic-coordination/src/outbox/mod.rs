//! The transactional outbox: what a transaction says to others commits with
//! it, and is published afterwards.
//!
//! **The promise.** If the business transaction commits, every message is
//! published at least once; per key in commit order if that key's writers are
//! serialised ([`Message::ordered`], or the aggregate's row taken before the
//! message is enqueued), otherwise in id order among the rows visible to a
//! scan. A message's id never changes across retries. Nothing is published for
//! a rolled-back transaction. It is published twice only in the windows that
//! are [listed](operating#when-a-message-comes-twice). With the
//! [inbox](crate::inbox), effects inside one database happen exactly once.
//!
//! # The problem
//!
//! A service writes an order to its database and tells others by a broker.
//! No step is atomic across two machines: between the commit and the publish
//! the process can die, and then the order stands and nobody hears of it; the
//! other way round, they hear of an order that was rolled back. A retry does
//! not help a process that is dead. One crash in that gap is one lost message;
//! a service that deploys ten times a day, with a hundred requests in flight
//! each time, has a thousand chances a day.
//!
//! So the message is written into the same database, by the same transaction,
//! and a *relay* publishes it afterwards and deletes it once the broker has
//! confirmed it.
//!
//! # Example
//!
//! ```
//! use axiomatic_coordination::Memory;
//! use axiomatic_coordination::outbox::{Config, MemoryOutbox, Message, Relay, in_process};
//! use tokio::sync::oneshot;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Memory::new();
//! database.transact(|tx| {
//!     tx.put("order-17", "placed");
//!     tx.enqueue(Message::new("orders", "order 17 was placed").keyed("order-17"));
//!     Ok::<_, std::convert::Infallible>(())
//! })?;
//!
//! let (publisher, mut subscriber) = in_process(16);
//! let relay = Relay::new(MemoryOutbox::new(&database), publisher, Config::new())?;
//! let (stop, stopped) = oneshot::channel::<()>();
//! let running = tokio::spawn(relay.run(async { drop(stopped.await) }));
//!
//! let delivery = subscriber.next().await.ok_or("the relay is gone")?;
//! assert_eq!(delivery.envelope().body(), "order 17 was placed");
//! delivery.ack();
//! drop(stop);
//! assert_eq!(running.await??.published, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - What commits is published, whatever crashes and whenever, and in the
//!   order of its key
//!   (`a_crash_at_any_step_loses_nothing_and_keeps_the_order`,
//!   `a_relay_dropped_at_any_poll_loses_nothing_and_keeps_the_order`).
//! - What is rolled back is not
//!   (`everything_that_commits_is_published_in_the_order_of_its_key`).
//! - A relay that has lost its lease changes nothing in the store; that it
//!   tried is counted (`a_late_write_is_refused_and_counted`).
//! - What a relay fetched under a lease that it has lost it does not publish
//!   (`what_was_fetched_under_a_lease_that_is_lost_is_not_published`).
//! - Relays that come and go take and give back their shares, and nothing is
//!   published twice for it
//!   (`a_relay_that_joins_gets_its_share_and_one_that_leaves_gives_it_back`).
//! - A key whose first message fails waits, nothing of it overtakes, and all
//!   other keys go on
//!   (`a_key_that_fails_waits_and_overtakes_nothing_while_others_go_on`).
//! - A message that ends the processes that publish it is found out, and no
//!   other is charged for it
//!   (`a_message_that_ends_processes_is_found_out_and_no_other_is_charged_for_it`).
//! - A confirmation that is lost is no failure, and an outage of the broker is
//!   charged to no message (`a_lost_confirmation_is_no_failure`,
//!   `an_outage_is_charged_to_no_message`).
//! - A backlog is worked off without a pause, and a commit wakes an idle relay
//!   (`a_backlog_is_not_paced_by_looks`, `a_commit_wakes_an_idle_relay`).
//! - A relay that is asked to stop waits for what is in flight, and gives its
//!   leases back (`an_end_waits_for_what_is_in_flight_and_begins_nothing`).
//!
//! # How it works
//!
//! A message stands in the [lane](Lane) of its key, which is a hash of tenant
//! and key; the lanes are divided into [buckets](Buckets), 64 of them, each a
//! range of hashes. Rows have a state each, there is no cursor: a transaction
//! that commits late is found late, and never passed over.
//!
//! ```text
//!  producer                 store                       relay                 broker
//!     │ BEGIN                 │                           │ lease buckets        │
//!     │ business rows         │◀──────── claim ───────────│ (owner, epoch)       │
//!     │ message ─────────────▶│                           │                      │
//!     │ COMMIT                │──────── fetch ───────────▶│ one of a key         │
//!     │ wake ─────────────────┼──────────────────────────▶│ in flight ─ publish ▶│
//!     │                       │                           │◀────── confirm ──────│
//!     │                       │◀─ settle, if owner, epoch │                      │
//!     │                       │   and expiry are as said  │                      │
//! ```
//!
//! A relay leases buckets, not rows: no row is updated to be claimed, which
//! halves the throughput of queues that do it. Each lease has an *epoch* that
//! grows with every holder, and every write of a relay compares owner, epoch
//! and expiry in the transaction that makes it. Which relay should have which
//! bucket follows from who is there, by rendezvous hashing, so that nobody has
//! to decide it.
//!
//! Of a key one message is in flight at a time. The next follows as soon as
//! the broker has confirmed it; settlements follow in groups.
//!
//! # Choosing parameters
//!
//! - **Lease** (30 s): how long the keys of a relay that died wait. It is
//!   renewed at a third of that; shorter than ten times the slowest answer of
//!   the database is too short.
//! - **In flight** (256): by Little's law, a broker that confirms in 5 ms and
//!   256 messages in flight make 51,000 messages a second.
//! - **Of a key** (16): one key has at most one message per confirmation, and
//!   one trip through the store for so many of them.
//! - **Policy**: [`HeadPolicy`] has the table. Block where a consumer cannot do
//!   without the message that is missing; park the message where it can.
//! - **Attempts** (20, from 100 ms to 5 min, full jitter): about 50 minutes
//!   until a message is given up.
//!
//! # Cost
//!
//! A message costs its transaction one row. The relay reads it once and
//! deletes it, in groups: no statement is for one message alone. The relay's
//! own work, over a store in memory and a publisher that confirms at once, is
//! 0.6 µs a message and 1.2 allocations, beside 0.7 µs and 7 of the store. In
//! SQLite, with each commit synced, business write, message, relay and
//! acknowledgement together run at 98,000 a second on two cores (`cargo xtask
//! bench outbox`).
//!
//! # When not to use it
//!
//! If nobody is hurt by a message that is lost once a month, publish after the
//! commit, and save yourself the table. If the consumer reads the same
//! database, let it read the table itself. If the messages are the data (event
//! sourcing), the log is the outbox: a cursor over an event store is another
//! pattern, with other rules. And where the consumer cannot bear a message
//! twice and has no database to remember it in, an outbox does not help.
//!
//! # References
//!
//! - Pat Helland, "Life beyond Distributed Transactions", CIDR 2007.
//! - Chris Richardson, "Microservices Patterns", 2018, section 3.3.7.
//! - Martin Kleppmann, "How to do distributed locking", 2016, for the fence.

#[cfg(feature = "tokio")]
mod assignment;
mod cloud_event;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "tokio")]
mod desk;
#[cfg(feature = "tokio")]
mod fate;
#[cfg(feature = "conformance")]
pub mod history;
mod in_process;
mod lane;
mod memory;
mod message;
mod operations;
mod publisher;
mod record;
#[cfg(feature = "tokio")]
mod relay;
#[cfg(feature = "tokio")]
mod snapshot;
mod store;
#[cfg(feature = "tokio")]
mod telemetry;
mod trace;
mod wake;

#[doc = include_str!("../../docs/operating-the-outbox.md")]
pub mod operating {}

#[cfg(feature = "tokio")]
pub(crate) use assignment::buckets_of;
pub use cloud_event::CloudEvent;
pub use config::{Config, ConfigError, HeadPolicy};
pub use in_process::{Delivery, InProcess, PublishWith, Subscriber, in_process, publish_with};
pub use lane::{Bucket, Buckets, Lane};
pub(crate) use memory::MemoryTables;
pub use memory::{Keep, MemoryOutbox};
pub use message::Message;
pub use operations::{Backlog, Blocked, DeadLetter, Holding, Ids, Operate, Replay, Scope, Waiting};
pub use publisher::{Class, Publisher, Verdict};
pub use record::{Attempt, Envelope, Epoch, RowId, Sequence, Stored};
#[cfg(feature = "tokio")]
pub use relay::{Relay, RelayError, RelayHandle};
#[cfg(feature = "tokio")]
pub use snapshot::Snapshot;
pub use store::{
    Cause, Departing, Failure, Fate, Fetch, Fetched, Lease, RelayId, Settled, Settlement, Store,
};
pub use trace::{TraceContext, TraceError};
pub use wake::{Wake, WakeUps};
