//! How a relay works.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::backoff::{self, Backoff, Jitter};
use axiomatic_core::time::Clock;

/// How a relay works. All of it has a default.
///
/// ```
/// use axiomatic_coordination::outbox::{Config, HeadPolicy};
/// use std::time::Duration;
///
/// let config = Config::new()
///     .lease(Duration::from_secs(10))
///     .head_policy_of("audit", HeadPolicy::BlockKey)
///     .max_failures(5)
///     .checked()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) name: Name,
    pub(super) lease: Duration,
    pub(super) rows: usize,
    pub(super) per_key: usize,
    pub(super) lanes: usize,
    pub(super) wave: usize,
    pub(super) max_in_flight: usize,
    pub(super) publish_timeout: Duration,
    pub(super) drain: Duration,
    pub(super) backoff: Backoff,
    pub(super) outage: Backoff,
    pub(super) poll: Backoff,
    pub(super) max_failures: u32,
    pub(super) poison_after: u32,
    pub(super) head_policy: HeadPolicy,
    pub(super) head_policies: HashMap<Box<str>, HeadPolicy>,
    pub(super) clock: Clock,
}

/// What becomes of a key whose first message cannot be published.
///
/// | | fails, attempts left | fails, none left | [permanent](super::Class::Permanent), unroutable, too large, poison |
/// |---|---|---|---|
/// | `BlockKey` | waits, tries again | waits the longest, tries again, for ever | the key is parked |
/// | `ParkMessage` | waits, tries again | the message goes to the dead letters | the same, at once |
/// | `ParkKey` | waits, tries again | the key is parked | the same, at once |
///
/// While its first message waits, nothing of the key is published, and all
/// other keys go on. A message without a key has nothing to block: it goes to
/// the dead letters, whatever the policy.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum HeadPolicy {
    /// Nothing overtakes it: order matters more than progress.
    #[default]
    BlockKey,
    /// It is put aside, and the key goes on without it: progress matters more
    /// than order.
    ParkMessage,
    /// The whole key is put aside until an operator looks at it.
    ParkKey,
}

impl Config {
    /// The defaults: leases of 30 s, 500 messages a fetch and 16 of a key, 256
    /// in flight in waves of 64, 10 s for the broker to confirm, 20 attempts
    /// from 100 ms to 5 min apart, and keys that block.
    pub fn new() -> Self {
        let ms = Duration::from_millis;
        Config {
            name: Name::UNNAMED,
            lease: Duration::from_secs(30),
            rows: 500,
            per_key: 16,
            lanes: 4000,
            wave: 64,
            max_in_flight: 256,
            publish_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            backoff: Backoff::exponential(ms(100), Duration::from_secs(300)),
            outage: Backoff::exponential(ms(50), Duration::from_secs(5)).jitter(Jitter::Equal),
            poll: Backoff::exponential(ms(5), Duration::from_secs(1)).jitter(Jitter::Equal),
            max_failures: 20,
            poison_after: 3,
            head_policy: HeadPolicy::default(),
            head_policies: HashMap::new(),
            clock: Clock::Precise,
        }
    }

    /// What the relay is called in events, metrics and snapshots.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// How long a lease lasts; it is renewed at a third of that. A relay that
    /// dies is missed for so long.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How many messages a fetch brings at most, and twice as many are in
    /// memory at most.
    #[must_use]
    pub fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// How many messages of one key a fetch brings at most. They are published
    /// one after the other; the first that fails stops the others. With 1, a
    /// key has one message a round through the store.
    #[must_use]
    pub fn per_key(mut self, messages: usize) -> Self {
        self.per_key = messages;
        self
    }

    /// How many keys a fetch looks at, at most, those included that wait: what
    /// bounds the time of a fetch when many keys are blocked or paused.
    #[must_use]
    pub fn keys_looked_at(mut self, keys: usize) -> Self {
        self.lanes = keys;
        self
    }

