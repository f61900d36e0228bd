//! Publishers: a verdict for each message, and what was acked is there.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;

use crate::outbox::message::Message;
use crate::outbox::publisher::{Publisher, Verdict};
use crate::outbox::record::{Envelope, Epoch, RowId, Sequence, Stored};
use crate::outbox::{CloudEvent, TraceContext};
use crate::{MessageId, Timestamp};

/// How a test makes a publisher, and what it can see of the broker.
pub trait PublisherSubject: Sync {
    /// The publisher.
    type Publisher: Publisher;

    /// One whose broker has nothing yet, for messages to this topic.
    fn fresh(&self) -> impl Future<Output = (Self::Publisher, Box<str>)> + Send;

    /// What a consumer of the broker receives, duplicates included, once
    /// there are at least `count` different messages of the topic.
    fn received(
        &self,
        publisher: &Self::Publisher,
        count: usize,
    ) -> impl Future<Output = Vec<Received>> + Send;
}

/// A message as a consumer gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The id of the message.
    pub id: MessageId,
    /// Its key.
    pub key: Option<Box<str>>,
    /// What it says.
    pub body: Bytes,
    /// Its headers.
    pub headers: HashMap<Box<str>, Box<str>>,
}

/// Holds a publisher to what [`Publisher`] says.
///
/// # Panics
///
/// If it does not do it.
pub async fn publishes<S: PublisherSubject>(subject: &S) {
    nothing_is_answered_with_nothing(subject).await;
    what_is_acked_is_there_as_it_was_written(subject).await;
    what_is_published_again_is_as_good_as_confirmed(subject).await;
    what_is_dropped_half_way_can_be_published_again(subject).await;
}

fn envelope(topic: &str, n: u128) -> Envelope {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let message = Message::new(topic, format!("body {n}"))
        .with_id(MessageId::from_u128(
            0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100 + n,
        ))
        .keyed(format!("key {n}"))
        .of_tenant("tenant")
        .with_header("content-type", "text/plain")
        .event(&CloudEvent::new("/source", "type"))
        .traced(TraceContext::parse(parent).expect("a traceparent"));
    let stored = Stored {
        row: RowId(n as i64),
        lane: message.lane(),
        sequence: Some(Sequence {
            number: 17,
            first: true,
        }),
        failures: 0,
        started: 0,
        enqueued_at: Timestamp::default(),
        message,
    };
    Envelope::new(stored, Epoch(7))
}

fn envelopes(topic: &str, count: u128) -> Vec<Envelope> {
    (0..count).map(|n| envelope(topic, n)).collect()
}

fn is_confirmed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Acked | Verdict::Duplicate)
}

async fn nothing_is_answered_with_nothing<S: PublisherSubject>(subject: &S) {
    let (publisher, _) = subject.fresh().await;
    assert_eq!(publisher.publish(&[]).await, []);
}

async fn what_is_acked_is_there_as_it_was_written<S: PublisherSubject>(subject: &S) {
    let (publisher, topic) = subject.fresh().await;
    let sent = envelopes(&topic, 100);
    let verdicts = publisher.publish(&sent).await;
    assert_eq!(
        verdicts,
        vec![Verdict::Acked; sent.len()],
        "one verdict for each"
    );
    let received = subject.received(&publisher, sent.len()).await;
    for envelope in &sent {
        let found = received
            .iter()
            .find(|received| received.id == envelope.id());
        let found = found.expect("what is acked is there, by its id");
        assert_eq!(found.body, *envelope.body());
        assert_eq!(found.key.as_deref(), envelope.key());
        for (name, value) in envelope.headers() {
            let there = found.headers.get(name).map(|value| &**value);
            assert_eq!(there, Some(&*value), "the header {name}");
        }
    }
}

async fn what_is_published_again_is_as_good_as_confirmed<S: PublisherSubject>(subject: &S) {
    let (publisher, topic) = subject.fresh().await;
    let sent = envelopes(&topic, 3);
    for _ in 0..2 {
        let verdicts = publisher.publish(&sent).await;
        assert_eq!(verdicts.len(), 3);
        assert!(verdicts.iter().all(is_confirmed), "{verdicts:?}");
    }
}

async fn what_is_dropped_half_way_can_be_published_again<S: PublisherSubject>(subject: &S) {
    let (publisher, topic) = subject.fresh().await;
    let sent = envelopes(&topic, 5);
    for polls in 0..4 {
        let mut publishing = pin!(publisher.publish(&sent));
        let mut left = polls;
        // Polled so often and dropped: as a relay does that is dropped.
        poll_fn(|context| {
            if left == 0 || publishing.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            left -= 1;
            Poll::Pending
        })
        .await;
    }
    let verdicts = publisher.publish(&sent).await;
    assert!(verdicts.iter().all(is_confirmed), "{verdicts:?}");
    let received = subject.received(&publisher, sent.len()).await;
    for envelope in &sent {
        assert!(received.iter().any(|received| received.id == envelope.id()));
    }
}
