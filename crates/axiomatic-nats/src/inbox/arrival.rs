//! A message as JetStream delivers it.

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::Message;
use axiomatic_coordination::inbox::Delivery;

use crate::outbox::KEY;

/// A message that a consumer has in hand: what an inbox goes by, and where it
/// came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    delivery: Delivery,
    subject: Box<str>,
    stream: Box<str>,
    sequence: u64,
}

impl Arrival {
    /// A message of a pull consumer.
    ///
    /// Its broker's id is the header `Nats-Msg-Id`, which the publisher of our
    /// outbox sets; for one without, the stream's name and its number there,
    /// which only knows this message again if the stream delivers it twice, and
    /// not if it was published twice. Its attempt is how often the stream has
    /// delivered it.
    pub fn of(message: &Message) -> Self {
        let info = message.info().ok();
        let info = info.as_ref();
        let stream = info.map_or("", |info| info.stream);
        let sequence = info.map_or(0, |info| info.stream_sequence);
        let mut delivery = Delivery::new(message.payload.clone());
        let mut has_id = false;
        if let Some(headers) = &message.headers {
            for (name, values) in headers.iter() {
                let name: &str = name.as_ref();
                let Some(last) = values.last() else { continue };
                if name == AsRef::<str>::as_ref(&NATS_MESSAGE_ID) {
                    delivery = delivery.with_broker_id(last.as_str());
                    has_id = true;
                } else if name == KEY {
                    delivery = delivery.keyed(last.as_str());
                } else {
                    for value in values {
                        delivery = delivery.with_header(name, value.as_str());
                    }
                }
            }
        }
        if !has_id && info.is_some() {
            delivery = delivery.with_broker_id(format!("{stream}:{sequence}"));
        }
        if let Some(info) = info {
            let attempt = u32::try_from(info.delivered).unwrap_or(u32::MAX);
            delivery = delivery.attempted(attempt);
        }
        Arrival {
            delivery,
            subject: message.subject.as_str().into(),
            stream: stream.into(),
            sequence,
        }
    }

    /// What an inbox goes by.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The same, for whoever keeps it.
    pub fn into_delivery(self) -> Delivery {
        self.delivery
    }

    /// Under which subject it was published.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The stream that it is in.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Its number there.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How often it was delivered before.
    pub(super) fn failures(&self) -> u32 {
        let attempt = self.delivery.attempt();
        attempt.map_or(0, |attempt| attempt.get() - 1)
    }
}
