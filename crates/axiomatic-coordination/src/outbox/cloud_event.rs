//! CloudEvents 1.0: the attributes of an event.

use crate::MessageId;

/// The attributes of an event that its producer chooses; its id is that of
/// the message, and what stands in the body is its data (CloudEvents 1.0.2,
/// binary mode).
///
/// ```
/// use axiomatic_coordination::outbox::{CloudEvent, Message};
///
/// let placed = CloudEvent::new("/shop", "shop.order.placed").about("order-17");
/// let message = Message::new("orders", r#"{"order":17}"#).event(&placed);
/// assert!(message.headers().any(|header| header == ("ce-type", "shop.order.placed")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent {
    source: Box<str>,
    kind: Box<str>,
    subject: Option<Box<str>>,
    time: Option<Box<str>>,
    schema: Option<Box<str>>,
}

impl CloudEvent {
    /// An event of a `type`, from a `source`: both not empty, the source a
    /// URI reference.
    pub fn new(source: impl Into<Box<str>>, kind: impl Into<Box<str>>) -> Self {
        CloudEvent {
            source: source.into(),
            kind: kind.into(),
            subject: None,
            time: None,
            schema: None,
        }
    }

    /// With a `subject`.
    #[must_use]
    pub fn about(mut self, subject: impl Into<Box<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// With a `time`, as RFC 3339 writes it.
    #[must_use]
    pub fn at(mut self, time: impl Into<Box<str>>) -> Self {
        self.time = Some(time.into());
        self
    }

    /// With a `dataschema`, a URI.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<Box<str>>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// As headers, named as HTTP and NATS name them: other brokers' publishers
    /// change `ce-` for the prefix of theirs.
    pub(super) fn headers(&self, id: MessageId) -> Vec<(Box<str>, Box<str>)> {
        let optional = [
            ("ce-subject", &self.subject),
            ("ce-time", &self.time),
            ("ce-dataschema", &self.schema),
        ];
        let required = [
            ("ce-specversion", "1.0".into()),
            ("ce-id", id.to_string().into()),
            ("ce-source", self.source.clone()),
            ("ce-type", self.kind.clone()),
        ];
        let given = optional.map(|(name, value)| Some((name, value.clone()?)));
        let all = required.into_iter().chain(given.into_iter().flatten());
        all.map(|(name, value)| (name.into(), value)).collect()
    }
}
