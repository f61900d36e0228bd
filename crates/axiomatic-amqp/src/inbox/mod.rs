//! The inbox's consumer on RabbitMQ: a message is acknowledged after its
//! transaction has committed, on the channel that delivered it, and its handler
//! knows how often it can still come.
//!
//! # The problem
//!
//! RabbitMQ delivers again what was not acknowledged when its channel ends.
//! Whoever acknowledges before the commit loses messages. A delivery tag is a
//! number that counts from one on each channel: whoever acknowledges after a
//! reconnection what came before it acknowledges another message, which is lost.
//! And a quorum queue **drops** what it has delivered in vain more often than
//! its limit, 20 times unless configured from RabbitMQ 4.0 on, where no dead
//! letters are configured: nobody is told.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_amqp::Server;
//! use axiomatic_amqp::inbox::{
//!     Answer, Arrival, Config, Consumer, DeadLetters, DeliveryLimit, Queue,
//! };
//! use axiomatic_coordination::inbox::{Config as Inboxing, IdRule};
//! use axiomatic_coordination::{Memory, StoreError};
//! use std::time::Duration;
//!
//! # async fn run(shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new("amqp://shop:secret@127.0.0.1:5672/%2f")?.named("bank");
//! let payments = Queue::quorum("payments", DeliveryLimit::Argument(8))
//!     .dead_letters(DeadLetters::Exchange("payments.failed".into()));
//!
//! // The database that the work is in; with SQLite, `axiomatic_sqlite::inbox`
//! // takes these steps by itself.
//! let database = Memory::new();
//! let two_days = Duration::from_secs(2 * 24 * 60 * 60);
//! let inbox = Inboxing::new(IdRule::BrokerId, two_days).build()?;
//! let handle = async |arrival: Arrival| {
//!     let payment = arrival.delivery();
//!     let admission = database.transact(|tx| inbox.begin(tx, "bank", payment));
//!     if let Some(answer) = Answer::instead_of_handling(admission.map_err(|e| e.to_string())?) {
//!         return Ok(answer);
//!     }
//!     let outcome = database.transact(|tx| {
//!         inbox.once(tx, "bank", payment, |tx| {
//!             tx.put("the last payment", payment.body().clone());
//!             Ok::<_, StoreError>(())
//!         })
//!     });
//!     // Committed: now it may be acknowledged, whatever the outcome.
//!     outcome.map(Answer::from).map_err(|e| e.to_string())
//! };
//! let consumer = Consumer::new(server, payments, Config::new().in_hand(16))?;
//! let ran = consumer.run(handle, shutdown).await?;
//! println!("{ran}");
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! | the handler | the server is told | on a quorum queue | on a classic queue |
//! |---|---|---|---|
//! | answers [`Answer::Acknowledge`] | `ack` | it is gone | it is gone |
//! | answers [`Answer::Again`] | `nack`, [after a hold](Config::hold_at_most) | it comes again, and **one of its deliveries is spent** (not from RabbitMQ 4.3 on) | it comes again |
//! | answers [`Answer::Terminate`] | `reject` | to the dead letters; **dropped without them** | to the dead letters; **dropped without them** |
//! | fails, or takes longer than [it may](Config::handle_within) | `reject` with requeue, after a [wait](Config::backoff) that grows, and a hold | it comes again, and one delivery is spent; **after the last it is dead-lettered, or dropped** | it comes again, for ever |
//! | runs while its channel is lost | nothing | it is stopped; it comes again, and one delivery is spent | it is stopped; it comes again |
//! | is not done when the consumer [has drained](Config::drain_within) | `nack` | as with `Again` | it comes again |
//!
//! With a limit of 2, a message is delivered three times:
//! [`Arrival::deliveries_left`] is 2, 1, 0. The third time it
//! [is the last](Arrival::is_last): there is an event for it, and a handler that
//! would rather keep it can put it somewhere else and acknowledge it. A message
//! that was given back by a channel that died has spent a delivery too, though
//! nobody may have looked at it: the limit has to be larger than what failures
//! alone would need.
//!
//! **`Again` holds the message in hand** until its time, and gives it back then.
//! RabbitMQ has no negative acknowledgement with a delay: what is given back
//! comes again at once, and on a quorum queue with a limit before all others.
//! Held, it does not go round in circles, and costs a place among those
//! [in hand](Config::in_hand): with 64 in hand and 64 held nothing else comes.
//! For waits longer than a minute there are queues with a time to live whose
//! dead letters come back, which a handler can publish to before it
//! acknowledges.
//!
//! **The queue is looked at** each time a channel is opened. AMQP tells whether
//! it is there, and whether it was declared with the arguments that
//! [its user says](Queue). It does not tell what a policy or the server sets:
//! that is believed. A queue with a limit and without dead letters is refused,
//! unless that [is meant](DeadLetters::Dropped).
//!
//! **A channel that is lost** takes its messages with it. Its handlers are
//! stopped first, and nothing of what it delivered is in hand when the next one
//! is opened. Until this side notices, which takes two
//! [heartbeats](crate::Server::heartbeat) at most, a message may be handled here
//! and elsewhere: the inbox makes that one effect.
//!
//! All handlers run in the task that runs the consumer; what takes a processor
//! belongs elsewhere. For more than one consumer, run several: they share the
//! messages.
//!
//! # Guarantees
//!
//! - Each message is handled, and acknowledged after its handler
//!   (`each_message_is_handled_once_and_then_acknowledged`,
//!   `a_message_is_the_servers_until_its_handler_has_answered`). One whose
//!   consumer dies between the commit and the acknowledgement comes again, and
//!   has its effect once
//!   (`a_consumer_that_dies_between_its_commit_and_the_acknowledgement_repeats_nothing`);
//!   so has one whose connection is lost then
//!   (`a_connection_that_is_lost_between_a_commit_and_the_acknowledgement_repeats_nothing`),
//!   or whose server is killed
//!   (`a_server_that_is_killed_or_ends_all_connections_repeats_no_effect`), and
//!   one that the queue has twice
//!   (`a_message_that_the_queue_has_twice_has_its_effect_once`).
//! - What was delivered on a channel is answered on it or not at all
//!   (`what_was_delivered_on_a_channel_is_never_acknowledged_on_another`). Its
//!   handler is stopped when the channel is lost
//!   (`a_handler_whose_channel_is_lost_is_stopped_and_its_message_comes_again`),
//!   also by a server that does not wait as long as was said
//!   (`a_server_that_does_not_wait_so_long_ends_the_channel_and_its_handlers_are_stopped`);
//!   an answer that was not given is counted
//!   (`an_answer_that_is_lost_with_its_channel_is_counted_and_its_message_comes_again`).
//! - What fails comes again, and what is given up does not
//!   (`what_fails_or_is_wanted_again_comes_again_and_what_is_given_up_does_not`).
//!   A handler that takes too long is stopped
//!   (`a_handler_that_takes_too_long_is_stopped_and_its_message_comes_again`).
//!   What ends its consumers goes to quarantine
//!   (`a_message_that_ends_its_consumers_goes_to_quarantine_and_is_acknowledged`).
//! - A handler is told how often its message can still come. After that a quorum
//!   queue drops it
//!   (`a_quorum_queue_without_dead_letters_drops_what_failed_more_often_than_its_limit`)
//!   or moves it
//!   (`a_quorum_queue_moves_what_failed_more_often_than_its_limit_to_its_dead_letters`);
//!   a classic queue never does
//!   (`a_classic_queue_delivers_what_fails_for_ever_and_does_not_count`).
//! - A queue that would drop what fails is refused, and so is all else that
//!   cannot work (`a_consumer_that_cannot_work_is_refused`); a queue that is
//!   another than was said is refused
//!   (`a_queue_that_is_another_than_was_said_is_refused`), but for what cannot be
//!   seen (`what_a_policy_sets_cannot_be_seen_and_is_believed`).
//! - A queue that is not there, or is deleted, ends the consumer, which makes none
//!   (`a_queue_that_is_not_there_is_not_made_and_ends_the_consumer`,
//!   `a_queue_that_is_deleted_ends_its_consumer`). A server that is not there is
//!   waited for (`a_consumer_waits_for_a_server_that_is_not_there_yet`).
//! - No more are in hand than configured, and as many if there are
//!   (`no_more_are_in_hand_than_configured_and_as_many_if_there_are`); none is
//!   held longer than it may be
//!   (`a_message_is_held_for_no_longer_than_it_may_be`).
//! - A consumer that is to stop finishes what it has
//!   (`a_consumer_that_is_to_stop_finishes_what_it_has_in_hand`), gives back what
//!   it holds (`what_is_held_is_given_back_at_once_when_its_consumer_is_to_stop`)
//!   and what it cannot finish
//!   (`who_does_not_finish_in_time_is_stopped_and_its_message_is_given_back`), and
//!   does not wait for what is not its own any more
//!   (`a_channel_that_is_lost_while_its_consumer_stops_ends_it`).
//! - The inbox gets the id, the key, the headers and the attempt of a message
//!   (`an_arrival_has_what_was_published_and_how_often_it_came`).
//!
//! # Cost
//!
//! A message is an acknowledgement of its own, in the client's next write; the
//! server does not confirm it. A timer is made and dropped for each handler, and
//! one for each wait. A channel is opened with four round trips, five where the
//! queue is verified.
//!
//! # When not to use it
//!
//! - Without an inbox, if the work is not the same when done twice.
//! - With messages that have no `message-id`, unless the inbox goes by something
//!   else: RabbitMQ gives them none.
//! - If a message must be handled in the order of the queue: several are in hand,
//!   and what fails comes again before or behind others. Number the messages of a
//!   key ([`Message::ordered`](axiomatic_coordination::outbox::Message::ordered))
//!   and take them [in order](axiomatic_coordination::inbox::Inbox::in_order). One
//!   that comes ahead of its turn is wanted again, and each time spends a
//!   delivery: that takes a queue without a limit, or the policy that keeps it.
//! - With work that takes longer than the server waits, half an hour unless
//!   configured: write it down, acknowledge, and do it from there.
//! - With streams, which keep what was acknowledged.
//! - With a quorum queue that is made as it is needed. A RabbitMQ 3.10 that was
//!   killed within a second of making one came back with an empty queue,
//!   from which nobody could consume; what it had confirmed was lost.
//!
//! # Choosing parameters
//!
//! - **In hand**: what the database can do at once, and what may be held beside
//!   that.
//! - **The delivery limit**: what failures should have, and once more for each
//!   crash and each deployment that a message may live through; with dead
//!   letters, and somebody who looks at them. Below the inbox's own starts,
//!   quarantine is never reached.
//! - **[`handle_within`](Config::handle_within)**: as long as anything of it can
//!   still succeed, and with [what is held](Config::hold_at_most) less than
//!   [the server waits](Config::consumer_timeout).

mod answer;
mod arrival;
mod config;
mod consumer;
mod error;
mod handling;
mod queue;
mod session;
mod snapshot;
mod telemetry;

pub use answer::Answer;
pub use arrival::Arrival;
pub use config::{Config, ConfigError};
pub use consumer::{Consumer, ConsumerHandle};
pub use error::ConsumeError;
pub use queue::{DeadLetters, DeliveryLimit, Queue};
pub use snapshot::Snapshot;
