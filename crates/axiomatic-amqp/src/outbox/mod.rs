//! The outbox's publisher to RabbitMQ: a message counts as published when it
//! was confirmed and not returned, and what that is worth is said.
//!
//! # The problem
//!
//! A publication by AMQP is sent and forgotten. With confirms on the server
//! acknowledges it, and then most programs believe four things that are not so.
//!
//! *What is acknowledged is in a queue.* A message for which no queue is bound
//! is acknowledged and thrown away. Published as `mandatory` it is returned,
//! and acknowledged all the same.
//!
//! *The return comes with its confirm.* It comes before it. `lapin` gives a
//! return to whichever confirm comes next, so in a wave of messages it can be
//! that of another.
//!
//! *A client that recovers loses nothing.* What it kept for the new connection
//! is sent twice, and what was in flight is nobody's.
//!
//! *An error is that of its message.* It closes the channel, and with it go the
//! confirms of all messages that are in flight on it.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_amqp::Server;
//! use axiomatic_amqp::lapin::ExchangeKind;
//! use axiomatic_amqp::outbox::{Config, Queue, RabbitMq, Requirements, Route, Routes};
//! use axiomatic_coordination::Memory;
//! use axiomatic_coordination::outbox::{Config as Relaying, MemoryOutbox, Message, Relay};
//!
//! # async fn run(shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
//! // Before anything is published: is there what has to be?
//! let orders = Queue::quorum("orders")
//!     .bound(Route::new("shop", "orders"))
//!     .delivery_limit(20)
//!     .dead_letters(Route::new("", "orders.dead"));
//! let requirements = Requirements::new()
//!     .exchange("shop", ExchangeKind::Topic)
//!     .queue(orders);
//! let server = Server::new("amqp://guest:guest@127.0.0.1:5672/%2f")?.named("orders");
//! let config = Config::new().routes(Routes::exchange("shop"));
//! let (publisher, reports) = RabbitMq::checked(server, config, &requirements).await?;
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
//! Exchanges and queues for tests and examples are made by
//! [`RabbitMq::ensure`].
//!
//! # How it works
//!
//! [A rule](Routes) makes an exchange and a routing key of a message. It is
//! published `mandatory` and persistent. Its id is the property `message_id`,
//! its key the header `outbox-key` ([`KEY`]), all of [`Envelope::headers`] are
//! headers, and one of them that is named `content-type` is that property too.
//!
//! All messages of a wave are sent at once, those for each exchange by a
//! channel that nobody else uses until all of its confirms are there. So an
//! error of a channel is that of one exchange, and a return is of this wave. A
//! return is told by its exchange, its routing key and its id. The verdict on
//! each message is:
//!
//! | what comes back | verdict |
//! |---|---|
//! | `basic.ack`, and no return of the message | `Acked` |
//! | `basic.ack`, and a return of the message | `Unroutable` |
//! | `basic.ack` with the return of another message, while a confirm is missing | `Unknown`: its own return may come with that |
//! | `basic.nack`: a queue is full and rejects, or failed | `Transient` |
//! | 404, there is no such exchange, and nothing was acknowledged by it | `Unroutable`, all for the exchange |
//! | 403, it may not be written to, and nothing was acknowledged by it | `Transient`, all for the exchange |
//! | 406 about the size, or 311: a message is larger than the server takes | `TooLarge` for the largest without an answer, `Unknown` for the others |
//! | a body larger than [configured](Config::largest), or headers that fill more than a frame | `TooLarge`, and it is not sent |
//! | a name, a routing key or the name of a header of more than 255 bytes, a queue or a header of the server's own, a header with two values | `Permanent`, and it is not sent |
//! | any other error, a channel or a connection that was closed | `Unknown`, at once |
//! | nothing, in [time](Config::timeout) | `Unknown` |
//! | no connection, or one that is blocked | `Unknown`, and it is not sent |
//!
//! RabbitMQ knows no id again: nothing is ever `Duplicate`, and what is
//! published again is stored again. Consumers need [an inbox](crate::inbox).
//!
//! ## The connection
//!
//! It is the publisher's own, and `lapin`'s recovery is off. When it ends, all
//! that is in flight is `Unknown` at once, and it is opened again after a random
//! wait, which is bounded and grows ([`Server::backoff`]). One by which nothing
//! comes is found out by its [heartbeat](crate::Server::heartbeat); or by publishing,
//! when the server does not even open a channel within the time for a wave.
//!
//! A server that is short of memory or of disk does not read what is published,
//! and says so when something is. Until it says that it is over nothing more is
//! sent. The verdict is `Unknown`, which a relay charges to no message; a wave
//! of which all is `Unknown` is an outage to it, for which it waits longer each
//! time. See [`RabbitMq::is_blocked`].
//!
//! ## What an acknowledgement means
//!
//! | the queue is | what it has acknowledged is | tested |
//! |---|---|---|
//! | quorum, on three servers | on the disks of two | no: documentation |
//! | quorum, on one server | on its disk | with its server killed |
//! | classic and durable | on the disk of its server, a persistent message for which it has no consumer: documentation | no |
//! | classic and not durable | in the memory of its server: documentation | no |
//! | full, with `reject-publish` | not acknowledged | yes |
//! | full, with `drop-head`, which is what a length without an `x-overflow` means | gone, when the next comes. [Refused](Unfit::DropsHead) unless [allowed](Losses) | yes |
//! | none: nothing is bound | gone; but it was returned | yes |
//! | several | in all of them: documentation | no |
//!
//! "Tested" is with RabbitMQ 3.10.8, whose quorum queue took some messages more
//! than its `x-max-length` before it rejected. There, a quorum queue that was
//! declared, and whose only server was killed a second and a half later, was
//! empty when the server was started again, with what it had acknowledged lost;
//! after one stop in order the same server lost nothing when it was killed. And
//! what was published to it in the moment after a start, before it had a leader,
//! was never confirmed: a wave must have a [time](Config::timeout).
//!
//! AMQP does not tell what a queue is like. [`RabbitMq::check`] declares it once
//! more, as it should be: RabbitMQ refuses that if the type, the length, the
//! place for dead letters or the delivery limit is another.
//!
//! # Guarantees
//!
//! - It does what every publisher does (`rabbitmq_does_what_publishers_do`).
//! - What commits is in the queue, and in the order of its key, though the
//!   server is killed in between; what is there twice was in flight then
//!   (`what_commits_is_in_the_queue_and_in_order_though_the_server_is_killed`).
//! - A repeat is success, and is stored again
//!   (`a_message_that_is_published_again_is_stored_again_and_that_is_success`).
//! - What is refused is so for its reason, as the table has it
//!   (`every_row_of_the_table_of_answers_holds`,
//!   `a_message_without_a_queue_is_unroutable_though_it_is_acknowledged`,
//!   `a_full_queue_that_rejects_refuses_for_now`,
//!   `a_body_of_more_than_is_configured_is_too_large`,
//!   `an_exchange_that_may_not_be_written_to_refuses_for_now`).
//! - A return is that of its message
//!   (`a_return_is_of_the_message_that_it_names_whichever_confirm_it_comes_with`,
//!   `a_confirm_with_the_return_of_another_says_nothing_while_confirms_are_missing`).
//! - An error of a channel harms no message for another exchange, and no later
//!   wave (`an_exchange_that_is_not_there_is_unroutable_and_harms_no_other`,
//!   `a_message_that_is_larger_than_the_server_takes_is_too_large_and_harms_no_later_wave`).
//! - What AMQP cannot carry, or the server would take for an instruction, is
//!   refused, and harms no other
//!   (`what_amqp_cannot_carry_is_refused_and_harms_no_other`,
//!   `only_where_something_can_be_published_to_is_a_route`,
//!   `a_header_that_is_the_servers_or_too_long_is_refused`,
//!   `the_frame_is_not_longer_than_it_is_said_to_be`); what it can is there as
//!   it was (`a_body_of_many_frames_and_one_of_none_are_there_as_they_were`).
//! - What is in flight when the connection ends is unknown at once; while there
//!   is none nothing is waited for
//!   (`what_was_in_flight_when_the_server_was_killed_is_unknown_at_once_and_there_in_the_end`,
//!   `without_a_connection_nothing_is_waited_for`).
//! - A connection that ends is opened again
//!   (`a_connection_that_the_server_closed_is_opened_again`), one attempt after
//!   the other, however the server fails
//!   (`a_server_that_ends_connections_is_attempted_again_after_each_wait`,
//!   `a_server_that_says_nothing_is_given_up_in_time_and_its_connection_ended`).
//! - A server that says nothing any more is found out
//!   (`a_server_that_says_nothing_is_found_out_by_its_heartbeat_and_by_publishing`).
//! - While the server is short of memory nothing is sent, and then it goes on by
//!   itself
//!   (`while_the_server_is_short_of_memory_nothing_is_sent_and_then_it_goes_on_by_itself`).
//! - What is not there, or not as required, is found out before anything is
//!   published (`what_is_not_there_is_found_out_and_not_made`,
//!   `what_is_not_as_required_is_found_out`,
//!   `a_queue_that_loses_what_it_confirmed_is_refused_unless_allowed`,
//!   `every_reason_to_refuse_a_queue_and_all_one_should_know_of_it_is_said`).
//!
//! # Cost
//!
//! - A connection and a thread of `lapin` for each publisher. Where waves
//!   overlap there are as many channels as waves at a time, for each exchange.
//!   They are kept for the next waves; opening one is two round trips.
//! - A message is one publication, which is copied once, and its confirm. How
//!   long that takes was not measured.
//! - When a wave has a message that is larger than the server takes, it costs
//!   its channel and the wave's confirms for that exchange.
//!
//! # When not to use it
//!
//! - For messages larger than some megabytes: put what is large in a place of
//!   its own, and say where in the message.
//! - Where a wave must not be charged with one topic that may not be written
//!   to: a server that authorises topics closes the channel for one, and all
//!   messages of the wave for its exchange are `Transient`.
//! - Where OAuth renews the secret of a connection: a [`Server`] has the user of
//!   its URI. And TLS is there only in a program that turns it on in `lapin`; it
//!   was not tested.
//! - Beside other publishers to the same queue that have the order of a key in
//!   mind: this one has the order of its outbox.
//!
//! # Choosing parameters
//!
//! - **Timeout**: longer than the server takes when it is busy, and than a
//!   quorum queue takes for a new leader; what has no confirm by then is
//!   published again, and is there twice. The relay's must be longer
//!   ([`RabbitMq::publish_timeout`]).
//! - **Largest**: the server's `max_message_size`, or less.
//! - **Heartbeat**: half of the time in which a dead connection should be found
//!   out.
//!
//! [`Envelope::headers`]: axiomatic_coordination::outbox::Envelope::headers
//! [`Server`]: crate::Server
//! [`Server::backoff`]: crate::Server::backoff

mod answer;
mod check;
mod config;
mod properties;
mod publisher;
mod requirements;
mod route;
mod telemetry;

pub use check::{CheckError, QueueReport};
pub use config::{Config, ConfigError};
pub use properties::KEY;
pub use publisher::RabbitMq;
pub use requirements::{Caveat, Losses, Queue, Requirements, Unfit, WhenFull};
pub use route::{Route, RouteError, RouteFault, Routes};
