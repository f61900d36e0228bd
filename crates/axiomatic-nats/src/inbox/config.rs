//! How a consumer works.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Info};
use axiomatic_core::Name;
use axiomatic_core::backoff::{self, Backoff};

use super::answer::Acknowledge;

/// How a consumer works. All of it has a default.
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) name: Name,
    pub(super) in_hand: usize,
    pub(super) handle_within: Duration,
    pub(super) drain: Duration,
    pub(super) backoff: Backoff,
    pub(super) acknowledge: Acknowledge,
}

impl Config {
    /// The defaults: 64 messages in hand, five minutes for each, which is also
    /// how long a consumer that is to stop waits for them, and failures that
    /// come again after 100 ms to a minute.
    pub fn new() -> Self {
        Config {
            name: Name::UNNAMED,
            in_hand: 64,
            handle_within: Duration::from_secs(300),
            drain: Duration::from_secs(300),
            backoff: Backoff::exponential(Duration::from_millis(100), Duration::from_secs(60)),
            acknowledge: Acknowledge::default(),
        }
    }

    /// What the consumer is called in events and snapshots.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// How many messages are handled at once, at most. None is asked for
    /// before there is room for it, so that none waits here while the time
    /// runs in which it is ours.
    #[must_use]
    pub fn in_hand(mut self, messages: usize) -> Self {
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

    /// How long a consumer that is to stop waits for what it has in hand.
    #[must_use]
    pub fn drain_within(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// After how long a message comes again whose handler failed or was
    /// stopped. The wait grows with the deliveries that it has had.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How a message is acknowledged.
    #[must_use]
    pub fn acknowledge(mut self, acknowledge: Acknowledge) -> Self {
        self.acknowledge = acknowledge;
        self
    }

    /// The same, if it makes sense for this consumer, and for how long a
    /// message is ours without a word.
    pub(super) fn checked(self, consumer: &Info) -> Result<(Self, Duration), ConfigError> {
        if self.in_hand == 0 {
            return Err(ConfigError::Zero("in_hand"));
        }
        if self.handle_within.is_zero() {
            return Err(ConfigError::Zero("handle_within"));
        }
        self.backoff.checked()?;
        if consumer.config.ack_policy != AckPolicy::Explicit {
            return Err(ConfigError::AckPolicy(consumer.config.ack_policy));
        }
        // With a list of waits the server takes the one of each delivery.
        let waits = consumer.config.backoff.iter().copied();
        let shortest = waits.min().unwrap_or(consumer.config.ack_wait);
        if shortest < Self::SHORTEST_ACK_WAIT {
            return Err(ConfigError::AckWaitTooShort(shortest));
        }
        Ok((self, shortest))
    }

    /// The shortest wait for an acknowledgement: at a third of it the server is
    /// told that the message is still being handled, and must hear of it in
    /// time.
    pub const SHORTEST_ACK_WAIT: Duration = Duration::from_millis(100);
}

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}

/// Why a consumer cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Of this there must be some.
    Zero(&'static str),
    /// Waits that make no sense.
    Backoff(backoff::ConfigError),
    /// The consumer on the server does not want each message acknowledged: what
    /// is delivered would be lost with the process, or with a later one's
    /// acknowledgement.
    AckPolicy(AckPolicy),
    /// The server waits so shortly for an acknowledgement; it is
    /// [`Config::SHORTEST_ACK_WAIT`] at least.
    AckWaitTooShort(Duration),
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
            ConfigError::Backoff(error) => error.fmt(f),
            ConfigError::AckPolicy(policy) => write!(
                f,
                "a consumer whose messages are not acknowledged one by one ({policy:?})"
            ),
            ConfigError::AckWaitTooShort(wait) => {
                write!(f, "the server waits {wait:?} for an acknowledgement")
            }
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Backoff(error) => Some(error),
            _ => None,
        }
    }
}
