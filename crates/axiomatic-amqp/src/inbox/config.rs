//! How a consumer works.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::backoff::{self, Backoff};

use super::queue::Queue;
use crate::ServerError;

/// How a consumer works. All of it has a default.
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) name: Name,
    pub(super) in_hand: u16,
    pub(super) handle_within: Duration,
    pub(super) hold_at_most: Duration,
    pub(super) consumer_timeout: Duration,
    pub(super) drain: Duration,
    pub(super) backoff: Backoff,
    pub(super) reopen: Backoff,
}

impl Config {
    /// The defaults: 64 messages in hand; five minutes for each, which is also
    /// how long a consumer that is to stop waits for them; failures that come
    /// again after 100 ms to a minute, the longest that a message is held; a
    /// server that waits for half an hour; and a channel that is opened again
    /// after up to 100 ms, 200 ms and so on to 30 seconds.
    pub fn new() -> Self {
        Config {
            name: Name::UNNAMED,
            in_hand: 64,
            handle_within: Duration::from_secs(300),
            hold_at_most: Duration::from_secs(60),
            consumer_timeout: Duration::from_secs(1800),
            drain: Duration::from_secs(300),
            backoff: Backoff::exponential(Duration::from_millis(100), Duration::from_secs(60)),
            reopen: Backoff::exponential(Duration::from_millis(100), Duration::from_secs(30)),
        }
    }

    /// What the consumer is called in events and snapshots.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// How many messages are in hand at once, at most: the `prefetch` of its
    /// channel. They are those that are handled and those that are
    /// [held](Config::hold_at_most). None waits here for its turn.
    #[must_use]
    pub fn in_hand(mut self, messages: u16) -> Self {
        self.in_hand = messages;
        self
    }

    /// How long a handler has for a message. It is stopped then, and the
    /// message comes again.
    #[must_use]
    pub fn handle_within(mut self, time: Duration) -> Self {
        self.handle_within = time;
        self
    }

    /// How long a message is held that is to come again later. One that is
    /// wanted later than that comes earlier.
    ///
    /// RabbitMQ gives a message back at once. So it stays in hand until it is
    /// time, where it takes the place of another.
    #[must_use]
    pub fn hold_at_most(mut self, time: Duration) -> Self {
        self.hold_at_most = time;
        self
    }

    /// How long the server waits for an acknowledgement: its `consumer_timeout`,
    /// which a client cannot see. It closes the channel then, and gives all that
    /// the channel had to others. A message is handled and held for less.
    #[must_use]
    pub fn consumer_timeout(mut self, time: Duration) -> Self {
        self.consumer_timeout = time;
        self
    }

    /// How long a consumer that is to stop waits for what it has in hand.
    #[must_use]
    pub fn drain_within(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// After how long a message comes again whose handler failed or was
    /// stopped. The wait grows with the deliveries that it has had, as far as
    /// the queue counts them; a classic queue does not.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long to wait before a channel is opened again that was lost, or could
    /// not be had. [A connection](crate::Server::backoff) has waits of its own.
    #[must_use]
    pub fn reopen(mut self, backoff: Backoff) -> Self {
        self.reopen = backoff;
        self
    }

    /// The same, if it makes sense for this queue.
    pub(super) fn checked(self, queue: &Queue) -> Result<Self, ConfigError> {
        // To a server, no prefetch is any.
        if self.in_hand == 0 {
            return Err(ConfigError::Zero("in_hand"));
        }
        if self.handle_within.is_zero() {
            return Err(ConfigError::Zero("handle_within"));
        }
        self.backoff.checked()?;
        self.reopen.checked()?;
        let longest = self.handle_within.saturating_add(self.hold_at_most);
        if longest >= self.consumer_timeout {
            return Err(ConfigError::LongerThanTheServerWaits {
                longest,
                consumer_timeout: self.consumer_timeout,
            });
        }
        if queue.name().is_empty() {
            return Err(ConfigError::Zero("the queue's name"));
        }
        if let Some(limit) = queue.delivery_limit()
            && queue.dead_letters.is_none()
        {
            return Err(ConfigError::DropsAtTheLimit(limit));
        }
        Ok(self)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}

/// Why a consumer cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Of this there must be some.
    Zero(&'static str),
    /// The server cannot be connected to so.
    Server(ServerError),
    /// Waits that make no sense.
    Backoff(backoff::ConfigError),
    /// A message may be in hand for as long as that, which is not shorter than
    /// the server waits for it.
    LongerThanTheServerWaits {
        /// As long as a handler may take and a message may be held.
        longest: Duration,
        /// As long as the server waits.
        consumer_timeout: Duration,
    },
    /// The queue has this limit and no dead letters: it would drop what fails
    /// more often. If that is meant, it is
    /// [`DeadLetters::Dropped`](super::DeadLetters::Dropped).
    DropsAtTheLimit(u32),
}

impl From<backoff::ConfigError> for ConfigError {
    fn from(error: backoff::ConfigError) -> Self {
        ConfigError::Backoff(error)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Zero(what) => write!(f, "`{what}` is nothing"),
            ConfigError::Server(error) => error.fmt(f),
            ConfigError::Backoff(error) => error.fmt(f),
            ConfigError::LongerThanTheServerWaits {
                longest,
                consumer_timeout,
            } => write!(
                f,
                "a message may be in hand for {longest:?}, and the server waits for \
                 {consumer_timeout:?}"
            ),
            ConfigError::DropsAtTheLimit(limit) => write!(
                f,
                "the queue drops a message that failed more than {limit} times: it has no dead \
                 letters"
            ),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Server(error) => Some(error),
            ConfigError::Backoff(error) => Some(error),
            _ => None,
        }
    }
}
