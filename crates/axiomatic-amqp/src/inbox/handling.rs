//! One message: its handler, the time in which it is ours, and the answer.

use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use axiomatic_core::backoff::{Backoff, Session};
use lapin::Acker;
use lapin::message::Delivery as Delivered;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use tokio::sync::watch;
use tokio::time::sleep;

use super::answer::Answer;
use super::arrival::Arrival;
use super::config::Config;
use super::queue::Queue;
use super::snapshot::Counts;
use super::telemetry;

/// What handling the messages of one channel needs to know.
pub(super) struct Handling<'a> {
    pub(super) config: &'a Config,
    pub(super) queue: &'a Queue,
    pub(super) counts: &'a Counts,
    pub(super) word: watch::Receiver<Word>,
}

/// What is said to all that is in hand; each overrules those before it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    GoOn,
    /// The consumer is to stop: nothing is held any more.
    Hurry,
    /// It has waited for long enough: what is not handled is given back.
    GiveBack,
    /// The channel is lost, and all that was delivered on it is another's.
    Lost,
}

/// How a handler ended.
enum End<E> {
    Answered(Result<Answer, E>),
    /// It took too long.
    Overdue,
    /// The consumer does not wait for it.
    GivenBack,
    /// Its message is not ours any more.
    Lost,
}

/// What the server is told of a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    /// It failed. RabbitMQ 4.3 counts a `reject` as a failure, and a `nack` not;
    /// before that, both are one.
    Failed,
    /// It comes again, and did not fail.
    Again,
    Never,
}

impl Handling<'_> {
    /// Has a message handled, and tells the server what became of it.
    pub(super) async fn handle<H, F, E>(&self, mut message: Delivered, handler: &H)
    where
        H: Fn(Arrival) -> F,
        F: Future<Output = Result<Answer, E>>,
        E: Display,
    {
        let arrival = Arrival::of(&mut message, self.queue);
        let before = arrival.before();
        let is_last = arrival.is_last();
        let id: Box<str> = arrival.delivery().broker_id().unwrap_or_default().into();
        let (name, queue) = (self.config.name, self.queue.name());
        self.counts.change(|counts| {
            counts.received += 1;
            counts.redelivered += u64::from(before > 0);
            counts.last_deliveries += u64::from(is_last);
        });
        if is_last {
            telemetry::last_delivery(name, queue, &id, arrival.deliveries());
        }
        let again = || wait(self.config.backoff, before);
        let (verdict, after) = match self.watch(handler(arrival)).await {
            End::Answered(Ok(Answer::Acknowledge)) => (Verdict::Done, Duration::ZERO),
            End::Answered(Ok(Answer::Terminate)) => {
                self.counts.change(|counts| counts.terminated += 1);
                (Verdict::Never, Duration::ZERO)
            }
            End::Answered(Ok(Answer::Again(after))) => {
                self.counts.change(|counts| counts.again += 1);
                (Verdict::Again, after)
            }
            End::Answered(Err(error)) => {
                self.counts.change(|counts| counts.failed += 1);
                telemetry::failed(name, queue, &id, error);
                (Verdict::Failed, again())
            }
            End::Overdue => {
                self.counts.change(|counts| counts.overdue += 1);
                telemetry::stopped(name, queue, &id, "overdue");
                (Verdict::Failed, again())
            }
            End::GivenBack => return self.give_back(message).await,
            End::Lost => {
                self.counts.change(|counts| counts.lost += 1);
                telemetry::stopped(name, queue, &id, "lost");
                return;
            }
        };
        let hold = after.min(self.config.hold_at_most);
        if !hold.is_zero() {
            tokio::select! {
                () = sleep(hold) => {}
                _ = self.heard(Word::Hurry) => {}
            }
        }
        let told = self.tell(&message.acker, verdict).await;
        self.counts.change(|counts| match told {
            true if verdict == Verdict::Done => counts.acknowledged += 1,
            true => {}
            false => counts.unanswered += 1,
        });
    }

    /// Gives a message back that nobody handles.
    pub(super) async fn give_back(&self, message: Delivered) {
        let told = self.tell(&message.acker, Verdict::Again).await;
        self.counts.change(|counts| {
            counts.given_back += 1;
            counts.unanswered += u64::from(!told);
        });
    }

    /// Runs a handler for as long as its message is ours and it may take.
    async fn watch<E>(&self, handling: impl Future<Output = Result<Answer, E>>) -> End<E> {
        let handling = pin!(handling);
        tokio::select! {
            biased;
            // First: whose message is another's does nothing more, also if it
            // could go on.
            word = self.heard(Word::GiveBack) => match word {
                Word::GiveBack => End::GivenBack,
                _ => End::Lost,
            },
            answer = handling => End::Answered(answer),
            () = sleep(self.config.handle_within) => End::Overdue,
        }
    }

    /// Waits until this has been said, or more.
    async fn heard(&self, least: Word) -> Word {
        let mut word = self.word.clone();
        let said = word.wait_for(|word| *word >= least).await;
        // Who says nothing more is gone, and the channel with it.
        said.map_or(Word::Lost, |word| *word)
    }

    /// Tells the server what becomes of a message, and returns whether that is
    /// known to have been said.
    ///
    /// An [`Acker`] belongs to the channel that delivered the message. The tag
    /// alone would be another message's on another channel.
    async fn tell(&self, acker: &Acker, verdict: Verdict) -> bool {
        let requeue = true;
        let telling = async {
            match verdict {
                Verdict::Done => acker.ack(BasicAckOptions { multiple: false }).await,
                Verdict::Failed => acker.reject(BasicRejectOptions { requeue }).await,
                Verdict::Never => acker.reject(BasicRejectOptions { requeue: false }).await,
                Verdict::Again => {
                    let multiple = false;
                    acker.nack(BasicNackOptions { multiple, requeue }).await
                }
            }
        };
        tokio::select! {
            biased;
            told = telling => matches!(told, Ok(true)),
            _ = self.heard(Word::Lost) => false,
        }
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
