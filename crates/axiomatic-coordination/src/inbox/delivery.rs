//! What a broker delivers.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use serde_json::{Value, json};

use super::id::Id;
use crate::outbox::{Envelope, Epoch, Sequence};

/// A message as a consumer gets it from a broker.
///
/// ```
/// use axiomatic_coordination::inbox::Delivery;
///
/// let delivery = Delivery::new(r#"{"order":17}"#)
///     .with_broker_id("0e5c")
///     .keyed("order-17")
///     .with_header("outbox-sequence", "8")
///     .attempted(2);
/// assert!(delivery.may_be_a_repeat());
/// assert_eq!(delivery.sequence()?.map(|sequence| sequence.number), Some(8));
/// # Ok::<_, axiomatic_coordination::inbox::MalformedHeader>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    broker_id: Option<Box<str>>,
    source: Box<str>,
    tenant: Option<Box<str>>,
    key: Option<Box<str>>,
    headers: Vec<(Box<str>, Box<str>)>,
    body: Bytes,
    attempt: Option<NonZeroU32>,
}

impl Delivery {
    /// A delivery of which nothing is known but its body.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Delivery {
            broker_id: None,
            source: "".into(),
            tenant: None,
            key: None,
            headers: Vec::new(),
            body: body.into(),
            attempt: None,
        }
    }

    /// With the id that the broker has for it.
    #[must_use]
    pub fn with_broker_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.broker_id = Some(id.into());
        self
    }

    /// From this source: the outbox that numbered it. Two outboxes have one
    /// key without having one order.
    #[must_use]
    pub fn from_source(mut self, source: impl Into<Box<str>>) -> Self {
        self.source = source.into();
        self
    }

    /// Of a tenant: equal keys of two tenants are two keys.
    #[must_use]
    pub fn of_tenant(mut self, tenant: impl Into<Box<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Of a key.
    #[must_use]
    pub fn keyed(mut self, key: impl Into<Box<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The broker delivers it for the so-manieth time, the first being 1. Zero
    /// is taken for one.
    #[must_use]
    pub fn attempted(mut self, attempt: u32) -> Self {
        self.attempt = Some(NonZeroU32::new(attempt).unwrap_or(NonZeroU32::MIN));
        self
    }

    /// The id that the broker has for it.
    pub fn broker_id(&self) -> Option<&str> {
        self.broker_id.as_deref()
    }

    /// The outbox that numbered it; empty unless it was said.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whose it is: as was said, or as the header of our outbox has it.
    pub fn tenant(&self) -> Option<&str> {
        let said = self.tenant.as_deref();
        said.or_else(|| self.header(Envelope::TENANT))
    }

    /// What it is in order with.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The value of a header: of the last, if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers().rev();
        Some(headers.find(|(other, _)| *other == name)?.1)
    }

    /// All headers.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + DoubleEndedIterator {
        self.headers.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What it says.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// For which time the broker delivers it, if the broker says so.
    pub fn attempt(&self) -> Option<NonZeroU32> {
        self.attempt
    }

    /// Whether a process may have had it before: not if the broker says that
    /// this is the first time. A broker that says nothing is taken to repeat.
    pub fn may_be_a_repeat(&self) -> bool {
        self.attempt.is_none_or(|attempt| attempt.get() > 1)
    }

    /// Its number among those of its key, if an outbox gave it one.
    ///
    /// # Errors
    ///
    /// [`MalformedHeader`] if there is a header, and no number in it.
    pub fn sequence(&self) -> Result<Option<Sequence>, MalformedHeader> {
        let Some(number) = self.number(Envelope::SEQUENCE)? else {
            return Ok(None);
        };
        let first = self.header(Envelope::FIRST) == Some("1");
        Ok(Some(Sequence { number, first }))
    }

    /// Under which epoch of a relay's lease it was published, if it was.
    ///
    /// # Errors
    ///
    /// [`MalformedHeader`] if there is a header, and no number in it.
    pub fn epoch(&self) -> Result<Option<Epoch>, MalformedHeader> {
        Ok(self.number(Envelope::EPOCH)?.map(Epoch))
    }

    /// A number that databases can store too, which have signed ones; and no
    /// sequence begins at zero.
    fn number(&self, name: &'static str) -> Result<Option<u64>, MalformedHeader> {
        let Some(text) = self.header(name) else {
            return Ok(None);
        };
        match text.parse::<u64>() {
            Ok(number @ 1..=GREATEST) => Ok(Some(number)),
            _ => Err(MalformedHeader { name }),
        }
    }

    /// All but its body, as stores keep it: a JSON object.
    pub fn to_stored(&self) -> String {
        json!({
            "broker_id": self.broker_id,
            "source": self.source,
            "tenant": self.tenant,
            "key": self.key,
            "headers": self.headers,
            "attempt": self.attempt,
        })
        .to_string()
    }

    /// From what a store has kept.
    ///
    /// # Errors
    ///
    /// If it is not what [`to_stored`](Self::to_stored) writes.
    pub fn from_stored(stored: &str, body: impl Into<Bytes>) -> Result<Self, serde_json::Error> {
        let mut stored: Value = serde_json::from_str(stored)?;
        let mut part = |name: &str| stored.get_mut(name).map(Value::take).unwrap_or_default();
        let text = |value| serde_json::from_value::<Option<String>>(value);
        let headers: Vec<(String, String)> = serde_json::from_value(part("headers"))?;
        let headers = headers.into_iter().map(|(n, v)| (n.into(), v.into()));
        let attempt: Option<u32> = serde_json::from_value(part("attempt"))?;
        Ok(Delivery {
            broker_id: text(part("broker_id"))?.map(Into::into),
            source: text(part("source"))?.unwrap_or_default().into(),
            tenant: text(part("tenant"))?.map(Into::into),
            key: text(part("key"))?.map(Into::into),
            headers: headers.collect(),
            body: body.into(),
            attempt: attempt.and_then(NonZeroU32::new),
        })
    }
}

