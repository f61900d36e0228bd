//! What an outbox wants of the exchanges and queues behind it.

use std::fmt;

use lapin::ExchangeKind;
use lapin::types::{AMQPValue, FieldTable};

use super::route::Route;

/// What has to be there before anything is published. AMQP does not tell what
/// a queue is like; it tells whether it is like this.
///
/// ```
/// use axiomatic_amqp::lapin::ExchangeKind;
/// use axiomatic_amqp::outbox::{Queue, Requirements, Route};
///
/// let requirements = Requirements::new()
///     .exchange("shop", ExchangeKind::Topic)
///     .queue(
///         Queue::quorum("orders")
///             .bound(Route::new("shop", "orders.#"))
///             .delivery_limit(20)
///             .dead_letters(Route::new("", "orders.dead")),
///     );
/// # let _ = requirements;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    pub(super) exchanges: Vec<(Box<str>, ExchangeKind)>,
    pub(super) queues: Vec<Queue>,
    losses: Losses,
}

/// Whether a queue will do that loses what it has confirmed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Losses {
    /// No: it is [unfit](Unfit).
    #[default]
    Refuse,
    /// Yes, since what is published may be lost.
    Allow,
}

impl Requirements {
    /// Nothing is required yet.
    pub fn new() -> Self {
        Requirements::default()
    }

    /// This exchange has to be there. Whether it is of this kind, and durable,
    /// is looked at too.
    #[must_use]
    pub fn exchange(mut self, name: impl Into<Box<str>>, kind: ExchangeKind) -> Self {
        self.exchanges.push((name.into(), kind));
        self
    }

    /// This queue has to be there, and be like that.
    #[must_use]
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queues.push(queue);
        self
    }

    /// Whether queues will do that lose what they have confirmed.
    #[must_use]
    pub fn losses(mut self, losses: Losses) -> Self {
        self.losses = losses;
        self
    }

    /// What is wrong with a queue, and what one should know of it.
    pub(super) fn judge(&self, queue: &Queue) -> (Vec<Unfit>, Vec<Caveat>) {
        let mut unfit = Vec::new();
        let mut caveats = Vec::new();
        match queue.kind {
            Kind::Quorum => {}
            Kind::Classic => unfit.push(Unfit::Classic),
        }
        match (queue.longest, queue.when_full) {
            (Some(_), WhenFull::DropHead) => unfit.push(Unfit::DropsHead),
            (Some(_), WhenFull::RejectPublish) => caveats.push(Caveat::RefusesWhenFull),
            (None, _) => {}
        }
        if queue.kind == Kind::Quorum && queue.delivery_limit.is_none() {
            caveats.push(Caveat::NoDeliveryLimit);
        }
        if queue.delivery_limit.is_some() && queue.dead_letters.is_none() {
            caveats.push(Caveat::DropsWhatIsDeliveredTooOften);
        }
        if self.losses == Losses::Allow {
            unfit.clear();
        }
        (unfit, caveats)
    }
}

/// A durable queue, with all that it was declared with.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) name: Box<str>,
    pub(super) bindings: Vec<Route>,
    kind: Kind,
    replicas: Option<u32>,
    delivery_limit: Option<u32>,
    longest: Option<u32>,
    when_full: WhenFull,
    dead_letters: Option<Route>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Quorum,
    Classic,
}

/// What a queue does with a message when it is full.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It takes it, and drops its oldest (`drop-head`, which is the server's
    /// default). Nobody is told.
    DropHead,
    /// It refuses it (`reject-publish`), and the outbox keeps it.
    #[default]
    RejectPublish,
}

impl Queue {
    /// A quorum queue: what it has confirmed is on the disks of a majority of
    /// its servers.
    pub fn quorum(name: impl Into<Box<str>>) -> Self {
        Queue {
            name: name.into(),
            bindings: Vec::new(),
            kind: Kind::Quorum,
            replicas: None,
            delivery_limit: None,
            longest: None,
            when_full: WhenFull::default(),
            dead_letters: None,
        }
    }

