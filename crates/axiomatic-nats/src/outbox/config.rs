//! How a publisher works.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Name;

use super::subject::{SubjectError, Subjects, admit};

/// How a publisher works. All of it has a default.
///
/// ```
/// use axiomatic_nats::outbox::{Config, Durability, Subjects};
/// use std::time::Duration;
///
/// let config = Config::new()
///     .subjects(Subjects::under("shop"))
///     .durability(Durability::AckedAndAged(Duration::from_secs(150)))
///     .checked()?;
/// // What the relay has to be told.
/// assert_eq!(config.publish_timeout(), Duration::from_secs(160));
/// # Ok::<_, axiomatic_nats::outbox::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) name: Name,
    pub(super) subjects: Subjects,
    pub(super) timeout: Duration,
    pub(super) durability: Durability,
}

/// When a message counts as published. What JetStream's acknowledgement is
/// worth is said in [the module](super).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the stream has acknowledged it.
    #[default]
    Acked,
    /// When the stream has acknowledged it, so much time has passed, and the
    /// server has not been started anew in between. If it has, nobody knows
    /// what is left, and the message is published again with the same id.
    ///
    /// The time is the server's `sync_interval`, which is two minutes unless
    /// configured, and some seconds.
    AckedAndAged(Duration),
}

impl Config {
    /// The defaults: the subject is the topic, 5 s for the acknowledgements of
    /// a wave, and what is acknowledged counts as published.
    pub fn new() -> Self {
        Config {
            name: Name::UNNAMED,
            subjects: Subjects::default(),
            timeout: Duration::from_secs(5),
            durability: Durability::default(),
        }
    }

    /// What the publisher is called in events.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Under which subject a message is published.
    #[must_use]
    pub fn subjects(mut self, subjects: Subjects) -> Self {
        self.subjects = subjects;
        self
    }

    /// How long the acknowledgements of a wave are waited for. Nobody knows
    /// what became of a message that has none by then.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// When a message counts as published.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a wave takes at most, which the relay must
    /// [allow](axiomatic_coordination::outbox::Config::publish_timeout). A
    /// relay that allows less than the age gives up each wave before it is old
    /// enough, and publishes it again, for ever.
    pub fn publish_timeout(&self) -> Duration {
        match self.durability {
            Durability::Acked => self.timeout,
            Durability::AckedAndAged(age) => self.timeout.saturating_mul(2).saturating_add(age),
        }
    }

    /// The same, if it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what does not.
    pub fn checked(self) -> Result<Self, ConfigError> {
        if self.timeout.is_zero() {
            return Err(ConfigError::NoTime);
        }
        if self.durability == Durability::AckedAndAged(Duration::ZERO) {
            return Err(ConfigError::NoAge);
        }
        if let Subjects::Under(prefix) = &self.subjects {
            admit(prefix).map_err(ConfigError::Prefix)?;
        }
        Ok(self)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}

/// Why a publisher cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no time for an acknowledgement.
    NoTime,
    /// An age of nothing is [`Durability::Acked`].
    NoAge,
    /// No subject begins so.
    Prefix(SubjectError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoTime => f.write_str("no time for an acknowledgement to come"),
            ConfigError::NoAge => f.write_str("an age of nothing: that is `Durability::Acked`"),
            ConfigError::Prefix(error) => error.fmt(f),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Prefix(error) => Some(error),
            ConfigError::NoTime | ConfigError::NoAge => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_that_cannot_work_is_refused() {
        assert!(Config::new().checked().is_ok());
        let hasty = Config::new().timeout(Duration::ZERO).checked();
        assert_eq!(hasty.unwrap_err(), ConfigError::NoTime);
        let new = Config::new().durability(Durability::AckedAndAged(Duration::ZERO));
        assert_eq!(new.checked().unwrap_err(), ConfigError::NoAge);
        for prefix in ["", "a.", "a b", "$JS", "*"] {
            let config = Config::new().subjects(Subjects::under(prefix)).checked();
            assert!(matches!(config, Err(ConfigError::Prefix(_))), "{prefix}");
        }
    }
}
