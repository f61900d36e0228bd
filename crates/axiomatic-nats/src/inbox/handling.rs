//! One message: its handler, the time in which it is ours, and the answer.

use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use async_nats::{Client, Request};
use axiomatic_core::backoff::{Backoff, Session};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{Fuse, FusedFuture};
use tokio::time::{Instant, sleep, timeout};

use super::answer::{Acknowledge, Answer};
use super::arrival::Arrival;
use super::config::Config;
use super::snapshot::Counts;
use crate::telemetry;

/// What handling a message needs to know.
pub(super) struct Handling<'a> {
    pub(super) client: &'a Client,
    pub(super) config: &'a Config,
    /// For how long a message is ours without a word.
    pub(super) hold: Duration,
    pub(super) counts: &'a Counts,
}

/// How a handler ended.
enum End<E> {
    Answered(Result<Answer, E>),
    /// It took too long.
    Overdue,
    /// Nobody knows whether its message is ours still.
    Lost,
}

impl Handling<'_> {
    /// Has a message handled, and tells the server what became of it.
    pub(super) async fn handle<H, F, E>(&self, message: Message, handler: &H)
    where
        H: Fn(Arrival) -> F,
        F: Future<Output = Result<Answer, E>>,
        E: Display,
    {
        let arrival = Arrival::of(&message);
        let failures = arrival.failures();
        let sequence = arrival.sequence();
        let name = self.config.name;
        self.counts.change(|counts| {
            counts.received += 1;
            counts.redelivered += u64::from(failures > 0);
        });
        let again = || wait(self.config.backoff, failures);
        let kind = match self.watch(&message, handler(arrival)).await {
            End::Answered(Ok(Answer::Acknowledge)) => AckKind::Ack,
            End::Answered(Ok(Answer::Terminate)) => {
                self.counts.change(|counts| counts.terminated += 1);
                AckKind::Term
            }
            End::Answered(Ok(Answer::Again(after))) => {
                self.counts.change(|counts| counts.again += 1);
                AckKind::Nak(Some(after))
            }
            End::Answered(Err(error)) => {
                self.counts.change(|counts| counts.failed += 1);
                telemetry::failed(name, sequence, error);
                AckKind::Nak(Some(again()))
            }
            End::Overdue => {
                self.counts.change(|counts| counts.overdue += 1);
                telemetry::stopped(name, sequence, "overdue");
                AckKind::Nak(Some(again()))
            }
            // It comes again by itself, or has come to another already.
            End::Lost => {
                self.counts.change(|counts| counts.lost += 1);
                telemetry::stopped(name, sequence, "lost");
                return;
            }
        };
        let is_done = matches!(kind, AckKind::Ack);
        let answered = self.answer(&message, kind).await;
        self.counts.change(|counts| match answered {
            true if is_done => counts.acknowledged += 1,
            true => {}
            false => counts.unanswered += 1,
        });
    }

    /// Gives a message back that nobody handles.
    pub(super) async fn give_back(&self, message: Message) {
        let _ = self.answer(&message, AckKind::Nak(None)).await;
        self.counts.change(|counts| counts.given_back += 1);
    }

    /// Runs a handler for as long as its message is ours and it may take.
    async fn watch<E>(
        &self,
        message: &Message,
        handling: impl Future<Output = Result<Answer, E>>,
    ) -> End<E> {
        let third = self.hold / 3;
        let mut handling = pin!(handling);
        let mut overdue = pin!(sleep(self.config.handle_within));
        let mut lost = pin!(sleep(self.hold));
        let mut word = pin!(sleep(third));
        let mut prolonging = pin!(Fuse::terminated());
        loop {
            tokio::select! {
                biased;
                answer = &mut handling => return End::Answered(answer),
                () = &mut overdue => return End::Overdue,
                // Before the time itself: of a process that was stopped for a
                // while, both are ready.
                prolonged = &mut prolonging => if let Some(from) = prolonged {
                    self.counts.change(|counts| counts.prolonged += 1);
                    lost.as_mut().reset(from + self.hold);
                },
                () = &mut lost => return End::Lost,
                () = &mut word => {
                    let now = word.deadline();
                    word.as_mut().reset(now + third);
                    if prolonging.is_terminated() {
                        prolonging.set(self.prolong(message, now).fuse());
                    }
                }
            }
        }
    }

    /// Says that a message is being handled still. Returns from when on it is
    /// ours again, if the server has heard it.
    async fn prolong(&self, message: &Message, now: Instant) -> Option<Instant> {
        let heard = self
            .request(message, AckKind::Progress, self.hold / 3)
            .await;
        heard.then_some(now)
    }

    /// Says what becomes of a message, and returns whether that is known to
    /// have been said.
    async fn answer(&self, message: &Message, kind: AckKind) -> bool {
        match (self.config.acknowledge, kind) {
            (Acknowledge::Confirmed, AckKind::Ack) => self.request(message, kind, self.hold).await,
            // Where the client waits for a connection, it waits for long.
            _ => matches!(timeout(self.hold, message.ack_with(kind)).await, Ok(Ok(()))),
        }
    }

    /// Tells the server something of a message, and waits until it has heard.
    async fn request(&self, message: &Message, kind: AckKind, within: Duration) -> bool {
        let Some(reply) = &message.reply else {
            return false;
        };
        let request = Request::new()
            .payload(Bytes::from(kind))
            .timeout(Some(within));
        let answer = self.client.send_request(reply.clone(), request);
        matches!(timeout(within, answer).await, Ok(Ok(_)))
    }
}

/// The wait after so many failures and one more.
fn wait(backoff: Backoff, failures: u32) -> Duration {
    // A walk that remembers its last step has to be walked; after 64 steps
    // every sensible one is at its longest.
    let mut session = Session::new();
    for _ in 0..failures.min(64) {
        backoff.wait(&mut session, None);
    }
    backoff.wait(&mut session, None)
}
