//! Publishers that stay in the process.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use super::publisher::{Class, Publisher, Verdict};
use super::record::Envelope;

/// Publishes to a subscriber in the same process, who confirms each message:
/// for programs of one process, and for tests of their handlers.
///
/// At most `waiting` messages wait for the subscriber; publishing more waits.
///
/// ```
/// use axiomatic_coordination::outbox::in_process;
///
/// let (publisher, mut subscriber) = in_process(16);
/// # async fn handles(subscriber: &mut axiomatic_coordination::outbox::Subscriber) {
/// while let Some(delivery) = subscriber.next().await {
///     println!("{}", delivery.envelope().topic());
///     delivery.ack();
/// }
/// # }
/// ```
pub fn in_process(waiting: usize) -> (InProcess, Subscriber) {
    let (send, receive) = mpsc::channel(waiting.max(1));
    (InProcess(send), Subscriber(receive))
}

/// Publishes to a [`Subscriber`].
#[derive(Clone, Debug)]
pub struct InProcess(mpsc::Sender<Delivery>);

impl Publisher for InProcess {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        let mut answers = Vec::with_capacity(messages.len());
        for envelope in messages {
            let (answer, answered) = oneshot::channel();
            let delivery = Delivery {
                envelope: envelope.clone(),
                answer,
            };
            let sent = self.0.send(delivery).await;
            answers.push(sent.is_ok().then_some(answered));
        }
        let mut verdicts = Vec::with_capacity(answers.len());
        for answer in answers {
            verdicts.push(match answer {
                // Whoever had it dropped it: it may have been handled.
                Some(answered) => answered.await.unwrap_or(Verdict::Unknown),
                None => Verdict::rejected(Class::Transient, "the subscriber is gone"),
            });
        }
        verdicts
    }
}

/// Gets what an [`InProcess`] publishes.
#[derive(Debug)]
pub struct Subscriber(mpsc::Receiver<Delivery>);

impl Subscriber {
    /// The next message; nothing once there is nobody left who could publish.
    /// Can be dropped while it waits: then nothing was received.
    pub async fn next(&mut self) -> Option<Delivery> {
        self.0.recv().await
    }
}

/// A message that waits for its confirmation. Dropped without one, nobody
/// knows what became of it, and it is delivered again.
#[derive(Debug)]
pub struct Delivery {
    envelope: Envelope,
    answer: oneshot::Sender<Verdict>,
}

impl Delivery {
    /// The message.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// It is handled.
    pub fn ack(self) {
        self.answer(Verdict::Acked);
    }

    /// What became of it. A relay that has gone away does not hear it.
    pub fn answer(self, verdict: Verdict) {
        let _ = self.answer.send(verdict);
    }
}

/// A publisher that is a function: for tests, benches, and brokers whose
/// client does not wait.
///
/// ```
/// use axiomatic_coordination::outbox::{Verdict, publish_with};
///
/// let null = publish_with(|messages| vec![Verdict::Acked; messages.len()]);
/// ```
pub fn publish_with<F>(publish: F) -> PublishWith<F>
where
    F: Fn(&[Envelope]) -> Vec<Verdict> + Send + Sync,
{
    PublishWith(publish)
}

/// What [`publish_with`] makes of a function.
#[derive(Clone)]
pub struct PublishWith<F>(F);

impl<F: Fn(&[Envelope]) -> Vec<Verdict> + Send + Sync> Publisher for PublishWith<F> {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        (self.0)(messages)
    }
}

impl<F> fmt::Debug for PublishWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublishWith")
    }
}
