//! The queue that is consumed from, as its user knows it.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// After how many failed deliveries a quorum queue gives a message up.
///
/// With a limit of 2 a message is delivered three times. What comes back from
/// the third goes to the queue's dead letters, and is **dropped where there are
/// none**: nobody is told.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum DeliveryLimit {
    /// The queue was declared with this `x-delivery-limit`, which is verified.
    Argument(u32),
    /// A policy sets it, or the server does: 20 from RabbitMQ 4.0 on, where
    /// nothing else is said. A client cannot see either, so this is believed.
    Elsewhere(u32),
    /// There is none, as in RabbitMQ 3 where nothing else is said. That the
    /// queue was declared without one is verified; that no policy sets one is
    /// believed.
    ///
    /// For a queue of RabbitMQ 4 there is
    /// [`with_argument`](Queue::with_argument): an `x-delivery-limit` of -1.
    Unlimited,
}

/// Where the messages go that a queue gives up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetters {
    /// The queue was declared with this `x-dead-letter-exchange`, which is
    /// verified. That the exchange leads anywhere is not.
    Exchange(Box<str>),
    /// A policy sets one. A client cannot see that, so this is believed.
    ByPolicy,
    /// They are dropped, and that is meant.
    Dropped,
}

/// The queue that is consumed from: its name, and what its user knows of it.
///
/// What is said here is what the queue was declared with. Each time it connects
/// a consumer declares the queue in the same way, which a server refuses if it
/// is another; it makes none that is not there. That takes the permission to
/// configure the queue.
///
/// ```
/// use axiomatic_amqp::inbox::{DeadLetters, DeliveryLimit, Queue};
///
/// let payments = Queue::quorum("payments", DeliveryLimit::Argument(8))
///     .dead_letters(DeadLetters::Exchange("payments.failed".into()));
/// assert_eq!(payments.delivery_limit(), Some(8));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    pub(super) name: ShortString,
    pub(super) kind: Kind,
    pub(super) dead_letters: Option<DeadLetters>,
    arguments: FieldTable,
    is_durable: bool,
}

/// Which kind of queue.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its user does not say.
    Unstated,
    Classic,
    Quorum(DeliveryLimit),
}

impl Queue {
    /// A queue of which its user says nothing: that it is there is all that is
    /// verified. How many deliveries are left to a message is not known.
    pub fn named(name: impl AsRef<str>) -> Self {
        Queue::of(name.as_ref(), Kind::Unstated)
    }

    /// A classic queue, which is durable. It delivers a message for ever, and
    /// says no more of it than that it may have been delivered before.
    pub fn classic(name: impl AsRef<str>) -> Self {
        Queue::of(name.as_ref(), Kind::Classic)
    }

    /// A quorum queue, which counts how often it has delivered a message.
    pub fn quorum(name: impl AsRef<str>, limit: DeliveryLimit) -> Self {
        Queue::of(name.as_ref(), Kind::Quorum(limit))
    }

    fn of(name: &str, kind: Kind) -> Self {
        Queue {
            name: name.into(),
            kind,
            dead_letters: None,
            arguments: FieldTable::default(),
            is_durable: true,
        }
    }

    /// Where the messages go that it gives up. Without a word of that, a quorum
    /// queue with a limit is refused.
    #[must_use]
    pub fn dead_letters(mut self, dead_letters: DeadLetters) -> Self {
        self.dead_letters = Some(dead_letters);
        self
    }

    /// One more argument that the queue was declared with, such as
    /// `x-max-length`. All of them have to be said, or it is taken for another.
    #[must_use]
    pub fn with_argument(mut self, name: &str, value: AMQPValue) -> Self {
        self.arguments.insert(name.into(), value);
        self
    }

    /// A classic queue that ends with its server.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.is_durable = false;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Its delivery limit, if it has one that is known.
    pub fn delivery_limit(&self) -> Option<u32> {
        match self.kind {
            Kind::Quorum(DeliveryLimit::Argument(limit) | DeliveryLimit::Elsewhere(limit)) => {
                Some(limit)
            }
            Kind::Quorum(DeliveryLimit::Unlimited) | Kind::Classic | Kind::Unstated => None,
        }
    }

    /// How it was declared, if its user says so.
    pub(super) fn declaration(&self) -> Option<(QueueDeclareOptions, FieldTable)> {
        let mut arguments = self.arguments.clone();
        let mut set = |name: &str, value| {
            arguments.insert(name.into(), value);
        };
        match self.kind {
            Kind::Unstated => return None,
            // The same as none to a server, and refused if it is another.
            Kind::Classic => set("x-queue-type", text("classic")),
            Kind::Quorum(limit) => {
                set("x-queue-type", text("quorum"));
                if let DeliveryLimit::Argument(limit) = limit {
                    set("x-delivery-limit", AMQPValue::LongLongInt(limit.into()));
                }
            }
        }
        if let Some(DeadLetters::Exchange(exchange)) = &self.dead_letters {
            set("x-dead-letter-exchange", text(exchange));
        }
        let options = QueueDeclareOptions {
            durable: self.is_durable,
            ..QueueDeclareOptions::default()
        };
        Some((options, arguments))
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
