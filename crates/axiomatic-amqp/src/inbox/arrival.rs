//! A message as RabbitMQ delivers it.

use std::mem::take;
use std::num::NonZeroU32;

use axiomatic_coordination::inbox::Delivery;
use lapin::message::Delivery as Delivered;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::queue::Queue;
use crate::outbox::KEY;

/// How often a quorum queue has delivered a message in vain.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// How often it has delivered it at all, from RabbitMQ 4.3 on.
const ACQUIRED_COUNT: &str = "x-acquired-count";

/// A message that a consumer has in hand: what an inbox goes by, where it came
/// from, and how often it can still come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    delivery: Delivery,
    queue: ShortString,
    exchange: ShortString,
    routing_key: ShortString,
    limit: Option<u32>,
    failures: u32,
}

impl Arrival {
    /// A message of a queue, whose body is taken.
    ///
    /// Its broker's id is its property `message-id`, which the publisher of our
    /// outbox sets; one without has none, since RabbitMQ gives it none that
    /// would be the same the next time. Headers are those that are text, numbers
    /// or a truth value, and the property `content-type`.
    ///
    /// Its attempt is one more than a quorum queue has counted. A classic queue
    /// does not count: what it marks as redelivered is taken for the second
    /// attempt, however often it came.
    pub fn of(message: &mut Delivered, queue: &Queue) -> Self {
        let properties = &message.properties;
        let mut delivery = Delivery::new(take(&mut message.data));
        if let Some(id) = properties.message_id() {
            delivery = delivery.with_broker_id(id.as_str());
        }
        if let Some(content_type) = properties.content_type() {
            delivery = delivery.with_header("content-type", content_type.as_str());
        }
        let headers = properties.headers().as_ref();
        for (name, value) in headers.into_iter().flat_map(FieldTable::inner) {
            let Some(value) = text(value) else { continue };
            delivery = match name.as_str() {
                KEY => delivery.keyed(value),
                name => delivery.with_header(name, value),
            };
        }
        let count = |name| headers.and_then(|headers| number(headers.inner().get(name)?));
        let failures = count(DELIVERY_COUNT).unwrap_or(0);
        let deliveries = failures.max(count(ACQUIRED_COUNT).unwrap_or(0));
        let deliveries = deliveries.max(u32::from(message.redelivered));
        Arrival {
            delivery: delivery.attempted(deliveries.saturating_add(1)),
            queue: queue.name.clone(),
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
            limit: queue.delivery_limit(),
            failures,
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

    /// The queue that it is in.
    pub fn queue(&self) -> &str {
        self.queue.as_str()
    }

    /// To which exchange it was published; empty for the default one.
    pub fn exchange(&self) -> &str {
        self.exchange.as_str()
    }

    /// With which routing key it was published.
    pub fn routing_key(&self) -> &str {
        self.routing_key.as_str()
    }

    /// How often it came, this time included, as far as the queue counts that.
    pub fn deliveries(&self) -> u32 {
        self.delivery.attempt().map_or(1, NonZeroU32::get)
    }

    /// How often it can come again when it fails: after that the queue moves it
    /// to its dead letters, or drops it. Nothing if it has no limit, or none
    /// that [is known](Queue::delivery_limit).
    pub fn deliveries_left(&self) -> Option<u32> {
        let limit = self.limit?;
        Some(limit.saturating_sub(self.failures))
    }

    /// Whether this is the last time: it is not seen here again if it fails.
    pub fn is_last(&self) -> bool {
        self.deliveries_left() == Some(0)
    }

    /// How often it was delivered before.
    pub(super) fn before(&self) -> u32 {
        self.deliveries() - 1
    }
}

/// What a header says, if it is something that has one way of being written.
fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok()?.to_owned(),
        AMQPValue::ShortString(value) => value.as_str().to_owned(),
        AMQPValue::Boolean(value) => value.to_string(),
        other => integer(other)?.to_string(),
    })
}

fn integer(value: &AMQPValue) -> Option<i128> {
    Some(match *value {
        AMQPValue::ShortShortInt(value) => value.into(),
        AMQPValue::ShortShortUInt(value) => value.into(),
        AMQPValue::ShortInt(value) => value.into(),
        AMQPValue::ShortUInt(value) => value.into(),
        AMQPValue::LongInt(value) => value.into(),
        AMQPValue::LongUInt(value) => value.into(),
        AMQPValue::LongLongInt(value) => value.into(),
        AMQPValue::Timestamp(value) => value.into(),
        _ => return None,
    })
}

/// A count; the greatest there is for a greater one.
fn number(value: &AMQPValue) -> Option<u32> {
    let value = integer(value)?.max(0);
    Some(u32::try_from(value).unwrap_or(u32::MAX))
}
