//! How a publisher works.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::route::Routes;
use crate::connection::ServerError;

/// How a publisher works. All of it has a default.
///
/// ```
/// use axiomatic_amqp::outbox::{Config, Routes};
/// use std::time::Duration;
///
/// let config = Config::new().routes(Routes::exchange("shop")).checked()?;
/// // What the relay has to be told.
/// assert_eq!(config.publish_timeout(), Duration::from_secs(6));
/// # Ok::<_, axiomatic_amqp::outbox::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) routes: Routes,
    pub(super) timeout: Duration,
    pub(super) largest: usize,
}

impl Config {
    /// The defaults: a message goes to the queue of its topic, 5 s for the
    /// confirms of a wave, and bodies of up to 16 MiB, as a RabbitMQ of version
    /// 4 takes them unless configured.
    pub fn new() -> Self {
        Config {
            routes: Routes::default(),
            timeout: Duration::from_secs(5),
            largest: 16 << 20,
        }
    }

    /// Where messages are published to.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// How long the confirms of a wave are waited for. Nobody knows what became
    /// of a message that has none by then.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest body that is sent, in bytes: not more than the server's
    /// `max_message_size`. A larger one would close the channel, and with it
    /// the confirms of its wave.
    #[must_use]
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// How long a relay must
    /// [allow](axiomatic_coordination::outbox::Config::publish_timeout) a wave
    /// to take: as long as it takes at most, and a second. A relay that allows
    /// less drops the verdicts that have come with those that have not.
    pub fn publish_timeout(&self) -> Duration {
        self.timeout.saturating_add(Duration::from_secs(1))
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
        if let Routes::Exchange(name) = &self.routes
            && name.len() > Routes::LONGEST
        {
            return Err(ConfigError::ExchangeTooLong { bytes: name.len() });
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
    /// There is no time for a confirm.
    NoTime,
    /// No exchange has so long a name.
    ExchangeTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Nobody can connect so.
    Server(ServerError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoTime => f.write_str("no time for a confirm to come"),
            ConfigError::ExchangeTooLong { bytes } => write!(
                f,
                "an exchange with a name of {bytes} bytes, of at most {}",
                Routes::LONGEST
            ),
            ConfigError::Server(error) => error.fmt(f),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Server(error) => Some(error),
            ConfigError::NoTime | ConfigError::ExchangeTooLong { .. } => None,
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
        let long = Config::new().routes(Routes::exchange("x".repeat(256)));
        let refused = long.checked().unwrap_err();
        assert_eq!(refused, ConfigError::ExchangeTooLong { bytes: 256 });
    }
}
