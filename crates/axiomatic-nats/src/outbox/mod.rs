//! The outbox's publisher to NATS JetStream: a message counts as published when
//! a stream has acknowledged it, and what that is worth is said.
//!
//! # The problem
//!
//! A publication to NATS is sent and forgotten. With JetStream a stream
//! acknowledges it, and then most programs believe three things that are not
//! so.
//!
//! *What is acknowledged is on the disk.* It is in the memory of the system;
//! the disk follows every two minutes, unless configured otherwise. Jepsen's
//! analysis of NATS 2.12.1 lost what had been acknowledged so.
//!
//! *What was not acknowledged has failed.* An acknowledgement that is lost looks
//! the same, and then the stream has the message. Whoever counts that as a
//! failure buries what was delivered.
//!
//! *A stream that knows ids for two minutes makes it exactly once.* Two minutes
//! after the first time a repeat is stored again, and an outage is longer than
//! that.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_coordination::Memory;
//! use axiomatic_coordination::outbox::{Config as Relaying, MemoryOutbox, Message, Relay};
//! use axiomatic_nats::async_nats;
//! use axiomatic_nats::outbox::{Config, JetStream, Requirements, Subjects};
//!
//! # async fn run(shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
//! let context = async_nats::jetstream::new(async_nats::connect("nats://127.0.0.1").await?);
//!
//! // Before anything is published: is the stream what it must be?
//! let requirements = Requirements::new().replicas_at_least(3);
//! let config = Config::new().subjects(Subjects::under("shop"));
//! let topics = ["shop.orders", "shop.payments"];
//! let (publisher, reports) =
//!     JetStream::checked(context, config, &requirements, &topics).await?;
//! for report in &reports {
//!     println!("{report}");
//! }
//!
//! // Any store will do: SQLite's, PostgreSQL's, or this one.
//! let memory = Memory::new();
//! memory.transact(|tx| {
//!     tx.enqueue(Message::new("orders", r#"{"placed":17}"#).keyed("order-17"));
//!     Ok::<_, std::convert::Infallible>(())
//! })?;
//! let relaying = Relaying::new().publish_timeout(publisher.publish_timeout());
//! let relay = Relay::new(MemoryOutbox::new(&memory), publisher, relaying)?;
//! relay.run(shutdown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A stream for tests and examples is made by [`Requirements::ensure`].
//!
//! # How it works
//!
//! A message is published under the subject that [a rule](Subjects) makes of
//! it. Its id is the header `Nats-Msg-Id`, its key the header `outbox-key`
//! ([`KEY`]), and all of [`Envelope::headers`] are headers. What the rule makes
//! is looked at: a topic that a user can choose reaches neither the server's own
//! interfaces nor, by a line break, its protocol; nor does a header that is an
//! instruction to the server, as all are that begin with `Nats-`.
//!
//! All messages of a wave are sent at once, and the verdict on each is:
//!
//! | what comes back | verdict |
//! |---|---|
//! | an acknowledgement | `Acked` |
//! | an acknowledgement with `duplicate` | `Duplicate`, which is success |
//! | nobody subscribes to the subject, and no stream has it; error 10059 | `Unroutable` |
//! | nobody subscribes to the subject, and a stream has it: it has no leader at the moment | `Transient` |
//! | more than the server's `max_payload`; 10054, more than the stream's `max_msg_size`; 10097, more than 64 KiB of headers | `TooLarge` |
//! | 10077, not stored: the stream is full and discards what is new, or the disk is full | `Transient` |
//! | 10002, 10023, 10028, 10047, too little memory or storage; 10008, 10118, unavailable; 10167, too many requests | `Transient` |
//! | 10109, sealed: no stream is ever unsealed | `Permanent` |
//! | 10060, 10070, 10071, 10111, 10165, 10166, 10169, 10170: what the publication demands of the stream; ours demands nothing | `Permanent` |
//! | no subject, or a header that NATS would not carry as it is: more than a line, whitespace at an end, a name that is not visible ASCII | `Permanent` |
//! | 10158, the same id is on its way into the stream | `Unknown` |
//! | any other error, or an answer that is not JetStream's | `Transient` |
//! | nothing, in [time](Config::timeout); no connection | `Unknown` |
//!
//! A server that denies the permission to publish does not answer: it tells the
//! client, in [an event](async_nats::Event), and the message is `Unknown`.
//!
//! While there is no connection nothing is sent: `async-nats` keeps what it is
//! given, and would send each attempt of an outage when that is over.
//!
//! ## What an acknowledgement means
//!
//! | the stream is | what it has acknowledged is | and is lost |
//! |---|---|---|
//! | in a file, on one server | in the memory of its system; on the disk within `sync_interval`, 2 min | when the system stops in that time, not when the server does |
//! | in a file, on one server, with `sync_interval: always` | on the disk | with the disk |
//! | in a file, on three servers | in the memory of two systems | when two systems stop in that time; nats-server #7545 and #7564 have other ways, one of them with `always` |
//! | in memory | in the memory of the server | when the server does. [Refused](Unfit::InMemory) unless [allowed](Volatile) |
//! | in a file, with `persist_mode: async` | on its way there | when the server stops. [Refused](Unfit::AcknowledgesEarly) unless allowed |
//!
//! The `sync_interval` is in the server's configuration, and nobody who is
//! connected can ask for it. With [`Durability::AckedAndAged`] a message counts
//! as published when it was acknowledged so long ago that it is on the disk, and
//! the server that the client is connected to was not started anew since: a
//! server has another id each time. Otherwise nobody knows, and the message is
//! published again. If it is there still, it is a duplicate, and ages; if it is
//! not, it is stored, and ages. A stream on several servers may lose its leader
//! without the client's server being started anew; that is not seen.
//!
//! ## What is known again
//!
//! An id is known from when its message is stored, for the stream's
//! `duplicate_window`, which a repeat does not prolong. A server that is started
//! anew reads ids from what is stored, so that it knows what it has. It does not
//! know the ids of what is not stored any more, such as what a work queue has
//! given out: if that is repeated, it is stored again. Whatever the window, consumers that must not repeat need
//! [an inbox](crate::inbox).
//!
//! # Guarantees
//!
//! - It does what every publisher does (`jetstream_does_what_publishers_do`).
//! - What commits is in the stream, and in the order of its key; and once, as
//!   long as the window lasts, though the server is killed in between
//!   (`what_commits_is_in_the_stream_once_and_in_order_though_the_server_is_killed`).
//! - A repeat is success (`a_message_that_is_published_again_is_a_duplicate_and_that_is_success`).
//! - What is refused is so for its reason, as the table has it
//!   (`every_row_of_the_table_of_errors_holds`,
//!   `a_message_without_a_stream_is_unroutable`,
//!   `a_message_that_is_too_large_is_refused_as_that`,
//!   `a_full_stream_refuses_for_now`, `a_stream_full_of_bytes_refuses_for_now`,
//!   `a_sealed_stream_never_takes_a_message`).
//! - Only JetStream's acknowledgement is a confirmation
//!   (`only_an_acknowledgement_is_a_confirmation`,
//!   `an_answer_that_is_not_jetstreams_is_no_confirmation`).
//! - What NATS cannot carry, or would take for an instruction, is refused, and
//!   harms no other message (`what_nats_cannot_carry_is_refused_and_harms_no_other`,
//!   `only_what_can_be_published_to_is_a_subject`,
//!   `a_header_that_nats_would_not_carry_as_it_is_is_refused`).
//! - A message whose acknowledgement is lost is unknown, and is in the stream
//!   once in the end (`what_a_server_took_without_a_word_is_unknown_and_then_a_duplicate`,
//!   `what_was_in_flight_when_the_server_was_killed_is_there_once_in_the_end`).
//! - A server that is started anew knows what it has
//!   (`a_server_that_is_stopped_in_order_knows_what_it_has`), and only that
//!   (`a_work_queue_that_is_started_anew_forgets_the_ids_of_what_it_gave_out`).
//! - No wave is waited for longer than configured, and what is not answered
//!   keeps no other from its verdict (`who_does_not_answer_in_time_is_not_waited_for`);
//!   while there is no connection nothing is waited for at all, nor sent later
//!   (`while_the_server_is_away_nothing_waits_and_nothing_is_sent_later`).
//! - A publication can be dropped at any time
//!   (`a_publication_can_be_dropped_while_its_server_says_nothing`).
//! - With an age, nothing counts as published that a server acknowledged which
//!   was started anew since (`a_server_that_was_started_anew_confirms_nothing_from_before`),
//!   so that what a loss of power took is published again
//!   (`what_a_loss_of_power_took_is_published_again`). Without one, it is lost
//!   (`without_an_age_what_a_loss_of_power_took_is_lost`).
//! - A stream that does not do what it must is found out before anything is
//!   published (`every_reason_to_refuse_a_stream_is_found`,
//!   `a_stream_that_forgets_ids_while_a_relay_may_repeat_them_is_refused`,
//!   `a_stream_in_memory_is_refused_unless_allowed`,
//!   `a_subject_without_a_stream_is_found_out`), and what one should know of
//!   one that does is said (`what_one_should_know_of_a_stream_is_said`).
//!
//! # Cost
//!
//! - A message is one request and its answer, COST.
//! - With an age, a wave is in flight for as long. A relay publishes
//!   [`max_in_flight`](axiomatic_coordination::outbox::Config::max_in_flight)
//!   messages an age at most, and of one key a single one: with 256 and 150 s
//!   that is 1.7 messages a second. For a hundred a second it takes 15,000 in
//!   flight, as many rows in the relay's memory, and as many keys.
//! - An acknowledgement that never comes leaves a word of some hundred bytes in
//!   the client, until that is dropped (async-nats 0.51).
//!
//! # When not to use it
//!
//! - [`Durability::AckedAndAged`], where keys have more than a message an age:
//!   set `sync_interval: always` in the server instead, and pay a sync a
//!   message; or keep what was published for the age
//!   ([`Keep::Archive`](axiomatic_coordination::outbox::Keep)) and
//!   [replay](axiomatic_coordination::outbox::Operate::replay) it after a server
//!   was started anew, with the ids it had. Then what is replayed comes behind
//!   what was published since.
//! - For messages larger than some hundred kilobytes: put what is large in a
//!   place of its own, and say where in the message.
//! - Beside other publishers under the same subjects that have the order of a
//!   key in mind: this one has the order of its outbox.
//!
//! # Choosing parameters
//!
//! - **Window**: as long as the outage that consumers without an inbox shall not
//!   notice ([`Requirements::retried_for`]). The server keeps an id of 16 bytes
//!   and more in memory for each message of it.
//! - **Timeout**: longer than the server takes when it is busy; what has no
//!   answer by then is published again. The relay's must be longer
//!   ([`JetStream::publish_timeout`]).
//! - **Age**: the server's `sync_interval` and some seconds.
//!
//! [`Envelope::headers`]: axiomatic_coordination::outbox::Envelope::headers

mod answer;
mod check;
mod config;
mod headers;
mod publisher;
mod requirements;
mod subject;

pub use check::{CheckError, EnsureError, StreamReport};
pub use config::{Config, ConfigError, Durability};
pub use headers::KEY;
pub use publisher::JetStream;
pub use requirements::{Caveat, Requirements, Unfit, Volatile};
pub use subject::{SubjectError, SubjectFault, Subjects};
