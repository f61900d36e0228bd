//! The inbox's consumer on NATS JetStream: a message is acknowledged after its
//! transaction has committed, and is handled only for as long as it is ours.
//!
//! # The problem
//!
//! JetStream delivers a message again when it is not acknowledged in time, 30
//! seconds unless configured. Whoever acknowledges before the commit loses
//! messages. Whoever takes longer than that has the message handled twice at
//! the same time, and his late acknowledgement is accepted all the same. And
//! whoever fetches a hundred messages and handles them one after the other has
//! spent the time of the last on the first ninety-nine.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_coordination::inbox::{Config as Inboxing, IdRule};
//! use axiomatic_coordination::{Memory, StoreError};
//! use axiomatic_nats::async_nats;
//! use axiomatic_nats::inbox::{Answer, Arrival, Config, Consumer};
//! use std::time::Duration;
//!
//! # async fn run(shutdown: impl Future<Output = ()>) -> Result<(), async_nats::Error> {
//! let context = async_nats::jetstream::new(async_nats::connect("nats://127.0.0.1").await?);
//! let stream = context.get_stream("SHOP").await?;
//! let pull = stream.get_consumer("bank").await?;
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
//! let consumer = Consumer::new(context, pull, Config::new().in_hand(16))?;
//! let ran = consumer.run(handle, shutdown).await?;
//! println!("{ran}");
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! | the handler | then |
//! |---|---|
//! | answers [`Answer::Acknowledge`] | the message is acknowledged |
//! | answers [`Answer::Again`], as for [a message that comes ahead](axiomatic_coordination::inbox::Fate::Rejected) | it comes again after so long |
//! | answers [`Answer::Terminate`] | it never comes again |
//! | fails | it comes again after [a wait](Config::backoff) that grows with its deliveries |
//! | takes longer than [it may](Config::handle_within) | it is dropped, and the message comes again in the same way |
//! | runs while the server does not hear that it does | it is dropped before the message can come to another; it comes again by itself |
//!
//! At each third of the consumer's `ack_wait` the server is told that the message
//! is being handled, and has to answer: from then on it is ours for another
//! `ack_wait`, and only then. An acknowledgement that is lost is harmless: the
//! message comes again, and the inbox knows it.
//!
//! Messages are asked for as there is room for them, when a quarter of the hands
//! are free, so that none waits here while its time runs. All handlers run in
//! the task that runs the consumer; what takes a processor belongs elsewhere.
//! For more than one consumer, run several: they share the messages.
//!
//! # Guarantees
//!
//! - Each message is handled, and acknowledged after its handler
//!   (`each_message_is_handled_once_and_then_acknowledged`). One whose consumer
//!   dies between the commit and the acknowledgement comes again, and has its
//!   effect once (`a_consumer_that_dies_between_its_commit_and_the_acknowledgement_repeats_nothing`);
//!   so has one whose acknowledgement is lost
//!   (`an_acknowledgement_that_the_server_forgot_is_harmless`), and one that the
//!   stream has twice (`a_message_that_the_stream_has_twice_has_its_effect_once`).
//! - A message whose handler takes long does not come again
//!   (`a_message_whose_handler_takes_long_does_not_come_again`). A handler that
//!   takes too long is stopped
//!   (`a_handler_that_takes_too_long_is_stopped_and_its_message_comes_again`),
//!   and so is one whose message may be another's
//!   (`a_handler_whose_message_may_be_anothers_is_stopped`).
//! - What fails comes again, and what is given up does not
//!   (`what_fails_or_is_wanted_again_comes_again_and_what_is_given_up_does_not`).
//!   What ends its consumers goes to quarantine
//!   (`a_message_that_ends_its_consumers_goes_to_quarantine_and_is_acknowledged`).
//! - No more are in hand than configured, and as many if there are
//!   (`no_more_are_in_hand_than_configured_and_as_many_if_there_are`).
//! - A consumer that is to stop finishes what it has
//!   (`a_consumer_that_is_to_stop_finishes_what_it_has_in_hand`), and does not
//!   wait for ever (`who_does_not_finish_in_time_is_not_waited_for`).
//! - With [`Acknowledge::Confirmed`] the server knows of what is counted as
//!   acknowledged (`what_is_confirmed_is_known_to_the_server_when_it_counts`).
//! - It goes on when its server is back (`a_consumer_goes_on_when_its_server_is_back`),
//!   and stops if it was deleted (`a_consumer_that_is_deleted_stops_and_says_so`).
//! - The inbox gets the id, the key, the headers and the attempt of a message
//!   (`an_arrival_has_what_was_published_and_how_often_it_came`).
//! - A consumer that does not want its messages acknowledged one by one is
//!   refused (`a_consumer_that_cannot_work_is_refused`).
//!
//! # Cost
//!
//! A message is an acknowledgement, in the client's next write; with
//! [`Acknowledge::Confirmed`] it is a round trip. A handler that is done in a
//! third of the `ack_wait` sends nothing else; three timers are made and
//! dropped. After a server was started anew up to six seconds pass until the
//! consumer asks again.
//!
//! # When not to use it
//!
//! - Without an inbox, if the work is not the same when done twice.
//! - If a message must be handled in the order of the stream: several are in
//!   hand, and what fails comes again behind others. Number the messages of a
//!   key ([`Message::ordered`](axiomatic_coordination::outbox::Message::ordered))
//!   and take them [in order](axiomatic_coordination::inbox::Inbox::in_order).
//! - With a consumer whose `max_deliver` is limited: what was delivered so often
//!   is not delivered again, and nobody is told but who listens to advisories.
//!   Let the inbox's quarantine end what never succeeds.
//!
//! # Choosing parameters
//!
//! - **`ack_wait`** (of the consumer, on the server): how long it is missed when
//!   it dies, and three times what a round trip takes when all is slow. It need
//!   not be as long as the work.
//! - **In hand**: what the database can do at once, and no more than the
//!   consumer's `max_ack_pending`.
//! - **[`handle_within`](Config::handle_within)**: as long as anything of it can
//!   still succeed.

mod answer;
mod arrival;
mod config;
mod consumer;
mod handling;
mod snapshot;

pub use answer::{Acknowledge, Answer};
pub use arrival::Arrival;
pub use config::{Config, ConfigError};
pub use consumer::{ConsumeError, Consumer, ConsumerHandle};
pub use snapshot::Snapshot;
