//! What a producer hands to the outbox.

use bytes::Bytes;

use super::cloud_event::CloudEvent;
use super::lane::Lane;
use super::trace::TraceContext;
use crate::MessageId;

/// A message as its producer writes it.
///
/// ```
/// use axiomatic_coordination::outbox::Message;
///
/// let placed = Message::new("orders", r#"{"order":17}"#)
///     .keyed("order-17")
///     .with_header("content-type", "application/json");
/// assert_eq!(placed.topic(), "orders");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    id: MessageId,
    topic: Box<str>,
    key: Option<Box<str>>,
    tenant: Option<Box<str>>,
    body: Bytes,
    headers: Vec<(Box<str>, Box<str>)>,
    trace: Option<TraceContext>,
    ordered: bool,
}

impl Message {
    /// A message for a topic, with an id of its own and no key: it waits for
    /// no other, and no other for it.
    pub fn new(topic: impl Into<Box<str>>, body: impl Into<Bytes>) -> Self {
        Self::identified(MessageId::unique(), topic, body)
    }

    /// A message with an id that its producer chose, or that a store has kept:
    /// the same id again is the same message to every inbox.
    pub fn identified(id: MessageId, topic: impl Into<Box<str>>, body: impl Into<Bytes>) -> Self {
        Message {
            id,
            topic: topic.into(),
            key: None,
            tenant: None,
            body: body.into(),
            headers: Vec::new(),
            trace: None,
            ordered: false,
        }
    }

    /// With another id.
    #[must_use]
    pub fn with_id(mut self, id: MessageId) -> Self {
        self.id = id;
        self
    }

    /// Of a key: the messages of one are published one after the other, in
    /// the order of their rows. That is the order of the commits if those who
    /// write for the key take turns, because they lock the row of what the key
    /// names before they enqueue, or by [`ordered`](Self::ordered).
    #[must_use]
    pub fn keyed(mut self, key: impl Into<Box<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The store makes those who write for this key take turns, from the
    /// enqueueing to the end of the transaction, and numbers the key's
    /// messages, so that consumers can tell what is missing
    /// ([`Sequence`](super::Sequence)). Without a key it changes nothing.
    #[must_use]
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// Of a tenant: equal keys of two tenants are two keys.
    #[must_use]
    pub fn of_tenant(mut self, tenant: impl Into<Box<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// With one more header. Names beginning with `outbox-` are the relay's.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Part of a trace: what the consumer does is linked to what the producer
    /// did. The trace is that of whoever asks for the transaction, so it is
    /// taken there, and not in a closure that another thread executes.
    #[must_use]
    pub fn traced(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// An event as CloudEvents 1.0 has it: its attributes become headers.
    #[must_use]
    pub fn event(mut self, event: &CloudEvent) -> Self {
        self.headers.extend(event.headers(self.id));
        self
    }

    /// Its id.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Where it goes.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// What it is in order with.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whose it is.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// What it says.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The producer's headers.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The trace it is part of.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// Whether the writers of its key take turns. Never without a key.
    pub fn is_ordered(&self) -> bool {
        self.ordered && self.key.is_some()
    }

    /// The lane of its key, or its own.
    pub fn lane(&self) -> Lane {
        match &self.key {
            Some(key) => Lane::of_key(self.tenant(), key),
            None => Lane::of_message(self.id),
        }
    }

    /// Its headers as stores keep them: a JSON array of pairs, or nothing if
    /// there are none.
    pub fn headers_to_json(&self) -> Option<String> {
        if self.headers.is_empty() {
            return None;
        }
        Some(serde_json::Value::from_iter(self.headers().map(|(n, v)| vec![n, v])).to_string())
    }

    /// With the headers that a store has kept.
    ///
    /// # Errors
    ///
    /// If it is not what [`headers_to_json`](Self::headers_to_json) writes.
    pub fn with_headers_from_json(mut self, json: &str) -> Result<Self, serde_json::Error> {
        let pairs: Vec<(String, String)> = serde_json::from_str(json)?;
        let pairs = pairs.into_iter().map(|(n, v)| (n.into(), v.into()));
        self.headers = pairs.collect();
        Ok(self)
    }
}
