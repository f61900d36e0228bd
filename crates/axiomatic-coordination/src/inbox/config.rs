//! What an inbox goes by.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::id::IdRule;
use super::inbox::Inbox;
use super::watermark::Policy;

/// What an inbox goes by.
///
/// ```
/// use axiomatic_coordination::inbox::{Config, ConfigError, IdRule};
/// use std::time::Duration;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// let inbox = Config::new(IdRule::BrokerId, 2 * DAY).retention(3 * DAY).build()?;
///
/// let forgetful = Config::new(IdRule::BrokerId, 2 * DAY).retention(DAY).build();
/// assert!(matches!(forgetful, Err(ConfigError::RetentionTooShort { .. })));
/// # Ok::<_, ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) id: IdRule,
    longest_redelivery: Duration,
    pub(super) retention: Duration,
    pub(super) longest_result: usize,
    pub(super) starts: NonZeroU32,
    pub(super) policy: Policy,
}

impl Config {
    /// How long ids are remembered unless it is said: 7 days.
    pub const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// The longest result that an inbox can be told to keep: 64 KiB. It is
    /// read again for each repeat, and kept for each message.
    pub const LONGEST_RESULT: usize = 64 * 1024;

    /// An inbox that finds a message's id by this rule, behind a broker that
    /// delivers a message again at most so long after the first time: how long
    /// it keeps messages, or what is between a failure and the last retry,
    /// with the time that a dead letter may lie before somebody sends it
    /// again.
    ///
    /// It remembers ids for 7 days, keeps results of up to 1 KiB, gives up a
    /// message of which three attempts ended without a word, and accepts what
    /// comes out of order.
    pub fn new(id: IdRule, longest_redelivery: Duration) -> Self {
        Config {
            id,
            longest_redelivery,
            retention: Config::RETENTION,
            longest_result: 1024,
            starts: NonZeroU32::new(3).expect("3 is not 0"),
            policy: Policy::Accept {
                gaps_at_most: NonZeroU32::new(64).expect("64 is not 0"),
            },
        }
    }

    /// For how long ids are remembered, from the first time on.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The longest result that is kept, in bytes.
    #[must_use]
    pub fn longest_result(mut self, bytes: usize) -> Self {
        self.longest_result = bytes;
        self
    }

    /// How many attempts may begin of which nobody learns how they ended,
    /// until a message goes to quarantine.
    #[must_use]
    pub fn starts(mut self, starts: NonZeroU32) -> Self {
        self.starts = starts;
        self
    }

    /// What becomes of a message that comes before one with a smaller number.
    #[must_use]
    pub fn out_of_order(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The inbox.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if ids would be forgotten while repeats may come, or if
    /// results would be too large.
    pub fn build(self) -> Result<Inbox, ConfigError> {
        if self.retention < self.longest_redelivery || self.retention.is_zero() {
            return Err(ConfigError::RetentionTooShort {
                retention: self.retention,
                longest_redelivery: self.longest_redelivery,
            });
        }
        if self.longest_result > Config::LONGEST_RESULT {
            return Err(ConfigError::ResultTooLong {
                bytes: self.longest_result,
            });
        }
        Ok(Inbox::new(self))
    }
}

/// Why an inbox cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// An id would be forgotten while its message may still come again, and
    /// then it would be handled twice.
    RetentionTooShort {
        /// For how long ids would be remembered.
        retention: Duration,
        /// How long after the first time the broker may deliver a message.
        longest_redelivery: Duration,
    },
    /// Results of more bytes than [`Config::LONGEST_RESULT`].
    ResultTooLong {
        /// How many.
        bytes: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::RetentionTooShort {
                retention,
                longest_redelivery,
            } => write!(
                f,
                "an id remembered for {retention:?} is forgotten when its message comes again \
                 after {longest_redelivery:?}"
            ),
            ConfigError::ResultTooLong { bytes } => write!(
                f,
                "results of {bytes} bytes, of at most {}",
                Config::LONGEST_RESULT
            ),
        }
    }
}

impl Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_shorter_than_the_brokers_memory_is_refused() {
        let within = |redelivery| Config::new(IdRule::BrokerId, redelivery);
        assert!(within(Config::RETENTION).build().is_ok());
        let longer = Config::RETENTION + Duration::from_nanos(1);
        let refused = within(longer).build().unwrap_err();
        assert_eq!(
            refused,
            ConfigError::RetentionTooShort {
                retention: Config::RETENTION,
                longest_redelivery: longer,
            }
        );
        assert!(within(longer).retention(longer).build().is_ok());
        let nothing = within(Duration::ZERO).retention(Duration::ZERO);
        assert!(nothing.build().is_err(), "for no time");
    }

    #[test]
    fn results_that_are_no_small_ones_are_refused() {
        let of = |bytes| Config::new(IdRule::BrokerId, Duration::ZERO).longest_result(bytes);
        assert!(of(Config::LONGEST_RESULT).build().is_ok());
        let bytes = Config::LONGEST_RESULT + 1;
        assert_eq!(
            of(bytes).build().unwrap_err(),
            ConfigError::ResultTooLong { bytes }
        );
    }
}
