//! The consumer: connects, and has messages handled.

use std::fmt::Display;
use std::pin::{Pin, pin};
use std::time::Duration;

use axiomatic_core::backoff::Session as Waits;
use futures::FutureExt;
use futures::future::Either;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::answer::Answer;
use super::arrival::Arrival;
use super::config::{Config, ConfigError};
use super::error::ConsumeError;
use super::handling::{Handling, Word};
use super::queue::{DeadLetters, Kind, Queue};
use super::session::{Loss, Refusal, Session};
use super::snapshot::{Counts, Snapshot};
use super::telemetry;
use crate::Server;
use crate::connection::Link;

/// A channel that was there for so long is no sign of trouble when it is lost.
const STEADY: Duration = Duration::from_secs(10);

/// How long what is given back at the end may take to be sent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Consumes a queue, and has each message handled; [the module](super) says
/// how.
#[derive(Debug)]
pub struct Consumer {
    server: Server,
    queue: Queue,
    config: Config,
    counts: Counts,
}

/// Why a session is over.
enum Over {
    /// The consumer was to stop.
    Stopped,
    Lost(Loss),
}

impl Consumer {
    /// A consumer of this queue.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot work so.
    pub fn new(server: Server, queue: Queue, config: Config) -> Result<Self, ConfigError> {
        let server = server.checked().map_err(ConfigError::Server)?;
        let config = config.checked(&queue)?;
        let counts = Counts::new(config.name);
        Ok(Consumer {
            server,
            queue,
            config,
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
    /// it is dropped in the middle, which happens when it takes too long or the
    /// connection is lost, has to leave nothing done by half: what it does is a
    /// transaction, and [`Inbox`](axiomatic_coordination::inbox::Inbox) has its
    /// methods for it.
    ///
    /// A handler that panics ends the consumer, and its message comes again: the
    /// inbox's attempts are what ends that.
    ///
    /// Dropped before it is ready, this stops at once, and the server gives what
    /// was in hand to others.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`] if the queue is not there, or is not as was said, or if
    /// this user may not consume it from the beginning. All else it waits out,
    /// a server that is not there among it.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub async fn run<H, F, E>(
        self,
        handler: H,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Snapshot, ConsumeError>
    where
        H: Fn(Arrival) -> F,
        F: Future<Output = Result<Answer, E>>,
        E: Display,
    {
        let mut shutdown = pin!(shutdown.fuse());
        let mut waits = Waits::new();
        self.caveats();
        let link = Link::start(self.server.clone());
        loop {
            let opening = Session::open(&link, &self.queue, self.config.in_hand);
            let opened = tokio::select! {
                () = &mut shutdown => return Ok(self.counts.snapshot()),
                opened = opening => opened,
            };
            let why = match opened {
                Ok(session) => {
                    self.counts.change(|counts| counts.opened += 1);
                    telemetry::consuming(self.config.name, self.queue.name());
                    let begun = Instant::now();
                    let why = match self.consume(session, &handler, shutdown.as_mut()).await {
                        Over::Stopped => return Ok(self.counts.snapshot()),
                        Over::Lost(Loss::Failed(error)) => error.to_string(),
                        Over::Lost(Loss::Cancelled) => "cancelled by the server".to_owned(),
                    };
                    // One that is lost as soon as it is there is waited for as
                    // one that could not be had.
                    if begun.elapsed() > STEADY {
                        waits = Waits::new();
                    }
                    why
                }
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Refused(error)) if self.counts.snapshot().opened == 0 => {
                    return Err(ConsumeError::Refused(error));
                }
                Err(Refusal::Refused(error)) => error.to_string(),
                Err(Refusal::Passing(why)) => why,
            };
            self.counts.change(|counts| counts.interrupted += 1);
            telemetry::interrupted(self.config.name, self.queue.name(), why);
            let wait = self.config.reopen.wait(&mut waits, None);
            tokio::select! {
                () = &mut shutdown => return Ok(self.counts.snapshot()),
                () = sleep(wait) => {}
            }
        }
    }

    /// Consumes on one channel, until it is lost or the consumer is to stop.
    /// Nothing that was delivered on it is in hand afterwards.
    async fn consume<H, F, E>(
        &self,
        mut session: Session,
        handler: &H,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> Over
    where
        H: Fn(Arrival) -> F,
        F: Future<Output = Result<Answer, E>>,
        E: Display,
    {
        let (say, word) = watch::channel(Word::GoOn);
        let handling = Handling {
            config: &self.config,
            queue: &self.queue,
            counts: &self.counts,
            word,
        };
        let handling = &handling;
        let mut in_hand = FuturesUnordered::new();
        let over = loop {
            self.count(in_hand.len());
            tokio::select! {
                () = &mut shutdown => break Over::Stopped,
                Some(()) = in_hand.next(), if !in_hand.is_empty() => {}
                next = session.next() => match next {
                    Ok(message) => in_hand.push(Either::Left(handling.handle(message, handler))),
                    Err(loss) => break Over::Lost(loss),
                },
            }
        };
        if let Over::Stopped = over {
            // While it is being cancelled the handlers go on.
            let rest = {
                let mut cancelling = pin!(session.cancel());
                loop {
                    tokio::select! {
                        rest = &mut cancelling => break rest,
                        Some(()) = in_hand.next(), if !in_hand.is_empty() => {}
                    }
                }
            };
            for message in rest {
                in_hand.push(Either::Right(handling.give_back(message)));
            }
            say.send_replace(Word::Hurry);
            let mut lost = pin!(session.lost());
            let mut drained = pin!(sleep(self.config.drain));
            while !in_hand.is_empty() {
                self.count(in_hand.len());
                tokio::select! {
                    Some(()) = in_hand.next() => {}
                    () = &mut lost => break,
                    () = &mut drained => {
                        say.send_replace(Word::GiveBack);
                        break;
                    }
                }
            }
        }
        if *say.borrow() == Word::GiveBack {
            let all = async { while in_hand.next().await.is_some() {} };
            let _ = timeout(PATIENCE, all).await;
        }
        say.send_replace(Word::Lost);
        while in_hand.next().await.is_some() {}
        self.count(0);
        if let Over::Stopped = over {
            session.close().await;
        }
        over
    }

    fn count(&self, in_hand: usize) {
        self.counts.change(|counts| counts.in_hand = in_hand as u64);
    }

    /// Says what of the queue an operator should know.
    fn caveats(&self) {
        let caveat = |caveat| telemetry::caveat(self.config.name, self.queue.name(), caveat);
        match (self.queue.kind, &self.queue.dead_letters) {
            (Kind::Unstated, _) => caveat("nothing is known of the queue, nor of its limit"),
            (_, None | Some(DeadLetters::Dropped)) => {
                caveat("what is given up is dropped: the queue has no dead letters");
            }
            (_, Some(DeadLetters::Exchange(_) | DeadLetters::ByPolicy)) => {}
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