    /// A classic queue, on one server.
    pub fn classic(name: impl Into<Box<str>>) -> Self {
        Queue {
            kind: Kind::Classic,
            ..Queue::quorum(name)
        }
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bound to an exchange, with this key.
    /// [`ensure`](super::RabbitMq::ensure) does that; nobody can ask whether it
    /// is so, and a message for which it is not is
    /// [`Unroutable`](axiomatic_coordination::outbox::Class::Unroutable).
    #[must_use]
    pub fn bound(mut self, to: Route) -> Self {
        self.bindings.push(to);
        self
    }

    /// On so many servers when it is made (`x-quorum-initial-group-size`).
    #[must_use]
    pub fn replicas(mut self, servers: u32) -> Self {
        self.replicas = Some(servers);
        self
    }

    /// How often a message is delivered again at most (`x-delivery-limit`).
    #[must_use]
    pub fn delivery_limit(mut self, times: u32) -> Self {
        self.delivery_limit = Some(times);
        self
    }

    /// How many messages it has at most (`x-max-length`), and what it does
    /// then.
    #[must_use]
    pub fn at_most(mut self, messages: u32, when_full: WhenFull) -> Self {
        self.longest = Some(messages);
        self.when_full = when_full;
        self
    }

    /// Where messages go that were delivered too often, or refused for good
    /// (`x-dead-letter-exchange`, `x-dead-letter-routing-key`).
    #[must_use]
    pub fn dead_letters(mut self, to: Route) -> Self {
        self.dead_letters = Some(to);
        self
    }

    pub(super) fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        let mut text = |name: &str, value: &str| {
            arguments.insert(name.into(), AMQPValue::LongString(value.into()));
        };
        match self.kind {
            Kind::Quorum => text("x-queue-type", "quorum"),
            Kind::Classic => text("x-queue-type", "classic"),
        }
        if let Some(to) = &self.dead_letters {
            text("x-dead-letter-exchange", to.exchange());
            text("x-dead-letter-routing-key", to.key());
        }
        if self.longest.is_some() {
            match self.when_full {
                WhenFull::DropHead => text("x-overflow", "drop-head"),
                WhenFull::RejectPublish => text("x-overflow", "reject-publish"),
            }
        }
        let mut number = |name: &str, value: Option<u32>| {
            if let Some(value) = value {
                arguments.insert(name.into(), AMQPValue::LongLongInt(value.into()));
            }
        };
        number("x-max-length", self.longest);
        number("x-delivery-limit", self.delivery_limit);
        number("x-quorum-initial-group-size", self.replicas);
        arguments
    }
}

/// Why a queue will not do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// It is on one server: with its disk, or while it is away, so is what it
    /// has confirmed.
    Classic,
    /// Full, it drops its oldest message, which it had confirmed.
    DropsHead,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unfit::Classic => "it is a classic queue",
            Unfit::DropsHead => "full, it drops its oldest message",
        })
    }
}

/// What one should know of a queue that an outbox publishes to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caveat {
    /// Full, it refuses messages, and the outbox keeps them.
    RefusesWhenFull,
    /// A message that ends its consumers is delivered again and again, unless a
    /// policy or the server's version has a limit.
    NoDeliveryLimit,
    /// It drops a message that was delivered too often, since it has no place
    /// for dead letters.
    DropsWhatIsDeliveredTooOften,
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Caveat::RefusesWhenFull => "full, it refuses messages",
            Caveat::NoDeliveryLimit => "it delivers a message again without a limit",
            Caveat::DropsWhatIsDeliveredTooOften => "it drops what was delivered too often",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_to_refuse_a_queue_and_all_one_should_know_of_it_is_said() {
        let judged = |queue: Queue| Requirements::new().judge(&queue);
        let nowhere = Route::new("", "dead");
        let fit = Queue::quorum("q").delivery_limit(5).dead_letters(nowhere);
        assert_eq!(judged(fit.clone()), (vec![], vec![]));
        let full = fit.clone().at_most(1, WhenFull::RejectPublish);
        assert_eq!(judged(full), (vec![], vec![Caveat::RefusesWhenFull]));
        let lossy = fit.at_most(1, WhenFull::DropHead);
        assert_eq!(judged(lossy.clone()), (vec![Unfit::DropsHead], vec![]));
        let allowed = Requirements::new().losses(Losses::Allow);
        assert_eq!(allowed.judge(&lossy), (vec![], vec![]));
        assert_eq!(judged(Queue::classic("q")), (vec![Unfit::Classic], vec![]));
        let endless = judged(Queue::quorum("q"));
        assert_eq!(endless, (vec![], vec![Caveat::NoDeliveryLimit]));
        let dropping = judged(Queue::quorum("q").delivery_limit(5));
        let caveat = Caveat::DropsWhatIsDeliveredTooOften;
        assert_eq!(dropping, (vec![], vec![caveat]));
    }
}
