//! To which exchange a message is published, and with which routing key.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use axiomatic_coordination::outbox::Message;
use lapin::types::{MAX_SHORT_STRING_LENGTH, ShortString};

/// Where a message is published to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    exchange: Box<str>,
    key: Box<str>,
}

impl Route {
    /// An exchange and a routing key.
    pub fn new(exchange: impl Into<Box<str>>, key: impl Into<Box<str>>) -> Self {
        Route {
            exchange: exchange.into(),
            key: key.into(),
        }
    }

    /// The exchange; the default one has no name.
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The routing key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What AMQP calls a short string: whoever makes one of a longer text is
    /// ended by the client.
    pub(super) fn short(&self) -> (ShortString, ShortString) {
        ((&*self.exchange).into(), (&*self.key).into())
    }
}

/// Where a message is published to.
///
/// ```
/// use axiomatic_amqp::outbox::{Route, Routes};
/// use axiomatic_coordination::outbox::Message;
///
/// let placed = Message::new("orders", "").keyed("17").of_tenant("eu");
/// assert_eq!(Routes::ToQueue.of(&placed)?, Route::new("", "orders"));
/// assert_eq!(Routes::exchange("shop").of(&placed)?, Route::new("shop", "orders"));
///
/// // Consumers can bind the orders of one tenant.
/// let by_tenant = Routes::by(|message| {
///     let tenant = message.tenant().unwrap_or("none");
///     Route::new("shop", format!("{}.{tenant}", message.topic()))
/// });
/// assert_eq!(by_tenant.of(&placed)?.key(), "orders.eu");
/// # Ok::<_, axiomatic_amqp::outbox::RouteError>(())
/// ```
#[derive(Clone, Default)]
pub enum Routes {
    /// To the queue that has the name of its topic, by the default exchange.
    #[default]
    ToQueue,
    /// To this exchange, with its topic as the routing key.
    Exchange(Box<str>),
    /// To where this function says.
    By(Arc<dyn Fn(&Message) -> Route + Send + Sync>),
}

impl Routes {
    /// The longest name of an exchange and the longest routing key, in bytes:
    /// AMQP has no room for more.
    pub const LONGEST: usize = MAX_SHORT_STRING_LENGTH;

    /// To this exchange, with the topic as the routing key.
    pub fn exchange(name: impl Into<Box<str>>) -> Self {
        Routes::Exchange(name.into())
    }

    /// To where a function says of each message.
    pub fn by(route: impl Fn(&Message) -> Route + Send + Sync + 'static) -> Self {
        Routes::By(Arc::new(route))
    }

    /// Where a message is published to.
    ///
    /// # Errors
    ///
    /// [`RouteError`] if nothing can be published there.
    pub fn of(&self, message: &Message) -> Result<Route, RouteError> {
        let route = match self {
            Routes::ToQueue => Route::new("", message.topic()),
            Routes::Exchange(exchange) => Route::new(exchange.clone(), message.topic()),
            Routes::By(route) => route(message),
        };
        match fault(&route) {
            None => Ok(route),
            Some(why) => Err(RouteError { route, why }),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Routes::ToQueue => f.write_str("ToQueue"),
            Routes::Exchange(exchange) => f.debug_tuple("Exchange").field(exchange).finish(),
            Routes::By(_) => f.write_str("By"),
        }
    }
}

/// What is wrong with a route, if anything.
///
/// By the default exchange a topic that a user can choose would reach every
/// queue; those that begin with `amq.` are the server's, and where somebody
/// waits for an answer.
fn fault(route: &Route) -> Option<RouteFault> {
    if route.exchange.len() > Routes::LONGEST {
        return Some(RouteFault::ExchangeTooLong);
    }
    if route.key.len() > Routes::LONGEST {
        return Some(RouteFault::KeyTooLong);
    }
    let is_default = route.exchange.is_empty();
    (is_default && route.key.starts_with("amq.")).then_some(RouteFault::Reserved)
}

/// Nothing can be published there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    route: Route,
    why: RouteFault,
}

impl RouteError {
    /// Where to.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// What is wrong with it.
    pub fn why(&self) -> RouteFault {
        self.why
    }
}

/// What is wrong with a route.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteFault {
    /// The exchange's name has more bytes than [`Routes::LONGEST`].
    ExchangeTooLong,
    /// The routing key has more bytes than [`Routes::LONGEST`].
    KeyTooLong,
    /// The queue belongs to the server.
    Reserved,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Route { exchange, key } = &self.route;
        let longest = Routes::LONGEST;
        match self.why {
            RouteFault::ExchangeTooLong => write!(
                f,
                "an exchange with a name of {} bytes, of at most {longest}",
                exchange.len()
            ),
            RouteFault::KeyTooLong => write!(
                f,
                "a routing key of {} bytes, of at most {longest}",
                key.len()
            ),
            RouteFault::Reserved => write!(f, "the queue {key:?} is the server's own"),
        }
    }
}

impl Error for RouteError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_something_can_be_published_to_is_a_route() {
        let longest = "x".repeat(Routes::LONGEST);
        let longer = "x".repeat(Routes::LONGEST + 1);
        let of = |exchange: &str, key: &str| {
            let route = Route::new(exchange, key);
            Routes::by(move |_| route.clone()).of(&Message::new("t", ""))
        };
        for (exchange, key) in [
            ("", "orders"),
            ("shop", ""),
            ("shop", "amq.x"),
            ("", "größe"),
        ] {
            assert_eq!(of(exchange, key), Ok(Route::new(exchange, key)));
        }
        assert!(of(&longest, &longest).is_ok());
        for (exchange, key, why) in [
            (&*longer, "", RouteFault::ExchangeTooLong),
            ("", &*longer, RouteFault::KeyTooLong),
            ("", "amq.rabbitmq.reply-to.x", RouteFault::Reserved),
            ("", "amq.gen-x", RouteFault::Reserved),
        ] {
            assert_eq!(of(exchange, key).unwrap_err().why(), why);
        }
    }
}