    /// How many messages a publisher gets at once, at most.
    #[must_use]
    pub fn wave(mut self, messages: usize) -> Self {
        self.wave = messages;
        self
    }

    /// How many messages wait for their confirmations, at most.
    #[must_use]
    pub fn max_in_flight(mut self, messages: usize) -> Self {
        self.max_in_flight = messages;
        self
    }

    /// How long the publisher has for a wave. After that nobody knows what
    /// became of it ([`Verdict::Unknown`](super::Verdict::Unknown)).
    #[must_use]
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.publish_timeout = timeout;
        self
    }

    /// How long a relay that is asked to stop waits for what is in flight.
    /// Leases with messages in flight after that are left to expire.
    #[must_use]
    pub fn drain_within(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// How long a key waits after a failure of its first message.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long the relay waits after everything has failed: then it is the
    /// broker that fails, and no message is charged with it.
    #[must_use]
    pub fn outage_backoff(mut self, backoff: Backoff) -> Self {
        self.outage = backoff;
        self
    }

    /// How long an idle relay waits for a wake-up before it looks by itself;
    /// it begins anew with each message that it finds.
    #[must_use]
    pub fn poll(mut self, poll: Backoff) -> Self {
        self.poll = poll;
        self
    }

    /// How many failed attempts a message has.
    #[must_use]
    pub fn max_failures(mut self, failures: u32) -> Self {
        self.max_failures = failures;
        self
    }

    /// After how many attempts of which nobody knows how they ended a message
    /// counts as poison.
    #[must_use]
    pub fn poison_after(mut self, starts: u32) -> Self {
        self.poison_after = starts;
        self
    }

    /// What becomes of a key whose first message cannot be published.
    #[must_use]
    pub fn head_policy(mut self, policy: HeadPolicy) -> Self {
        self.head_policy = policy;
        self
    }

    /// The same, for keys whose first message is of this topic.
    #[must_use]
    pub fn head_policy_of(mut self, topic: impl Into<Box<str>>, policy: HeadPolicy) -> Self {
        self.head_policies.insert(topic.into(), policy);
        self
    }

    /// Where the relay reads the time, for how long it may trust a lease.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same, if it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what does not.
    pub fn checked(self) -> Result<Self, ConfigError> {
        if self.lease < Self::SHORTEST_LEASE {
            return Err(ConfigError::LeaseTooShort(self.lease));
        }
        let counts = [
            ("rows", self.rows),
            ("per_key", self.per_key),
            ("keys_looked_at", self.lanes),
            ("wave", self.wave),
            ("max_in_flight", self.max_in_flight),
            ("max_failures", self.max_failures as usize),
            ("poison_after", self.poison_after as usize),
        ];
        if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::Zero(what));
        }
        if self.publish_timeout.is_zero() {
            return Err(ConfigError::Zero("publish_timeout"));
        }
        for backoff in [self.backoff, self.outage, self.poll] {
            backoff.checked()?;
        }
        Ok(self)
    }

    /// The shortest lease: below it, a relay would do little but renew.
    pub const SHORTEST_LEASE: Duration = Duration::from_millis(30);
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a relay cannot work so.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The lease is shorter than [`Config::SHORTEST_LEASE`].
    LeaseTooShort(Duration),
    /// This must not be zero.
    Zero(&'static str),
    /// A backoff makes no sense.
    Backoff(backoff::ConfigError),
}

impl From<backoff::ConfigError> for ConfigError {
    fn from(error: backoff::ConfigError) -> Self {
        ConfigError::Backoff(error)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::LeaseTooShort(lease) => write!(
                f,
                "a lease of {lease:?} is shorter than {:?}",
                Config::SHORTEST_LEASE
            ),
            ConfigError::Zero(what) => write!(f, "`{what}` must not be zero"),
            ConfigError::Backoff(error) => error.fmt(f),
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
