//! The consumer: pulls messages, and has them handled.

use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use async_nats::Subject;
use async_nats::connection::State;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::jetstream::context::{ConsumerInfoError, ConsumerInfoErrorKind};
use async_nats::jetstream::{Context, ErrorCode, Message};
use async_nats::{StatusCode, Subscriber};
use axiomatic_core::BoxError;
use futures::FutureExt;
use futures::future::{Either, Fuse, FusedFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{sleep, timeout};

use super::answer::Answer;
use super::arrival::Arrival;
use super::config::{Config, ConfigError};
use super::handling::Handling;
use super::snapshot::{Counts, Snapshot};
use crate::telemetry;

/// How long the server keeps a question for messages while it has none.
const ASKED_FOR: Duration = Duration::from_secs(5);

/// How much longer its answer may take.
const LATE: Duration = Duration::from_secs(1);

/// How long to wait after the server said something else.
const PAUSE: Duration = Duration::from_millis(250);

/// Pulls messages from a stream, and has each handled; [the module](super) says
/// how.
#[derive(Debug)]
pub struct Consumer {
    context: Context,
    pull: PullConsumer,
    config: Config,
    hold: Duration,
    counts: Counts,
}

impl Consumer {
    /// A consumer of what this pull consumer delivers.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot work so.
    pub fn new(context: Context, pull: PullConsumer, config: Config) -> Result<Self, ConfigError> {
        let (config, hold) = config.checked(pull.cached_info())?;
        let counts = Counts::new(config.name);
        Ok(Consumer {
            context,
            pull,
            config,
            hold,
            counts,
        })
    }

    /// What tells, from outside, what the consumer has done.
    pub fn handle(&self) -> ConsumerHandle {
        ConsumerHandle(self.counts.clone())
    }

    /// Runs until `shutdown` is ready, then asks for no more and waits for what
    /// is in hand.
    ///
    /// The handler gets each message, and answers once it has committed. That
    /// it is dropped in the middle, which happens when it takes too long, has
    /// to leave nothing done by half: what it does is a transaction, and
    /// [`Inbox`](axiomatic_coordination::inbox::Inbox) has its methods for it.
    ///
    /// A handler that panics ends the consumer, and its message comes again: the
    /// inbox's attempts are what ends that.
    ///
    /// Dropped before it is ready, this stops at once: what was in hand comes
    /// again when the server has waited long enough.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`] if the consumer is not there on the server. All else it
    /// waits out.
    pub async fn run<H, F, E>(
        self,
        handler: H,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Snapshot, ConsumeError>
    where
        H: Fn(Arrival) -> F,
        F: Future<Output = Result<Answer, E>>,
        E: fmt::Display,
    {
        let client = self.context.client();
        let inbox = client.new_inbox();
        let subscribed = client.subscribe(format!("{inbox}.*")).await;
        let subscriber = subscribed.map_err(|error| ConsumeError::NotSubscribed(error.into()))?;
        let handling = Handling {
            client: &client,
            config: &self.config,
            hold: self.hold,
            counts: &self.counts,
        };
        self.consume(&handling, &handler, subscriber, &inbox, shutdown)
            .await?;
        Ok(self.counts.snapshot())
    }

    async fn consume<H, F, E>(
        &self,
        handling: &Handling<'_>,
        handler: &H,
        mut subscriber: Subscriber,
        inbox: &str,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ConsumeError>
    where
        H: Fn(Arrival) -> F,
        F: Future<Output = Result<Answer, E>>,
        E: fmt::Display,
    {
        let mut shutdown = pin!(shutdown.fuse());
        let mut in_hand = FuturesUnordered::new();
        let mut asking = pin!(Fuse::terminated());
        let mut looking = pin!(Fuse::terminated());
        let mut timer = pin!(sleep(Duration::ZERO));
        let mut pulling = Pulling::Not;
        let mut question = 0_u64;
        loop {
            let held = in_hand.len();
            self.counts.change(|counts| counts.in_hand = held as u64);
            if pulling == Pulling::Stopped && in_hand.is_empty() {
                return Ok(());
            }
            let room = self.room(held);
            if pulling == Pulling::Not && asking.is_terminated() && room > 0 {
                question += 1;
                pulling = Pulling::Asked { left: room };
                asking.set(self.ask(room, format!("{inbox}.{question}").into()).fuse());
                timer.set(sleep(self.asked_for() + LATE));
            }
            tokio::select! {
                () = &mut shutdown, if pulling != Pulling::Stopped => {
                    pulling = Pulling::Stopped;
                    timer.set(sleep(self.config.drain));
                    asking.set(Fuse::terminated());
                    // What the server sent before it heard of this is here
                    // now, or comes again by itself.
                    let _ = timeout(LATE, subscriber.unsubscribe()).await;
                    while let Some(Some(message)) = subscriber.next().now_or_never() {
                        if message.status.is_none() {
                            let message = self.of_jetstream(message);
                            in_hand.push(Either::Right(handling.give_back(message)));
                        }
                    }
                }
                Some(()) = in_hand.next(), if !in_hand.is_empty() => {}
                message = subscriber.next(), if pulling != Pulling::Stopped => {
                    let Some(message) = message else {
                        return Err(ConsumeError::Closed);
                    };
                    let Some(status) = message.status else {
                        pulling = pulling.after_one();
                        let message = self.of_jetstream(message);
                        in_hand.push(if held < self.config.in_hand {
                            Either::Left(handling.handle(message, handler))
                        } else {
                            Either::Right(handling.give_back(message))
                        });
                        continue;
                    };
                    if message.subject.rsplit('.').next() != Some(&*question.to_string()) {
                        continue;
                    }
                    let said = message.description.unwrap_or_default();
                    match Said::by(status, &said) {
                        Said::NoMore => pulling = Pulling::Not,
                        Said::StillThere => {}
                        Said::Deleted => return Err(ConsumeError::Deleted),
                        said_other => {
                            telemetry::nothing_given(self.config.name, &said);
                            if said_other == Said::Nobody && looking.is_terminated() {
                                looking.set(self.look().fuse());
                            }
                            pulling = Pulling::Pausing;
                            timer.set(sleep(PAUSE));
                        }
                    }
                }
                asked = &mut asking => if !asked && pulling != Pulling::Stopped {
                    pulling = Pulling::Pausing;
                    timer.set(sleep(PAUSE));
                },
                is_there = &mut looking => is_there?,
                () = &mut timer, if pulling != Pulling::Not => {
                    if pulling == Pulling::Stopped {
                        return Ok(());
                    }
                    // A question without an answer: the server has forgotten
                    // it, as it does when it is started anew, or there is no
                    // such consumer, to which it says nothing either.
                    if pulling != Pulling::Pausing && looking.is_terminated() {
                        looking.set(self.look().fuse());
                    }
                    pulling = Pulling::Not;
                }
            }
        }
    }

    /// How many messages to ask for. While there is little room, none: one
    /// question brings many.
    fn room(&self, in_hand: usize) -> usize {
        let most = self.config.in_hand;
        let room = most.saturating_sub(in_hand);
        if room < (most / 4).max(1) {
            return 0;
        }
        match usize::try_from(self.pull.cached_info().config.max_batch) {
            Ok(limit @ 1..) => room.min(limit),
            _ => room,
        }
    }

    /// Asks for messages. Returns whether that was sent: a client that is not
    /// connected would keep the question, and all that come after it.
    async fn ask(&self, messages: usize, reply: Subject) -> bool {
        if self.context.client().connection_state() != State::Connected {
            return false;
        }
        let batch = BatchConfig {
            batch: messages,
            expires: Some(self.asked_for()),
            ..BatchConfig::default()
        };
        self.pull.request_batch(batch, reply).await.is_ok()
    }

    /// How long the server keeps a question of this consumer.
    fn asked_for(&self) -> Duration {
        let longest = self.pull.cached_info().config.max_expires;
        if longest.is_zero() {
            ASKED_FOR
        } else {
            ASKED_FOR.min(longest)
        }
    }

    /// Whether the consumer is there on the server, as far as that is known.
    async fn look(&self) -> Result<(), ConsumeError> {
        match self.pull.get_info().await {
            Err(error) if is_not_found(&error) => Err(ConsumeError::Deleted),
            _ => Ok(()),
        }
    }

    fn of_jetstream(&self, message: async_nats::Message) -> Message {
        Message {
            message,
            context: self.context.clone(),
        }
    }
}

fn is_not_found(error: &ConsumerInfoError) -> bool {
    match error.kind() {
        ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound => true,
        ConsumerInfoErrorKind::JetStream(error) => matches!(
            error.error_code(),
            ErrorCode::CONSUMER_NOT_FOUND | ErrorCode::STREAM_NOT_FOUND
        ),
        _ => false,
    }
}

/// Whether messages were asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Pulling {
    Not,
    /// So many may come.
    Asked {
        left: usize,
    },
    /// Something went wrong, and it is not tried again at once.
    Pausing,
    /// The consumer is to stop.
    Stopped,
}

impl Pulling {
    /// One of them has come.
    fn after_one(self) -> Self {
        match self {
            Pulling::Asked { left: 0 | 1 } => Pulling::Not,
            Pulling::Asked { left } => Pulling::Asked { left: left - 1 },
            other => other,
        }
    }
}

/// What the server says instead of a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Said {
    /// The question has been here for long enough.
    NoMore,
    /// Only that it is there.
    StillThere,
    /// There is nobody to ask.
    Nobody,
    /// The consumer was deleted.
    Deleted,
    /// Something else that will pass.
    Otherwise,
}

impl Said {
    fn by(status: StatusCode, said: &str) -> Self {
        match status {
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => Said::NoMore,
            StatusCode::IDLE_HEARTBEAT => Said::StillThere,
            StatusCode::NO_RESPONDERS => Said::Nobody,
            _ if said.eq_ignore_ascii_case("consumer deleted") => Said::Deleted,
            _ => Said::Otherwise,
        }
    }
}

/// What tells what a [`Consumer`] has done.
#[derive(Clone, Debug)]
pub struct ConsumerHandle(Counts);

impl ConsumerHandle {
    /// What the consumer has done so far.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
}

/// Why a consumer stopped by itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumeError {
    /// It could not subscribe to what it is answered.
    NotSubscribed(BoxError),
    /// It is not there on the server, or its stream is not.
    Deleted,
    /// The client was closed.
    Closed,
}

impl fmt::Display for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConsumeError::NotSubscribed(error) => write!(f, "no subscription: {error}"),
            ConsumeError::Deleted => f.write_str("the consumer is not there on the server"),
            ConsumeError::Closed => f.write_str("the client was closed"),
        }
    }
}

impl Error for ConsumeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConsumeError::NotSubscribed(error) => Some(&**error),
            ConsumeError::Deleted | ConsumeError::Closed => None,
        }
    }
}