impl From<&Envelope> for Delivery {
    /// As it arrives where nothing stands between: a first attempt, its
    /// message's id as the broker's.
    fn from(envelope: &Envelope) -> Self {
        let headers = envelope.headers();
        let headers = headers.map(|(name, value)| (name.into(), value.into()));
        Delivery {
            broker_id: Some(envelope.id().to_string().into()),
            source: "".into(),
            tenant: envelope.tenant().map(Into::into),
            key: envelope.key().map(Into::into),
            headers: headers.collect(),
            body: envelope.body().clone(),
            attempt: Some(NonZeroU32::MIN),
        }
    }
}

/// The greatest number that databases can store.
const GREATEST: u64 = i64::MAX as u64;

/// Which message is meant: that of a delivery, by the inbox's rule, or that
/// of an id.
#[derive(Copy, Clone, Debug)]
pub enum Which<'a> {
    /// The message that was delivered.
    Delivery(&'a Delivery),
    /// The message of this id. Nothing is known of its attempts.
    Id(&'a Id),
}

impl<'a> From<&'a Delivery> for Which<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Which::Delivery(delivery)
    }
}

impl<'a> From<&'a Id> for Which<'a> {
    fn from(id: &'a Id) -> Self {
        Which::Id(id)
    }
}

/// A header of the outbox has a value that the outbox does not write.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MalformedHeader {
    /// The header's name.
    pub name: &'static str,
}

impl fmt::Display for MalformedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the header `{}` has no number of an outbox", self.name)
    }
}

impl Error for MalformedHeader {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{Message, RowId, Stored};
    use crate::{MessageId, Timestamp};

    fn envelope() -> Envelope {
        let message = Message::new("orders", "body")
            .with_id(MessageId::from_u128(7))
            .keyed("order-17")
            .of_tenant("acme")
            .with_header("a", "\"ü\"");
        let stored = Stored {
            row: RowId(1),
            lane: message.lane(),
            sequence: Some(Sequence {
                number: 8,
                first: true,
            }),
            failures: 0,
            started: 0,
            enqueued_at: Timestamp::default(),
            message,
        };
        Envelope::new(stored, Epoch(3))
    }

    #[test]
    fn what_an_outbox_publishes_is_read_as_it_was_written() {
        let delivery = Delivery::from(&envelope());
        let sequence = delivery.sequence().unwrap().unwrap();
        assert_eq!((sequence.number, sequence.first), (8, true));
        assert_eq!(delivery.epoch(), Ok(Some(Epoch(3))));
        assert_eq!(delivery.tenant(), Some("acme"));
        assert!(!delivery.may_be_a_repeat());
    }

    #[test]
    fn what_is_stored_is_read_as_it_was() {
        let delivery = Delivery::from(&envelope()).from_source("shop").attempted(4);
        for delivery in [delivery, Delivery::new("bare")] {
            let body = delivery.body().clone();
            let read = Delivery::from_stored(&delivery.to_stored(), body);
            assert_eq!(read.unwrap(), delivery);
        }
    }

    #[test]
    fn a_number_that_no_outbox_writes_is_an_error_and_not_none() {
        assert_eq!(Delivery::new("").sequence(), Ok(None));
        for value in ["", "0", "-1", "1.5", "x", "9223372036854775808"] {
            let delivery = Delivery::new("").with_header(Envelope::SEQUENCE, value);
            assert!(delivery.sequence().is_err(), "{value}");
        }
    }
}
