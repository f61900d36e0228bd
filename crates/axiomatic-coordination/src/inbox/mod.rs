//! The inbox: a message comes at least once, and changes a database once.
//!
//! **Exactly-once effects inside this database; at-least-once outside.**
//!
//! # The problem
//!
//! A broker that loses nothing delivers some messages twice: it cannot tell a
//! consumer that died before its work from one that died after it, whose
//! acknowledgement was lost. So does a producer that cannot tell whether its
//! message arrived, and so does an [outbox](crate::outbox), whose promise is
//! "at least once". A consumer that books each delivery books some payments
//! twice: in `examples/inbox.rs`, with one delivery in ten interrupted and
//! producers that repeat, every second booking is one too many.
//!
//! Asking first whether a message was seen is no answer: two processes ask,
//! and both are told "no". Nor is writing it down before the work, or after
//! it, in a transaction of its own: a crash between the two loses the effect,
//! or repeats it. And the broker's own memory is short: NATS JetStream's is
//! two minutes.
//!
//! # Example
//!
//! ```
//! use axiomatic_coordination::inbox::{Config, Delivery, Error, IdRule, Outcome};
//! use axiomatic_coordination::{Memory, MemoryTransaction, StoreError};
//! use std::time::Duration;
//!
//! fn book(tx: &mut MemoryTransaction<'_>) -> Result<(), StoreError> {
//!     let booked = tx.read("booked").map_or(0, |booked| booked.len());
//!     tx.put("booked", vec![0; booked + 1]);
//!     Ok(())
//! }
//!
//! // The broker keeps a message for two days.
//! let two_days = Duration::from_secs(2 * 24 * 60 * 60);
//! let inbox = Config::new(IdRule::BrokerId, two_days).build()?;
//! let database = Memory::new();
//!
//! let payment = Delivery::new("20 for the milk").with_broker_id("payment-17");
//! for attempt in 1..4 {
//!     let payment = payment.clone().attempted(attempt);
//!     let outcome = database.transact(|tx| inbox.once(tx, "bank", &payment, book))?;
//!     // Committed: now it may be acknowledged, whatever the outcome.
//!     assert_eq!(outcome.is_duplicate(), attempt > 1);
//! }
//! assert_eq!(database.read("booked").map(|booked| booked.len()), Some(1));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! `axiomatic_sqlite::inbox` does the same in SQLite, and has `handle`, which
//! takes all the steps in their order:
//!
//! | step | in one transaction | then |
//! |---|---|---|
//! | [`begin`](Inbox::begin) | that an attempt begins, if it may be a repeat | commit |
//! | [`once`](Inbox::once) or [`in_order`](Inbox::in_order) | the work, and that the message was seen | commit |
//! | | | acknowledge; if that is lost, the message comes again and is a duplicate |
//! | [`failed`](Inbox::failed), if the work failed | that this attempt was heard of | commit |
//!
//! # How it works
//!
//! **By id.** One row for each consumer and message, inserted in the work's
//! transaction unless it is there. Of two transactions that try, one waits for
//! the other. Where the id of a message stands is [a rule](IdRule) that is
//! chosen: the broker's, a header's, or one that the business has.
//!
//! **By number.** An outbox [numbers](crate::outbox::Sequence) the messages of
//! a key that are [ordered](crate::outbox::Message::ordered). Then it is
//! enough to remember for each key up to which number nothing is missing, its
//! [`Watermark`]: memory grows with keys and not with messages, and what is
//! missing or comes late is seen. What happens to a message that comes ahead
//! is a [`Policy`]: `Accept`, `Buffer` or `Reject`. What to do is decided by
//! [a pure function](Watermark::judge), which has the table. A quarantined
//! message, or one that its relay has buried, is a gap to its key.
//!
//! **Poison.** A message that ends the process which handles it would end the
//! next one too, for ever. So a redelivery first writes down that it begins.
//! Success and failure wipe that out; if it stands three times, the message
//! goes to [quarantine](Quarantined), and an operator looks at it
//! ([`peek`](Inbox::peek)), has it handled ([`release`](Inbox::release)) or
//! throws it away ([`discard`](Inbox::discard)).
//!
//! # Guarantees
//!
//! - A message that was handled is not handled again, and a repeat is told
//!   when the first was, and its result if that was kept
//!   (`a_duplicate_is_answered_with_the_first_result`), also if they come at
//!   the same time (`repeats_at_the_same_time_have_one_effect`).
//! - Wherever the database crashes, each effect happens once
//!   (`wherever_it_crashes_each_effect_happens_once`), and so wherever the
//!   process is killed (`a_consumer_killed_at_any_boundary_has_each_effect_once`)
//!   or its future dropped (`wherever_handling_is_cancelled_the_effect_happens_once`).
//!   In two transactions it would not
//!   (`without_one_transaction_a_crash_repeats_effects`).
//! - Work that fails leaves nothing, also if its caller goes on with the
//!   transaction (`what_fails_leaves_nothing_and_may_come_again`), and also if
//!   it panics (`a_panic_leaves_nothing_behind`).
//! - A message without an id is an error, and never new
//!   (`a_message_without_an_id_is_refused`,
//!   `the_id_stands_where_the_rule_says_and_nowhere_else`); ids are not cut
//!   (`an_id_is_text_of_1_to_255_bytes_and_never_cut`,
//!   `ids_are_equal_only_if_every_byte_is`).
//! - No id is forgotten while its message may come again, as far as the
//!   configuration says the truth
//!   (`a_retention_shorter_than_the_brokers_memory_is_refused`,
//!   `ids_are_forgotten_by_age_and_in_pieces`).
//! - By number: none is handled twice, and none that was given up
//!   (`no_number_is_handled_twice_and_none_that_was_given_up`); with `Buffer`
//!   and `Reject` in order (`a_key_is_handled_in_order_whatever_the_broker_does`,
//!   `wherever_it_crashes_a_key_is_handled_in_order`); and what is given up is
//!   said (`a_gap_is_given_up_when_patience_is_at_its_end`). It judges as one
//!   does who keeps all numbers
//!   (`judges_as_one_does_who_keeps_all_numbers`).
//! - What comes from a relay that has lost its lease is said
//!   (`what_comes_late_or_from_a_zombie_is_said`).
//! - A message that ends processes ends as many as was configured, and one more
//!   (`a_message_that_ends_processes_goes_to_quarantine`,
//!   `a_message_that_kills_its_consumer_stops_after_three_redeliveries`);
//!   attempts whose end is known are not counted
//!   (`an_attempt_of_which_one_hears_is_not_counted`).
//! - Released from quarantine it is handled once, and discarded never
//!   (`what_leaves_quarantine_is_handled_once_or_never`).
//!
//! # Cost
//!
//! - By id: a row of 100 bytes with its index, for an id of 32 bytes. It is
//!   one statement; a repeat is two. A savepoint around the work is two more.
//! - By number: a row a key, of two numbers and a span for each gap; it is
//!   read and written once a message, and the time is asked for.
//! - A first delivery needs no other commit. One that may be a repeat needs
//!   one before the work, and one more if that fails.
//! - In SQLite, 256 messages a commit that is not synced
//!   (`synchronous = NORMAL`), on two cores that others used too: a bare insert
//!   3 to 4 µs; in order, on 1000 keys, 25 µs; once, with ids in no
//!   order, 57 to 62 µs, 40 of them in the commit, since nearly each id is on a
//!   page of the index that nothing else has changed; a duplicate 15 to 20 µs.
//!   Ids that begin with the time, as those of our outbox do, share pages; how
//!   much that saves was not measured, nor any of it on a machine of its own.
//!
//! # When not to use it
//!
//! - If the effect is not in the database: a mail that was sent, a call to
//!   another service. Then this database knows at most that it was tried.
//!   Enqueue a message in the [outbox](crate::outbox) instead, with an id that
//!   follows from this one, for an inbox on the other side.
//! - If doing it twice is doing it once, as with "the price is now 5": then
//!   only the order matters, and a version beside the price is enough.
//! - By number, if a message must never be passed over: patience ends. And if
//!   messages may end processes: with `Buffer`, what is stored is handled with
//!   the message that fills the gap, and it is that one which would go to
//!   quarantine.
//! - Two services must not share a consumer's name in one database: each would
//!   take messages from the other.
//! - Changing the [rule](IdRule), or from ids to numbers, forgets what was
//!   seen under the old one. Do it while nothing is under way.
//!
//! # Choosing parameters
//!
//! - **Retention**: longer than a message can come again, with the time that
//!   a dead letter lies before somebody sends it again. 7 days outlast a
//!   weekend. At 100 messages a second that is 60 million rows: with ids that
//!   long, use numbers.
//! - **Rule**: `BrokerId` behind our outbox, which keeps ids. `BusinessKey` if
//!   producers make a new id when they start again.
//! - **Policy**: `Accept` if the order does not matter. `Buffer` if it does,
//!   with room for what the broker has in flight for one key, and a patience
//!   longer than its redelivery takes. `Reject` if bodies are too large to
//!   store twice, and the broker can delay.
//! - **Starts**: 3. Deployments end processes too, and each costs whatever is
//!   being redelivered one start.

mod attempts;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod counts;
mod delivery;
mod id;
#[expect(
    clippy::module_inception,
    reason = "the mechanism is named like its pattern"
)]
mod inbox;
mod memory;
mod ordering;
mod outcome;
mod quarantine;
mod tables;
mod watermark;

pub use config::{Config, ConfigError};
pub use counts::{Event, Snapshot};
pub use delivery::{Delivery, MalformedHeader, Which};
pub use id::{Id, IdError, IdRule};
pub use inbox::Inbox;
pub(crate) use memory::InboxTables;
pub use outcome::{Admission, Error, Fate, Ordered, Outcome};
pub use quarantine::{Quarantined, Start, start};
pub use tables::{Seen, Stream, Tables, Waiting};
pub use watermark::{Because, Gap, Judgement, Policy, Spans, SpansError, Verdict, Watermark};
